"""Who may import whom: the folders keep to themselves."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOP = {
    "app",
    "settings",
    "stacks",
    "reefloop",
    "jobs",
    "classifier",
    "offline",
    "console",
    "tests",
    "benchmarks",
    "workstation",
}

# What lambda/ declares for everyone: names, types and tables.
DECLARATIONS = {
    "reefloop.contracts",
    "reefloop.payloads",
    "reefloop.compilation.neo",
    "reefloop.compilation.rules",
    "reefloop.compilation.targets",
    "reefloop.labeling.ground_truth",
}

# Folder → what it may import of the project, and of other people's packages (None: anything).
RULES: dict[str, tuple[set[str], set[str] | None]] = {
    "stacks": (
        {"settings", "stacks", *DECLARATIONS},
        {"aws_cdk", "constructs", "jsii"},
    ),
    "settings": ({"settings", *DECLARATIONS}, {"pydantic"}),
    "app.py": ({"settings", "stacks"}, {"aws_cdk", "cdk_nag"}),
    "lambda": ({"reefloop"}, {"boto3", "botocore"}),
    "jobs": ({"jobs"}, {"numpy", "onnx", "onnxruntime", "PIL", "scipy", "timm", "torch"}),
    "edge/reefloop.Classifier": (
        {"classifier"},
        {"awsiot", "boto3", "botocore", "numpy", "onnxruntime", "PIL", "dlr"},
    ),
    "edge/wheels.py": (set(), {"packaging"}),
    "edge/gdk_build.py": (set(), set()),
    "workstation": ({"workstation"}, set()),
    "offline": ({"offline"}, None),
    "console": (
        {
            "console",
            "offline",
            "settings",
            "reefloop.archive",
            "reefloop.compilation.contents",
            "reefloop.deployment.records",
            *DECLARATIONS,
        },
        None,
    ),
}


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("folder", RULES)
def test_a_folder_imports_only_what_it_may(folder: str) -> None:
    project, packages = RULES[folder]
    files = [ROOT / folder] if folder.endswith(".py") else sorted((ROOT / folder).rglob("*.py"))
    assert files
    wrong = []
    for path in files:
        for name in imports(path):
            top = name.partition(".")[0]
            if top in TOP:
                allowed = any(name == one or name.startswith(f"{one}.") for one in project)
            else:
                allowed = top in sys.stdlib_module_names | {"_typeshed"} or packages is None or top in packages
            if not allowed:
                wrong.append(f"{path.relative_to(ROOT)} imports {name}")
    assert not wrong


def test_only_tests_and_console_know_the_offline_account() -> None:
    for folder in ("stacks", "lambda", "jobs", "edge"):
        for path in (ROOT / folder).rglob("*.py"):
            assert "AWS_ENDPOINT_URL" not in path.read_text(), path
            assert "//localhost" not in path.read_text(), path
