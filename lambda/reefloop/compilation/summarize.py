"""Summarize: what every target got, and whether that is enough to go on."""

from dataclasses import dataclass

from reefloop import contracts, environment, storage
from reefloop.payloads import CompilationOutput


class TooFewTargets(Exception):
    """Fewer targets compiled than the deployment asks for."""


@dataclass(frozen=True)
class Environment:
    data_bucket: str
    minimum_targets: int


def handler(event: CompilationOutput, _context: object) -> CompilationOutput:
    """Write models/<version>/compilation.json, also when it is not enough.

    Raises:
        TooFewTargets: naming what became of every target that did not compile, and why.
    """
    env = environment.read(Environment)
    output = CompilationOutput(model_version=event["model_version"], packages=event["packages"])
    key = contracts.model_key(output["model_version"], "compilation.json")
    storage.write_json(env.data_bucket, key, output)
    others = [package for package in output["packages"] if package["outcome"] != "compiled"]
    compiled = len(output["packages"]) - len(others)
    if compiled < env.minimum_targets:
        reasons = "; ".join(f"{p['target']} is {p['outcome']}: {p['failure_reason'][:300]}" for p in others)
        raise TooFewTargets(
            f"{compiled} target(s) compiled and minimum_targets is {env.minimum_targets} ({reasons}): "
            "mend the model or the targets, or lower compilation.minimum_targets"
        )
    return output
