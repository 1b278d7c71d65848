"""`devices`: which devices SageMaker Neo has, which models they take, what runs there. It writes docs/devices.md."""

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from string import Template
from typing import Final

from rich.table import Table

from console.own_model import framework
from console.screen import Screen
from console.tables import PlainTable
from reefloop.compilation import neo, rules
from reefloop.compilation.neo import Framework, Hardware, pages
from reefloop.compilation.rules import Verdict
from reefloop.compilation.targets import DEFAULT, TARGETS, Target

_TEMPLATE: Final = Template(Path(__file__).with_suffix(".md").read_text(encoding="utf-8"))
_WORDS: Final = {"tested": "tested", "documented": "yes", "unproven": "unproven", "refused": "no"}
_RUNTIMES: Final = {"dlr": "DLR", "onnxruntime": "ONNX Runtime", "coreml": "Core ML"}
_TAKEN: Final = tuple(entry for entry in neo.FRAMEWORKS.values() if not entry.refusal)


def run(options: argparse.Namespace) -> int:
    name = framework(options.framework) if options.framework else ""
    if name and sys.stdout.isatty():
        screen = Screen()
        screen.print(table_of(name))
        for source in dict.fromkeys(said.source for *_, said in _verdicts(name)):
            screen.say(f"{pages.TITLES[source]}: {source}")
    else:
        print(of_framework(name) if name else page(), end="")
    return 0


def page() -> str:
    """docs/devices.md."""
    return _TEMPLATE.substitute(
        default=", ".join(f"`{name}`" for name in DEFAULT),
        targets=_targets(),
        notes="\n".join(f"- `{target.name}`: {target.note}" for target in TARGETS.values() if target.note),
        frameworks=_frameworks(),
        unusable="\n".join(f"- {entry.title}: {entry.refusal}." for entry in neo.FRAMEWORKS.values() if entry.refusal),
        versioned=", ".join(entry.title for entry in _TAKEN if entry.versioned),
        versionless=", ".join(f"`{device.name}`" for device in _offered() if not device.takes_version),
        devices=_devices(),
        refused=_refused(),
        platforms=_platforms(),
        options=_options(),
        **{name.lower(): url for name, url in vars(pages).items() if isinstance(url, str) and url in pages.TITLES},
    )


def of_framework(name: str) -> str:
    """What becomes of models of one framework, target by target."""
    rows = ((target, device, _WORDS[said.status], said.reason, said.source) for target, device, said in _verdicts(name))
    return f"{_table(('target', 'Neo has it as', name, 'because', 'source'), rows)}\n"


def table_of(name: str) -> Table:
    """The same for a terminal, without the sources, whose addresses stand below it."""
    table = PlainTable("target", "Neo has it as", name, "because")
    for target, device, said in _verdicts(name):
        table.add(target, device, _WORDS[said.status], said.reason)
    return table


def _verdicts(name: str) -> list[tuple[str, str, Verdict]]:
    """Target or "none", Neo's word for it, and what is said of it: every target, and every device that has none."""
    verdicts = [(target.name, _neo_name(target), rules.verdict(name, target)) for target in TARGETS.values()]
    return verdicts + [
        ("none", device.name, rules.verdict(name, _of(device))) for device in neo.DEVICES.values() if device.refusal
    ]


def _targets() -> str:
    return _table(
        ("target", "Neo has it as", "compiler options", "delivered", "runs with", "portable", "measured on"),
        (
            (
                f"`{target.name}`",
                f"`{_neo_name(target)}`",
                f"`{json.dumps(dict(target.compiler_options))}`" if target.compiler_options else "none",
                _delivery(target),
                _RUNTIMES[target.runtime],
                "yes" if target.portable else "no",
                {"host": "`jobs.instance_type`", "": "nowhere"}.get(target.measured_on, f"`{target.measured_on}`"),
            )
            for target in TARGETS.values()
        ),
    )


def _delivery(target: Target) -> str:
    if not target.greengrass:
        return {"endpoint": "endpoint", "artifact": "package in S3"}[target.delivery]
    core = f"Greengrass, {target.greengrass['os']} {target.greengrass['architecture']}"
    return f"{core}, board `{target.greengrass['board']}`" if "board" in target.greengrass else core


def _frameworks() -> str:
    return _table(
        (
            "framework",
            "the tarball holds",
            "input",
            "versions for devices",
            "versions for instances",
            "for devices, models for",
        ),
        (
            (
                f"{entry.title} (`{entry.name}`)",
                ", ".join(part.what if part.least else f"{part.what}, if it is one" for part in entry.contents),
                entry.layout or "not needed",
                _versions(entry, "edge"),
                _versions(entry, "cloud"),
                entry.models,
            )
            for entry in _TAKEN
        ),
    )


def _versions(entry: Framework, family: neo.Family) -> str:
    if family not in entry.versions:
        return "none"
    versions = entry.versions[family]
    listed = ", ".join(versions.listed) or "any"
    return f"{listed} or earlier" if versions.listed and versions.earlier else listed


def _devices() -> str:
    return _table(
        ("device", "what it is", *(entry.title for entry in _TAKEN), "source"),
        (
            (
                f"`{device.name}`",
                device.title,
                *(_WORDS[rules.verdict(entry.name, _of(device)).status] for entry in _TAKEN),
                _link(device.source),
            )
            for device in _offered()
        ),
    )


def _refused() -> str:
    return _table(
        ("device", "what it is", "why nothing is compiled for it", "source"),
        (
            (f"`{device.name}`", device.title, device.refusal, _link(device.source))
            for device in neo.DEVICES.values()
            if device.refusal
        ),
    )


def _platforms() -> str:
    accelerators = ("", *neo.ACCELERATORS)
    return _table(
        ("system", "accelerator", *(f"`{arch}`" for arch in neo.ARCHES)),
        (
            (f"`{os}`", f"`{accelerator}`" if accelerator else "none", *_marks(os, accelerator))
            for os in neo.OSES
            for accelerator in accelerators
        ),
    )


def _marks(os: str, accelerator: str) -> Iterable[str]:
    """Where models of ONNX are compiled: the frameworks of devices are the same everywhere."""
    for arch in neo.ARCHES:
        platform = {"Os": os, "Arch": arch, **({"Accelerator": accelerator} if accelerator else {})}
        yield _WORDS[rules.verdict("ONNX", Target("any", platform=platform)).status]


def _options() -> str:
    return _table(
        ("option", "for", "value", "models of", "source"),
        (
            (f"`{option.key}`", option.place, option.values, option.framework or "any", _link(option.source))
            for option in rules.OPTIONS.values()
        ),
    )


def _offered() -> Sequence[Hardware]:
    return [device for device in neo.DEVICES.values() if not device.refusal]


def _of(device: Hardware) -> Target:
    return Target("any", device=device.name)


def _neo_name(target: Target) -> str:
    return target.device or "/".join(
        target.platform[key] for key in ("Os", "Arch", "Accelerator") if key in target.platform
    )


def _link(url: str) -> str:
    return f"[{pages.TITLES[url]}]({url})"


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
