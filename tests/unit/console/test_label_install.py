"""Whoever labels installs little: what `console label` imports, and nothing else."""

import ast
import re
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
LOADED = """
import sys
sys.path.insert(1, "lambda")
import console.commands.label
print(*(module.__file__ for module in sys.modules.values() if getattr(module, "__file__", None)), sep="\\n")
"""


def pins(name: str) -> dict[str, str]:
    return dict(re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / name).read_text(), re.MULTILINE))


def project_files() -> list[Path]:
    """The project's own files that the command consists of."""
    ran = subprocess.run([sys.executable, "-c", LOADED], cwd=ROOT, capture_output=True, text=True, check=True)
    ours = [Path(line) for line in ran.stdout.splitlines() if Path(line).is_relative_to(ROOT)]
    return [path for path in ours if path.relative_to(ROOT).parts[0] in ("console", "settings", "lambda")]


def imported(path: Path) -> set[str]:
    """The top-level modules of others that a file imports, those that it imports late included."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found - sys.stdlib_module_names - {"console", "settings", "reefloop", "offline"}


def test_the_requirements_name_what_the_command_imports_and_no_more() -> None:
    files = [*project_files(), ROOT / "console" / "cli.py", ROOT / "console" / "__main__.py"]
    assert ROOT / "console" / "label" / "pictures.py" in files
    modules = {module for path in files for module in imported(path)}
    packages = {name.lower() for module in modules for name in packages_distributions()[module]}
    # boto3 brings the botocore that it fits.
    assert packages - {"botocore"} == set(pins("requirements-label.txt"))


def test_they_are_pinned_as_everything_is() -> None:
    constraints = pins("constraints.txt")
    assert pins("requirements-label.txt").items() <= constraints.items()
