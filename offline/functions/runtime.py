"""The runtime inside a function's own process: one event per line in, one answer per line out.

Run by its path, with a clean environment and the unpacked code as only argument. It offers what AWS's Python runtime
offers: the standard library and boto3. Nothing of this project's environment can be imported by accident.
"""

import importlib
import json
import logging
import os
import sys
import time
import traceback
from collections.abc import Callable
from importlib.machinery import PathFinder
from typing import Any, NoReturn

# https://docs.aws.amazon.com/lambda/latest/dg/lambda-python.html#python-sdk-included
INCLUDED = {"boto3", "botocore", "s3transfer", "jmespath", "dateutil", "six", "urllib3"}


class OnlyWhatLambdaHas:
    """Refuses every import that would fail in AWS: packages of this machine that are neither included nor deployed."""

    def __init__(self, code: str) -> None:
        self._code = code

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:  # noqa: ARG002
        top = name.partition(".")[0]
        if top in sys.stdlib_module_names or top in INCLUDED or PathFinder.find_spec(top, [self._code]):
            return
        raise ModuleNotFoundError(f"No module named {top!r}", name=name)


class Context:
    """https://docs.aws.amazon.com/lambda/latest/dg/python-context.html"""

    def __init__(self, request: dict[str, Any]) -> None:
        self._deadline = time.monotonic() + request["seconds"]
        self.aws_request_id = request["id"]
        self.invoked_function_arn = request["arn"]
        self.function_name = os.environ["AWS_LAMBDA_FUNCTION_NAME"]
        self.function_version = os.environ["AWS_LAMBDA_FUNCTION_VERSION"]
        self.memory_limit_in_mb = os.environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]
        self.log_group_name = os.environ["AWS_LAMBDA_LOG_GROUP_NAME"]
        self.log_stream_name = os.environ["AWS_LAMBDA_LOG_STREAM_NAME"]
        self.identity = None
        self.client_context = None

    def get_remaining_time_in_millis(self) -> int:
        return max(0, int((self._deadline - time.monotonic()) * 1000))


def failed(kind: str, message: str, trace: list[str] | None = None) -> dict[str, Any]:
    return {"error": {"errorMessage": message, "errorType": kind, "stackTrace": trace or []}}


def load(handler: str) -> Callable[[Any, Context], Any] | dict[str, Any]:
    """The handler, or the error with which every invocation fails."""
    module_name, _, name = handler.rpartition(".")
    try:
        module = importlib.import_module(module_name.replace("/", "."))
    except ImportError as error:
        return failed("Runtime.ImportModuleError", f"Unable to import module '{module_name}': {error}")
    except SyntaxError as error:
        return failed("Runtime.UserCodeSyntaxError", f"Syntax error in module '{module_name}': {error}")
    except Exception as error:
        return failed(type(error).__name__, str(error), traceback.format_tb(error.__traceback__))
    found: Callable[[Any, Context], Any] | None = getattr(module, name, None)
    return found or failed("Runtime.HandlerNotFound", f"Handler '{name}' missing on module '{module_name}'")


def run(handler: Callable[[Any, Context], Any] | dict[str, Any], request: dict[str, Any]) -> str:
    """The answer to one event, as JSON."""
    if isinstance(handler, dict):
        return json.dumps(handler)
    try:
        result = handler(request["event"], Context(request))
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)[1:]  # without this file's own
        print(traceback.format_exc(), file=sys.stderr, flush=True)
        return json.dumps(failed(type(error).__name__, str(error), traceback.format_list(frames)))
    try:
        return json.dumps({"result": result})
    except (TypeError, ValueError) as error:
        return json.dumps(failed("Runtime.MarshalError", f"Unable to marshal response: {error}"))


def main(code: str) -> NoReturn:
    # What the handler prints belongs in the log: the pipe that carries answers is moved out of its way.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    sys.stdout = open(1, "w", buffering=1, closefd=False)  # noqa: SIM115
    sys.path.insert(0, code)
    sys.meta_path.insert(0, OnlyWhatLambdaHas(code))
    logging.basicConfig(stream=sys.stderr, format="[%(levelname)s]\t%(asctime)s\t%(message)s", level=logging.WARNING)
    handler = load(os.environ["_HANDLER"])
    answers.write('{"loaded": true}\n')
    for line in sys.stdin:
        answers.write(run(handler, json.loads(line)) + "\n")
    sys.exit(0)  # the account is gone


if __name__ == "__main__":
    main(sys.argv[1])
