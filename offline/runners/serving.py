"""An inference container, as a process of its own: /ping and /invocations in front of the one compiled model.

It calls the model's entry point as Neo's containers do, with ONNX Runtime where they have Neo's runtime:
https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html
https://github.com/neo-ai/neo-ai-dlr/blob/main/container/neo_template_mxnet_byom.py
"""

import importlib.util
import json
import sys
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnxruntime

Answer = tuple[str | bytes, str]
"""The body, and its content type."""


def load(folder: Path) -> Callable[[bytes, str, str], Answer]:
    """What answers a request (body, content type, accepted type): the folder's script around the folder's model.

    Raises:
        ValueError: the folder is not what a container finds there.
    """
    models = sorted(folder.glob("*.onnx"))
    if len(models) != 1:
        raise ValueError(f"{len(models)} files of a compiled model, and a container loads one")
    session = onnxruntime.InferenceSession(str(models[0]), providers=["CPUExecutionProvider"])
    names = [one.name for one in session.get_inputs()]
    scripts = sorted([*folder.glob("*.py"), *folder.glob("code/*.py")])
    if len(scripts) != 1:
        raise ValueError(f"{len(scripts)} entry points, and a container imports one")
    script = _imported(scripts[0])

    def run(values: dict[str, Any]) -> list[Any]:
        answers: list[Any] = session.run(None, values)
        return answers

    def by_runtime(body: bytes, content_type: str, _: str) -> Answer:
        values = script.neo_preprocess(body, content_type)
        answers = run(values if isinstance(values, dict) else {names[0]: values})
        answer: Answer = script.neo_postprocess(answers[0] if len(answers) == 1 else answers)
        return answer

    def by_framework(body: bytes, content_type: str, accept: str) -> Answer:
        # The container's own way to load a model, since the script's asks for the framework.
        answer: Answer = script.transform_fn(
            lambda values: run(dict(zip(names, values, strict=True)))[0], body, content_type, accept
        )
        return answer

    return by_framework if scripts[0].parent.name == "code" else by_runtime


def _imported(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("entry_point", path)
    if spec is None or spec.loader is None:
        raise ValueError(f"{path.name} is no Python module")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def serve(answers: Callable[[bytes, str, str], Answer]) -> None:
    """Answer one request after the other, for ever, on a port of the loopback interface that is printed first."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._send(200, b"", "text/plain")

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            try:
                answer, content_type = answers(
                    body, self.headers.get("Content-Type", ""), self.headers.get("Accept", "")
                )
            # Whatever a request makes the entry point trip over is the request's fault here.
            except Exception as error:
                self._send(400, f"{type(error).__name__}: {error}".encode(), "text/plain")
            else:
                self._send(200, answer.encode() if isinstance(answer, str) else answer, content_type)

        def _send(self, status: int, body: bytes, content_type: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, text: str, *values: object) -> None:
            print(text % values, file=sys.stderr, flush=True)

    server = HTTPServer(("127.0.0.1", 0), Handler)
    print(json.dumps({"port": server.server_port}), flush=True)
    server.serve_forever()


if __name__ == "__main__":
    np.seterr(all="ignore")
    serve(load(Path(sys.argv[1])))
