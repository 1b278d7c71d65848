"""What scoring an image costs, and whether larger batches or more threads per call would make it cheaper.

The network is the project's own, untrained, at the size that --pixels says, exported as training exports it, once for
each batch size. Every way classifies the same images on as many threads as there are processors; what counts is
processor time per image, since an instance is paid for by the second and all of its cores can be busy. The answers of
all ways must be those of a single image, bit for bit: a prediction must not depend on which images share its instance.
"""

import argparse
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[1]))

from jobs import images
from jobs.labeling.fingerprint import fingerprint
from jobs.training.networks import OWN, build
from offline.scenes import list_species, make_images

IMAGES: Final = 256
WAYS: Final = ((1, 1), (1, 0), (8, 1), (32, 1))
"""(Images per call, threads per call); 0 threads are ONNX Runtime's own choice, one for each core."""


def session(path: Path, *, threads: int) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def exported(network: torch.nn.Module, path: Path, *, batch: int, pixels: int) -> Path:
    with warnings.catch_warnings():
        # The TorchScript exporter is deprecated and the only one that writes opset 11.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            (torch.zeros(batch, 3, pixels, pixels),),
            str(path),
            dynamo=False,
            opset_version=11,
            input_names=["image"],
            output_names=["logits"],
        )
    return path


def milliseconds(work: Callable[[], object], *, of: int) -> float:
    """Processor time per image, the best of three runs."""
    best = float("inf")
    for _ in range(3):
        began = time.process_time()
        work()
        best = min(best, time.process_time() - began)
    return 1000 * best / of


def answers(model: Any, inputs: NDArray[np.float32], batch: int) -> NDArray[np.float32]:
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        starts = range(0, len(inputs), batch)
        found = pool.map(lambda start: model.run(None, {"image": inputs[start : start + batch]})[0], starts)
        return np.concatenate(list(found))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pixels", type=int, nargs="+", default=[64, 224])
    options = parser.parse_args()
    torch.manual_seed(1)
    same = True
    with tempfile.TemporaryDirectory() as place:
        paths = make_images(Path(place) / "images", list_species(16), IMAGES // 16, 1)
        decoded = [images.decode(path) for path in paths]
        width, height = decoded[0].size
        print("| step, processor time per image | ms |\n|---|---|")
        print(
            f"| decode {width} x {height} | {milliseconds(lambda: [images.decode(p) for p in paths], of=IMAGES):.3f} |"
        )
        looks = milliseconds(lambda: [fingerprint(np.asarray(one)) for one in decoded], of=IMAGES)
        print(f"| fingerprint | {looks:.3f} |")
        for pixels in options.pixels:
            inputs = np.concatenate([images.as_input(images.resized(one, pixels)) for one in decoded])
            network = build(OWN, classes=16, pixels=pixels, normalization="batch", pretrained=False).eval()
            expected = None
            for batch, threads in WAYS:
                path = exported(network, Path(place) / f"{batch}.onnx", batch=batch, pixels=pixels)
                model = session(path, threads=threads)
                found = answers(model, inputs, batch)
                expected = found if expected is None else expected
                same &= bool((found == expected).all())
                cost = milliseconds(lambda m=model, b=batch, i=inputs: answers(m, i, b), of=IMAGES)
                each = f"{threads} thread" if threads else "all cores"
                print(f"| {pixels} pixels, batches of {batch}, {each} per call | {cost:.3f} |")
    if not same:
        print("\nanswers depend on the batch or on the threads", file=sys.stderr)
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
