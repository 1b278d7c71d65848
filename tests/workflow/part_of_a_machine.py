"""Some states of a synthesized machine, with the functions that they run, in an account where nothing is deployed."""

import io
import json
import re
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import app as reefloop
from tests.offline.bench import Bench, any_name
from tests.stacks.conftest import resources

_SOURCE = reefloop.ROOT / "lambda"


def make_functions(bench: Bench, template: Mapping[str, Any], **environment: str) -> dict[str, str]:
    """The functions of a stack by logical id: the ARN of each. `environment` is what it gets beside its own numbers."""
    code = {"ZipFile": _zipped(_SOURCE)}
    made = {}
    for logical_id, function in resources(template, "AWS::Lambda::Function").items():
        variables = function.get("Environment", {}).get("Variables", {})
        own = {name: value for name, value in variables.items() if isinstance(value, str)}
        made[logical_id] = bench.account.client("lambda").create_function(
            FunctionName=any_name(logical_id),
            Runtime=function["Runtime"],
            Handler=function["Handler"],
            Role=bench.role,
            Code=code,
            Timeout=function["Timeout"],
            Environment={"Variables": own | environment},
        )["FunctionArn"]
    return made


def make_machine(bench: Bench, states: Mapping[str, Any], start: str, functions: Mapping[str, str]) -> str:
    """The ARN of a machine of the states that follow from one of them."""
    written = json.dumps(states)
    for logical_id, arn in functions.items():
        written = written.replace(f"<{logical_id}.Arn>", arn)
    written = re.sub(r"<\w*Role\w+\.Arn>", bench.role, written).replace("<AWS::Partition>", "aws")
    ready = json.loads(written)
    return bench.machine(**{name: ready[name] for name in _following(ready, start)})


def _following(states: Mapping[str, Any], start: str) -> list[str]:
    found, left = list[str](), [start]
    while left:
        name = left.pop()
        if name not in found:
            found.append(name)
            left += re.findall(r'"(?:Next|Default)": "(\w+)"', json.dumps(states[name]))
    return found


def _zipped(folder: Path) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path in _files(folder):
            archive.write(path, path.relative_to(folder))
    return packed.getvalue()


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file() and path.suffix not in (".pyc", ".md"))
