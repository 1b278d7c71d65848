"""The offline compiler: ONNX Runtime's graph optimiser behind the checks that Neo makes. A process of its own.

It takes the place of Neo and never says that it is Neo: compiler.json in the artifact tells what compiled it.
What Neo wants of a model: https://docs.aws.amazon.com/sagemaker/latest/dg/neo-compilation-preparing-model.html
"""

import json
import platform
import sys
import tarfile
from pathlib import Path
from typing import Any, Final

import onnx
import onnxruntime

# Neo reads ONNX 1.7: https://docs.aws.amazon.com/sagemaker/latest/dg/neo-supported-devices-edge-frameworks.html
MAX_OPSET: Final = 12
MAX_IR: Final = 7
FRAMEWORKS: Final = ("TENSORFLOW", "KERAS", "MXNET", "ONNX", "PYTORCH", "XGBOOST", "TFLITE", "DARKNET", "SKLEARN")
_NVIDIA_OPTIONS: Final = ("gpu-code", "trt-ver", "cuda-ver")
_HOST: Final = {"x86_64": "X86_64", "AMD64": "X86_64", "aarch64": "ARM64", "arm64": "ARM64"}.get(platform.machine(), "")
# Devices are named, platforms say what they are: the architecture of those that a laptop could be.
_DEVICES: Final = {"x86_win64": "X86_64", "sbe_c": "X86_64", "rasp4b": "ARM64", "jetson_xavier": "ARM64"}


class CompileError(Exception):
    """A model or a request that Neo would refuse; the message is in its words."""


def compile_model(source: Path, request: dict[str, Any], target: Path) -> None:
    """Compile the tarball `source` as the request says and write the tarball `target`.

    Raises:
        CompileError: Neo would refuse it.
    """
    config, output = request["InputConfig"], request["OutputConfig"]
    framework = config["Framework"]
    if framework != "ONNX":
        known = "this account compiles ONNX alone" if framework in FRAMEWORKS else f"known are {', '.join(FRAMEWORKS)}"
        raise CompileError(f"ClientError: InputConfiguration: Framework {framework} is not supported: {known}")
    options = _options(output)
    folder = target.parent / "work"
    model = _unpacked(source, folder)
    _check_versions(model)
    _check_inputs(model, config.get("DataInputConfig", ""))
    exact = _architecture(output) == _HOST
    compiled = folder / "compiled.onnx"
    _optimise(model, compiled, exact=exact)
    about = {
        "compiler": "ONNX Runtime graph optimiser",
        "version": onnxruntime.__version__,
        "optimisation": "all" if exact else "extended",
        "target": request["Target"],
        "compiler_options": options,
    }
    (folder / "compiler.json").write_text(json.dumps(about, indent=2, sort_keys=True))
    with tarfile.open(target, "w:gz") as archive:
        for name in ("compiled.onnx", "compiler.json"):
            archive.add(folder / name, arcname=name)


def _architecture(output: dict[str, Any]) -> str:
    named = _DEVICES.get(output.get("TargetDevice", ""), "")
    return named or str(output.get("TargetPlatform", {}).get("Arch", ""))


def _options(output: dict[str, Any]) -> dict[str, Any]:
    if ("TargetDevice" in output) == ("TargetPlatform" in output):
        raise CompileError("ClientError: OutputConfiguration: give exactly one of TargetDevice and TargetPlatform")
    text = output.get("CompilerOptions") or "{}"
    try:
        options = json.loads(text)
    except ValueError:
        options = None
    if not isinstance(options, dict):
        raise CompileError(f"ClientError: OutputConfiguration: CompilerOptions {text!r} is not a JSON object")
    nvidia = output.get("TargetPlatform", {}).get("Accelerator") == "NVIDIA"
    if nvidia and (missing := [name for name in _NVIDIA_OPTIONS if name not in options]):
        raise CompileError(
            f"ClientError: OutputConfiguration: CompilerOptions must have {', '.join(_NVIDIA_OPTIONS)} for NVIDIA; "
            f"missing: {', '.join(missing)}"
        )
    return options


def _unpacked(source: Path, folder: Path) -> Path:
    """The one model in the tarball."""
    folder.mkdir(parents=True)
    try:
        with tarfile.open(source, "r:gz") as archive:
            archive.extractall(folder / "model", filter="data")
    except (tarfile.TarError, OSError, EOFError):
        raise CompileError(
            "ClientError: InputConfiguration: Unable to untar input model. It must be a tar.gz"
        ) from None
    files = sorted(path for path in (folder / "model").rglob("*") if path.is_file())
    if [path.suffix for path in files] != [".onnx"]:
        names = ", ".join(path.name for path in files) or "nothing"
        raise CompileError(
            f"ClientError: InputConfiguration: Exactly one .onnx file is allowed for ONNX models, found {names}"
        )
    return files[0]


def _check_versions(model: Path) -> None:
    try:
        proto = onnx.load(model, load_external_data=False)
    except Exception as error:
        raise CompileError(f"ClientError: Load error: {model.name} is not an ONNX model ({error})") from None
    opset = max((one.version for one in proto.opset_import if one.domain in ("", "ai.onnx")), default=0)
    if opset > MAX_OPSET or proto.ir_version > MAX_IR:
        raise CompileError(
            f"ClientError: InputConfiguration: {model.name} has opset {opset} and IR version {proto.ir_version}; "
            f"ONNX 1.7 reads opset {MAX_OPSET} and IR version {MAX_IR} at most"
        )


def _check_inputs(model: Path, data_input_config: str) -> None:
    try:
        wanted = json.loads(data_input_config)
        wanted = {str(name): [int(size) for size in shape] for name, shape in wanted.items()}
    except (ValueError, TypeError, AttributeError):
        raise CompileError(
            f"ClientError: InputConfiguration: Unable to parse DataInputConfig {data_input_config!r}: "
            'it must be a JSON object like {"image": [1, 3, 224, 224]}'
        ) from None
    inputs = _session(model, onnxruntime.SessionOptions()).get_inputs()
    found = {one.name: list(one.shape) for one in inputs}
    if found.keys() != wanted.keys():
        raise CompileError(
            f"ClientError: InputConfiguration: DataInputConfig has the inputs {sorted(wanted)}, the model has "
            f"{sorted(found)}"
        )
    for name, shape in found.items():
        if shape != wanted[name]:
            raise CompileError(
                f"ClientError: InputConfiguration: Input {name} has the wrong shape in DataInputConfig: "
                f"{wanted[name]}, the model's is {shape}; please make sure it is NCHW"
            )


def _optimise(model: Path, target: Path, *, exact: bool) -> None:
    """Every optimisation for this machine's own architecture; for others those that run on any CPU."""
    options = onnxruntime.SessionOptions()
    levels = onnxruntime.GraphOptimizationLevel
    options.graph_optimization_level = levels.ORT_ENABLE_ALL if exact else levels.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(target)
    options.log_severity_level = 3
    _session(model, options)


def _session(model: Path, options: Any) -> Any:
    options.intra_op_num_threads = 1
    try:
        return onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise CompileError(f"ClientError: Load error: {model.name}: {error}") from None


if __name__ == "__main__":
    _source, _request, _target = sys.argv[1:]
    try:
        compile_model(Path(_source), json.loads(_request), Path(_target))
    except CompileError as _error:
        print(_error)
        sys.exit(1)
