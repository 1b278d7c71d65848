"""The model as an ONNX graph: what Neo can read of it, its inputs, and ONNX Runtime's optimiser."""

from collections.abc import Mapping
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any, Final

import onnx
import onnxruntime
from onnx import shape_inference

from offline.compiler.contents import cannot_load
from offline.compiler.errors import bad_input
from offline.compiler.facts import FRAMEWORKS
from offline.compiler.inputs import Shapes

# Neo reads ONNX 1.7: https://docs.aws.amazon.com/sagemaker/latest/dg/neo-supported-devices-edge-frameworks.html,
# which is opset 12 and IR version 7: https://github.com/onnx/onnx/blob/main/docs/Versioning.md
MAX_OPSET: Final = 12
MAX_IR: Final = 7
_OWN: Final = ("", "ai.onnx")
_DOMAINS: Final = (*_OWN, "ai.onnx.ml")


def load(model: Path) -> Any:
    """The graph in a file.

    Raises:
        CompileError: not an ONNX model, of a version after ONNX 1.7, or with operators that are not ONNX's own.
    """
    try:
        proto = onnx.load(model, load_external_data=False)
        opset = max(one.version for one in proto.opset_import if one.domain in _OWN)
    except Exception as error:
        raise cannot_load("ONNX", f"{model.name}: {str(error) or type(error).__name__}") from None
    if opset > MAX_OPSET or proto.ir_version > MAX_IR:
        raise cannot_load(
            "ONNX",
            f"{model.name} has opset {opset} and IR version {proto.ir_version}; ONNX 1.7 reads opset {MAX_OPSET} and "
            f"IR version {MAX_IR} at most",
        )
    if unknown := {node.op_type for node in proto.graph.node if not _is_known(node, opset)}:
        raise not_implemented("ONNX", unknown)
    return proto


def _is_known(node: Any, opset: int) -> bool:
    known: bool = node.domain in _DOMAINS and onnx.defs.has(node.op_type, opset, node.domain)
    return known or (node.domain == _DOMAINS[-1] and onnx.defs.has(node.op_type, node.domain))


def not_implemented(framework: str, operators: set[str]) -> Exception:
    """https://docs.aws.amazon.com/sagemaker/latest/dg/neo-troubleshooting-compilation.html"""
    names = "{" + ", ".join(f"'{name}'" for name in sorted(operators)) + "}"
    return bad_input(
        f"TVM cannot convert {FRAMEWORKS[framework].name} model. Please make sure the framework you selected is "
        f"correct. The following operators are not implemented: {names}"
    )


def fix_inputs(proto: Any, wanted: Shapes) -> None:
    """Give the graph's inputs the shapes of DataInputConfig.

    Raises:
        CompileError: other names, or shapes that the model does not allow.
    """
    found = _inputs(proto)
    if found.keys() != wanted.keys():
        raise bad_input(
            f"DataInputConfig has the inputs {sorted(wanted)}, the model has {sorted(found)}. Please specify all input "
            "layers in data_shape."
        )
    for name, value in found.items():
        dims, shape = value.type.tensor_type.shape.dim, wanted[name]
        own = [dim.dim_value or dim.dim_param or "?" for dim in dims]
        if len(own) != len(shape) or any(isinstance(a, int) and a != b for a, b in zip(own, shape, strict=True)):
            raise bad_input(
                f"Input {name} has wrong shape in Input Shape dictionary. Input shapes should be provided in NCHW "
                f"format. For example, ({','.join(map(str, own))}); given is ({','.join(map(str, shape))})"
            )
        for dim, size in zip(dims, shape, strict=True):
            dim.dim_value = size


def derived_inputs(proto: Any) -> Shapes:
    """The inputs as the model itself has them.

    Raises:
        CompileError: a size of one is not fixed.
    """
    shapes = {
        name: tuple(int(dim.dim_value) for dim in value.type.tensor_type.shape.dim)
        for name, value in _inputs(proto).items()
    }
    if open_ones := sorted(name for name, shape in shapes.items() if 0 in shape):
        raise underived(f"the shape of {open_ones[0]} is not static")
    return shapes


def underived(reason: str) -> Exception:
    """https://docs.aws.amazon.com/sagemaker/latest/dg/neo-troubleshooting-compilation.html"""
    return bad_input(
        f"We are unable to extract DataInputConfig from the model due to {reason}. Please override by providing a "
        "DataInputConfig during compilation job creation."
    )


def _inputs(proto: Any) -> Mapping[str, Any]:
    """What the caller has to give: older graphs list their weights among the inputs."""
    weights = {one.name for one in proto.graph.initializer}
    return {one.name: one for one in proto.graph.input if one.name not in weights}


def optimise(proto: Any, target: Path, *, everything: bool) -> bytes:
    """The graph as ONNX Runtime's optimiser leaves it.

    Args:
        target: the file that it is written to on the way.
        everything: also what is right for this very processor alone, the layout of the tensors above all; else what
            runs wherever ONNX Runtime runs.

    Raises:
        CompileError: the graph does not fit together.
    """
    options, levels = onnxruntime.SessionOptions(), onnxruntime.GraphOptimizationLevel
    options.graph_optimization_level = levels.ORT_ENABLE_ALL if everything else levels.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(target)
    options.intra_op_num_threads = 1
    options.log_severity_level = 4  # it warns of what `everything` is asked for
    try:
        # A size that contradicts another is found by ONNX's own inference; ONNX Runtime only warns of some.
        shape_inference.infer_shapes(proto, strict_mode=True)
        onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise bad_input(
            "TVM cannot convert ONNX model. Please make sure the framework you selected is correct. "
            f"{str(error).strip().splitlines()[0]}"
        ) from None
    return _same_bytes(onnx.load(target))


def _same_bytes(proto: Any) -> bytes:
    """The graph without what differs from run to run: some nodes have an address in their name, and branches that do
    not depend on each other come in any order."""
    nodes = {next(filter(None, node.output)): node for node in proto.graph.node}
    for node in nodes.values():
        node.ClearField("name")
    if not any(attribute.HasField("g") for node in nodes.values() for attribute in node.attribute):
        made_by = {output: name for name, node in nodes.items() for output in node.output if output}
        sorter = TopologicalSorter({name: {made_by[i] for i in nodes[name].input if i in made_by} for name in nodes})
        sorter.prepare()
        del proto.graph.node[:]
        while sorter.is_active():
            ready = sorted(sorter.get_ready())
            proto.graph.node.extend(nodes[name] for name in ready)
            sorter.done(*ready)
    proto.graph.initializer.sort(key=lambda one: one.name)
    written: bytes = proto.SerializeToString()
    return written
