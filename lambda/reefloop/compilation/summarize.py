"""Summarize: what every target got, and whether that is enough to go on."""

from dataclasses import dataclass
from typing import Final

from reefloop import contracts, environment, registry, storage
from reefloop.payloads import CompilationOutput, Package

# A state machine's error has room for so many characters of each of some forty targets' reasons.
# https://docs.aws.amazon.com/step-functions/latest/apireference/API_HistoryEvent.html
_REASON_CHARACTERS: Final = 300
_MEBIBYTE: Final = 1 << 20


class TooFewTargets(Exception):
    """Fewer targets compiled than the deployment asks for."""


@dataclass(frozen=True)
class Environment:
    data_bucket: str
    model_package_group: str
    minimum_targets: int


def handler(event: CompilationOutput, _context: object) -> CompilationOutput:
    """Write models/<version>/compilation.json and a line per target into the registry, also when it is not enough.

    An execution for fewer targets than minimum_targets needs all of its own.

    Raises:
        TooFewTargets: naming what became of every target that did not compile, and why.
    """
    env = environment.read(Environment)
    output = CompilationOutput(model_version=event["model_version"], packages=event["packages"])
    storage.write_json(env.data_bucket, contracts.model_key(output["model_version"], "compilation.json"), output)
    lines = {package["target"]: _line(package) for package in output["packages"]}
    registry.note(env.model_package_group, output["model_version"], prefix="target:", entries=lines)
    others = [package for package in output["packages"] if package["outcome"] != "compiled"]
    compiled = len(output["packages"]) - len(others)
    minimum = min(env.minimum_targets, len(output["packages"]))
    if compiled < minimum:
        reasons = "; ".join(f"{package['target']} is {_line(package)[:_REASON_CHARACTERS]}" for package in others)
        raise TooFewTargets(
            f"{compiled} target(s) compiled and {minimum} must ({reasons}): "
            "mend the model or the targets, or lower compilation.minimum_targets"
        )
    return output


def _line(package: Package) -> str:
    """The outcome of a target with what matters most about it."""
    if failure := package["failure"]:
        return f"{package['outcome']}: {failure['kind']}: {failure['reason']}"
    size = f"{package['outcome']} {package['bytes'] / _MEBIBYTE:.1f} MiB"
    if parity := package["parity"]:
        return f"{size} p50 {parity['p50_ms']:.2f} ms p99 {parity['p99_ms']:.2f} ms on {parity['instance_type']}"
    return size
