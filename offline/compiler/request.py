"""A compilation request, taken apart and checked: what it asks for, or Neo's refusal.

Some of it the API refuses before there is a job (`refusal`), the rest the job fails with (`read`).
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from offline.compiler.errors import bad_output
from offline.compiler.facts import (
    ANDROID_LEVELS,
    DATA_TYPES,
    DEVICES,
    FRAMEWORKS,
    NVIDIA_OPTIONS,
    PLATFORMS,
    Machine,
)
from offline.compiler.inputs import Shapes, read_inputs


@dataclass(frozen=True)
class Request:
    """What is to be compiled for what. `target` is the word that Neo uses for it in names and messages; `inputs` are
    None where the model itself says what they are."""

    framework: str
    version: str
    target: str
    machine: Machine
    options: Mapping[str, Any]
    inputs: Shapes | None


def target_name(output: Mapping[str, Any]) -> str:
    """The target as Neo writes it into the name of an artifact: rasp4b, LINUX_X86_64, LINUX_ARM64_NVIDIA."""
    return output.get("TargetDevice") or "_".join(part for part in _platform(output) if part)


def refusal(request: Mapping[str, Any], region: str) -> str:
    """Why CreateCompilationJob refuses a request, "" when it does not.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateCompilationJob.html
    """
    output = request["OutputConfig"]
    if ("InputConfig" in request) == ("ModelPackageVersionArn" in request):
        return "Exactly one of InputConfig and ModelPackageVersionArn must be given"
    if ("TargetDevice" in output) == ("TargetPlatform" in output):
        return "Exactly one of TargetDevice and TargetPlatform must be given in OutputConfig"
    if (machine := _machine(output)) is None:
        return ""  # a platform that no job compiles for: the job says so
    if machine.region not in ("", region):
        return f"TargetDevice {output['TargetDevice']} is available in {machine.region} only; this is {region}"
    return _version_refusal(request.get("InputConfig", {}), target_name(output), machine)


def _version_refusal(config: Mapping[str, Any], target: str, machine: Machine) -> str:
    version, framework = config.get("FrameworkVersion", ""), config.get("Framework", "")
    if not version:
        return ""
    if not machine.versioned:
        allowed = ", ".join(name for name, device in DEVICES.items() if device.versioned)
        return (
            f"Framework version is not supported for {target}. Framework version is supported for Target Platform "
            f"configuration and only part of target devices. Supported target devices are: {allowed}"
        )
    newest = FRAMEWORKS[framework].newest
    if not newest:
        allowed = ", ".join(name for name, one in FRAMEWORKS.items() if one.newest)
        return f"Framework version is not supported for framework {framework}; it is for {allowed}"
    if _numbers(version) > _numbers(newest):
        return f"Framework version {version} is not supported for framework {framework}: {newest} is the newest"
    return ""


def _numbers(version: str) -> tuple[int, ...]:
    """The first two, which is as far as the pages go."""
    return tuple(int(part) for part in re.findall(r"\d+", version)[:2])


def read(request: Mapping[str, Any]) -> Request:
    """The request of a job, which the API has let through.

    Raises:
        CompileError: no such target, none for this framework, options or inputs that are not Neo's.
    """
    config, output = request["InputConfig"], request["OutputConfig"]
    framework, target, machine = config["Framework"], target_name(output), _machine(output)
    if machine is None:
        raise bad_output(f"TargetPlatform {target} is not supported: {_platforms_of(output)}")
    if not machine.frameworks:
        raise bad_output(f"TargetDevice {target} is not supported any more")
    if framework not in machine.frameworks:
        raise bad_output(
            f"Framework {framework} is not supported for {target}: {', '.join(sorted(machine.frameworks))} are"
        )
    return Request(
        framework=framework,
        version=config.get("FrameworkVersion", ""),
        target=target,
        machine=machine,
        options=_options(output, target),
        inputs=read_inputs(config.get("DataInputConfig", ""), framework, core_ml=target == "coreml"),
    )


def _platform(output: Mapping[str, Any]) -> tuple[str, str, str]:
    given = output.get("TargetPlatform", {})
    return given.get("Os", ""), given.get("Arch", ""), given.get("Accelerator", "")


def _machine(output: Mapping[str, Any]) -> Machine | None:
    return DEVICES.get(output.get("TargetDevice", "")) or PLATFORMS.get(_platform(output))


def _platforms_of(output: Mapping[str, Any]) -> str:
    system = _platform(output)[0]
    return ", ".join("_".join(part for part in one if part) for one in PLATFORMS if one[0] == system) + " are"


_NEURON: Final = ("ml_inf1", "ml_inf2", "ml_trn1")


def _options(output: Mapping[str, Any], target: str) -> dict[str, Any]:
    """CompilerOptions, parsed. Options that no page lists are let through: people use more than the pages tell
    (max-workspace-size, precision-mode)."""
    text = output.get("CompilerOptions", "{}")
    try:
        options = json.loads(text)
    except (ValueError, RecursionError):
        options = None
    if target in _NEURON and isinstance(options, str):
        return {"neuron-cc": options}  # a command line of the Neuron compiler, as a JSON string
    if not isinstance(options, dict):
        raise bad_output(f"CompilerOptions {text!r} is not a JSON object")
    accelerator = _platform(output)[2]
    if accelerator == "NVIDIA" and (missing := [name for name in NVIDIA_OPTIONS if name not in options]):
        raise bad_output(
            f"CompilerOptions must have {', '.join(NVIDIA_OPTIONS)} for NVIDIA; missing: {', '.join(missing)}"
        )
    for name, pattern in NVIDIA_OPTIONS.items():
        if name in options and not re.fullmatch(pattern, str(options[name])):
            raise bad_output(f"CompilerOptions {name} is {options[name]!r} and must match {pattern}")
    level = options.get("ANDROID_PLATFORM", ANDROID_LEVELS[0])
    if level not in ANDROID_LEVELS:
        raise bad_output(
            f"CompilerOptions ANDROID_PLATFORM is {level!r} and must be {ANDROID_LEVELS[0]} to {ANDROID_LEVELS[-1]}"
        )
    features = options.get("mattr", [])
    if not isinstance(features, list) or not all(isinstance(one, str) and one[:1] in ("+", "-") for one in features):
        raise bad_output(f'CompilerOptions mattr is {features!r} and must be a list like ["+neon"]')
    if options.get("dtype", DATA_TYPES[0]) not in DATA_TYPES:
        raise bad_output(f"CompilerOptions dtype is {options['dtype']!r} and must be one of {', '.join(DATA_TYPES)}")
    if "class_labels" in options and target != "coreml":
        raise bad_output(f"CompilerOptions class_labels is for coreml alone, not for {target}")
    return options
