"""Whether Neo can compile a model of a framework for a target: a verdict with its reason and source, before any job."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from reefloop.compilation import pages
from reefloop.compilation.inputs import check_input
from reefloop.compilation.neo import FRAMEWORKS, Framework, Hardware, Part, Versions
from reefloop.compilation.options import OPTIONS, check_options
from reefloop.compilation.targets import Target, TargetInvalid

__all__ = [
    "MADE_HERE",
    "OPTIONS",
    "TargetInvalid",
    "Verdict",
    "check_input",
    "check_options",
    "check_target",
    "contents",
    "loop_framework",
    "sent_version",
    "verdict",
]

Status = Literal["tested", "documented", "unproven", "refused"]

MADE_HERE: Final = ("ONNX", "PYTORCH")
"""The forms in which the loop's own training leaves its model, the preferred one first."""

# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_InputConfig.html
_VERSION: Final = re.compile(r"[0-9]\.[A-Za-z0-9.]{1,8}")
# Where the classifier can be installed, in the words of a recipe's platform. PyPI has no ONNX Runtime for 32 bits.
# https://docs.aws.amazon.com/greengrass/v2/developerguide/component-recipe-reference.html
_SYSTEMS: Final = {"LINUX": "linux"}
_CORES: Final = {"X86_64": "amd64", "ARM64": "aarch64"}
# Instances with a g behind their generation have ARM processors, and the image of the jobs is for x86_64.
_GRAVITON: Final = re.compile(r"ml\.[a-z]+[0-9]+g[a-z]*\..*")
_FAMILIES: Final = {"edge": "devices", "cloud": "instances", "neuron": "Neuron instances"}


@dataclass(frozen=True)
class Verdict:
    """`reason` says why, also when it is supported; `source` is the page that says so.

    `status` says how sure it is: "tested" is a pair of Neo's own table of tested models, "documented" one whose
    framework and hardware are both on Neo's pages, "unproven" one that only the API's enumerations let through.
    """

    supported: bool
    reason: str
    source: str
    status: Status = "refused"


def verdict(framework: str, target: Target, *, version: str = "") -> Verdict:
    """Whether Neo compiles models of `framework` for `target`. `version` is the FrameworkVersion, "" for Neo's own."""
    known = FRAMEWORKS.get(framework)
    if known is None:
        return Verdict(False, f"framework {framework!r} is not one of {', '.join(FRAMEWORKS)}", pages.INPUT_CONFIG)
    try:
        hardware = target.hardware
    except TargetInvalid as error:
        return Verdict(False, str(error), pages.OUTPUT_CONFIG)
    return (
        _refusal(known, hardware)
        or _refused_option(known, target)
        or _refused_version(known, hardware, version)
        or _support(known, hardware)
    )


def _refusal(framework: Framework, hardware: Hardware) -> Verdict | None:
    if framework.refusal:
        return Verdict(False, framework.refusal, pages.INPUT_CONFIG)
    if hardware.refusal:
        return Verdict(False, hardware.refusal, hardware.source)
    if hardware.frameworks is not None and framework.name not in hardware.frameworks:
        taken = " and ".join(name for name in FRAMEWORKS if name in hardware.frameworks)
        return Verdict(False, f"for {hardware.name} Neo takes {taken}, and not {framework.name}", hardware.source)
    if hardware.family not in framework.versions:
        taken = " and ".join(_FAMILIES[family] for family in framework.versions)
        reason = f"Neo takes {framework.name} for {taken} only, and {hardware.name} is for {_FAMILIES[hardware.family]}"
        return Verdict(False, reason, pages.CLOUD)
    return None


def _refused_option(framework: Framework, target: Target) -> Verdict | None:
    for key in target.compiler_options:
        option = OPTIONS.get(key)
        if option and option.framework not in ("", framework.name):
            reason = f"compiler option {key!r} is for {option.framework}, and the model is of {framework.name}"
            return Verdict(False, reason, option.source)
    return None


def _refused_version(framework: Framework, hardware: Hardware, version: str) -> Verdict | None:
    versions = framework.versions[hardware.family]
    source = pages.CLOUD if hardware.family == "cloud" else pages.EDGE_FRAMEWORKS
    if not version or _fits(version, versions):
        return None
    listed = ", ".join(versions.listed) + (" or earlier" if versions.earlier else "")
    return Verdict(
        False, f"for {_FAMILIES[hardware.family]} Neo takes {framework.name} {listed}, not {version!r}", source
    )


def _fits(version: str, versions: Versions) -> bool:
    """Whether a version is a listed one, which may be given shorter or longer ("1.8", "1.8.0"), or an earlier one."""
    if not _VERSION.fullmatch(version):
        return False
    if not versions.listed:
        return True
    listed = [_numbers(entry) for entry in versions.listed]
    given = _numbers(version)
    if any(all(a == b for a, b in zip(given, entry, strict=False)) for entry in listed):
        return True
    return versions.earlier and given < max(listed)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))


def _support(framework: Framework, hardware: Hardware) -> Verdict:
    what = f"{framework.name} for {hardware.name}"
    if hardware.tested and hardware.tested in framework.tested:
        reason = f"Neo's table of tested models has {framework.title} on {hardware.tested}"
        return Verdict(True, reason, pages.TESTED_MODELS, "tested")
    if not hardware.listed:
        return Verdict(True, f"the API takes {what}, and no page of Neo says more", hardware.source, "unproven")
    pages_ = "page of instances has" if hardware.family == "cloud" else "pages have"
    return Verdict(True, f"Neo's {pages_} {framework.title} and {hardware.title}", hardware.source, "documented")


def sent_version(framework: str, target: Target, version: str) -> str:
    """The FrameworkVersion to send: "" where the request must not have one.

    The API takes one for MXNet, PyTorch, TensorFlow and TensorFlow Lite, and for platforms and some devices only:
    the service refuses the request otherwise. pages.INPUT_CONFIG, pages.VERSION_MESSAGE
    """
    return version if FRAMEWORKS[framework].versioned and target.hardware.takes_version else ""


def contents(framework: str, target: Target) -> tuple[Part, ...]:
    """What the tarball must hold, and all that it may: the model, and what the device and the options ask for."""
    labels = target.compiler_options.get("class_labels")
    named = (Part(f"the labels ({labels})", (str(labels), f"*/{labels}")),) if labels else ()
    return (*FRAMEWORKS[framework].contents, *target.hardware.contents, *named)


def loop_framework(target: Target) -> str:
    """The form of the loop's own model to compile for this target: "" where Neo takes none of them for it."""
    return next((framework for framework in MADE_HERE if verdict(framework, target).supported), "")


def check_target(target: Target) -> None:
    """
    Raises:
        TargetInvalid: no model can be compiled for the target, or what is compiled could not be delivered or measured.
    """
    hardware = target.hardware
    if hardware.refusal:
        raise TargetInvalid(f"{target.named}: {hardware.refusal}")
    check_options(target)
    if (target.runtime == "coreml") != (hardware.os == "IOS"):
        raise TargetInvalid(
            f"{target.named} has runtime {target.runtime!r}: coreml runs what is compiled for coreml, and nothing else"
        )
    if target.measured_on and (why := _unmeasurable(hardware, target.measured_on)):
        raise TargetInvalid(f"{target.named} cannot be measured on {target.measured_on!r}: {why}")
    if target.greengrass:
        _check_greengrass(target, target.greengrass)


def _unmeasurable(hardware: Hardware, instance_type: str) -> str:
    """Why a job on this instance type cannot run what is compiled for the hardware, "" when it can."""
    if _GRAVITON.fullmatch(instance_type):
        return "the image of the jobs is for x86_64"
    if hardware.name.startswith("ml_"):
        family = hardware.name.replace("_", ".")
        return "" if instance_type.startswith(f"{family}.") else f"give an instance type of its own family, {family}.…"
    plain = hardware.os == "LINUX" and hardware.arch == "X86_64" and not hardware.accelerator
    return "" if plain else f"no job runs code for {hardware.name}"


def _check_greengrass(target: Target, platform: Mapping[str, str]) -> None:
    hardware = target.hardware
    runs = {"os": _SYSTEMS.get(hardware.os, ""), "architecture": _CORES.get(hardware.arch, "")}
    for attribute, value in runs.items():
        if not value:
            raise TargetInvalid(
                f"{target.named} has greengrass, and the classifier does not run on {hardware.name}: it is for Linux "
                f"on {' or '.join(_CORES.values())}. Leave greengrass out, and the package is delivered in S3"
            )
        if (given := platform.get(attribute)) != value:
            raise TargetInvalid(
                f"{target.named} has {given!r} for greengrass.{attribute}; code for {hardware.name} runs on {value!r}"
            )
