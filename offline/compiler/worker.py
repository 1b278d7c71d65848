"""The compiler's own process: one job per line in, one answer per line out, until the account closes the pipe.

It stays, since loading ONNX Runtime takes longer than most compilations.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

from offline.compiler.compile import compile_model
from offline.compiler.errors import CompileError


def answer(job: dict[str, Any]) -> dict[str, Any]:
    """{"fields": what DescribeCompilationJob tells} or {"refusal": why there is no artifact}."""
    try:
        return {"fields": compile_model(Path(job["source"]), job["request"], Path(job["target"]))}
    except CompileError as error:
        return {"refusal": str(error)}


def main() -> None:
    # ONNX and PyTorch print as they like: the pipe that carries answers is moved out of their way.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    for line in sys.stdin:
        answers.write(json.dumps(answer(json.loads(line))) + "\n")


if __name__ == "__main__":
    main()
