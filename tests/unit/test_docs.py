"""The documentation names things: links, commands, settings, states. What it names is there."""

import ast
import contextlib
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from pydantic import BaseModel

from console.cli import main
from reefloop.compilation.failures import KINDS
from settings import Settings

ROOT = Path(__file__).parents[2]
DECISIONS = sorted((ROOT / "docs" / "decisions").glob("*.md"))
OF_FOLDERS = [ROOT / "lambda" / "README.md", ROOT / "edge" / "README.md"]
PAGES = [ROOT / "README.md", *OF_FOLDERS, *sorted((ROOT / "docs").glob("*.md")), *DECISIONS]
FOLDERS = ("stacks", "lambda", "jobs", "edge", "offline", "console", "tests", "docs", "workstation")


class Finding(NamedTuple):
    """Something that a page names, ready to be compared and read in a failure."""

    page: str
    what: str


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def code_of(page: Path) -> Iterator[str]:
    """Every piece of code of a page: fenced blocks, indented blocks, spans."""
    text = text_of(page)
    fenced = re.compile(r"^```.*?\n(.*?)^```", re.MULTILINE | re.DOTALL)
    yield from fenced.findall(text)
    rest = fenced.sub("", text)
    yield from re.findall(r"(?:^ {4}\S.*\n)+", rest, re.MULTILINE)
    yield from re.findall(r"`([^`\n]+)`", rest)


def named(pattern: str) -> list[Finding]:
    """What the first group of a pattern matches in the code of all pages."""
    found = [
        Finding(page.relative_to(ROOT).as_posix(), match)
        for page in PAGES
        for code in code_of(page)
        for match in re.findall(pattern, code)
    ]
    assert found, f"nothing in the docs matches {pattern}: the test looks for something else than it thinks"
    return found


def anchors_of(page: Path) -> set[str]:
    """The anchors that GitHub gives a page's headings."""
    headings = re.findall(r"^#+ (.+)$", text_of(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def literals(folder: Path) -> list[str]:
    """The texts in the source of a folder, as patterns: what an f-string fills in may be any word."""
    patterns = []
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Constant(value=str(value)):
                    patterns.append(re.escape(value))
                case ast.JoinedStr(values=parts) if any(isinstance(part, ast.Constant) for part in parts):
                    patterns.append(
                        "".join(re.escape(str(p.value)) if isinstance(p, ast.Constant) else r"\w+" for p in parts)
                    )
    return patterns


def pins() -> dict[str, str]:
    """Direct dependencies and their versions, from everywhere they are pinned."""
    files = [
        *ROOT.glob("requirements*.txt"),
        *ROOT.glob("jobs/requirements*.txt"),
        *ROOT.glob("edge/requirements.in"),
    ]
    lines = [line.split("#")[0].strip() for file in files for line in file.read_text().splitlines()]
    python = dict(line.split("==") for line in lines if "==" in line)
    package = json.loads((ROOT / "package.json").read_text())
    npm = package["dependencies"] | package["devDependencies"]
    return {name.partition("[")[0]: version for name, version in python.items()} | npm


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", text_of(page)):
        if link.startswith(("https://", "http://")):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), f"{page.name} links to {link}"
        assert not anchor or anchor in anchors_of(target), f"{page.name} links to {link}; there is no such heading"


def test_every_path_of_the_repository_that_the_docs_name_exists() -> None:
    missing = [
        found
        for found in named(rf"(?<![\w/.<-])((?:{'|'.join(FOLDERS)})/[\w./-]*)(?![\w<*{{])")
        # lambda/README.md names files from the package on.
        if not any((place / found.what).exists() for place in (ROOT, (ROOT / found.page).parent / "reefloop"))
    ]
    assert not missing


def test_the_tree_in_the_readme_is_the_tree() -> None:
    block = re.search(r"^## The tree\n\n((?: {4}.*\n)+)", text_of(ROOT / "README.md"), re.MULTILINE)
    assert block
    names = [line.split()[0] for line in block.group(1).splitlines()]
    assert not [name for name in names if not (ROOT / name).exists()]
    assert {f"{folder}/" for folder in FOLDERS} <= {name.partition("/")[0] + "/" for name in names}


def test_every_make_target_that_the_docs_name_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert not [found for found in named(r"\bmake ([a-z]+)\b") if found.what not in targets]


def test_every_console_command_and_option_that_the_docs_name_exists() -> None:
    for page, command in named(r"(?:python -m console|\bconsole) ((?:[a-z]+\b)(?:[^\n`#]*))"):
        name, *words = command.split()
        action = [words[0]] if name == "device" and words else []
        shown = io.StringIO()
        with contextlib.redirect_stdout(shown), pytest.raises(SystemExit) as ended:
            main([name, *action, "--help"])
        assert ended.value.code == 0, f"{page}: {command}"
        known = re.findall(r"--[a-z][a-z-]*", shown.getvalue())
        assert not [word for word in words if word.startswith("--") and word not in known], f"{page}: {command}"


def test_every_setting_that_the_docs_name_exists() -> None:
    branches = {
        name: field.annotation
        for name, field in Settings.model_fields.items()
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
    }
    pattern = rf"(?<![\w./-])((?:{'|'.join(branches)})\.(?!json\b|py\b)[a-z_]+)(?![\w(./-])"
    for page, setting in named(pattern):
        branch, _, key = setting.partition(".")
        assert key in branches[branch].model_fields, f"{page} names the setting {setting}"


def test_the_stage_that_the_readme_shows_is_valid() -> None:
    (shown,) = re.findall(r"```json\n(\"sandbox\".*?)```", text_of(ROOT / "README.md"), re.DOTALL)
    settings = Settings.load("sandbox", context={"stages": json.loads(f"{{{shown}}}")})
    assert settings.labeling.provider == "import"


@pytest.mark.parametrize("page", ["compilation", "operations"])
def test_settings_of_targets_that_a_page_shows_are_valid(page: str) -> None:
    found = re.findall(r"^ *```json\n( *\"compilation\".*?)```", text_of(ROOT / "docs" / f"{page}.md"), re.M | re.S)
    assert found
    for shown in found:
        settings = Settings.load("sandbox", context={"stages": {"sandbox": json.loads(f"{{{shown}}}")}})
        assert settings.compilation.chosen


def test_every_state_that_the_architecture_names_is_in_a_stack() -> None:
    text = text_of(ROOT / "docs" / "architecture.md")
    section = text[text.index("## The state machines") : text.index("## Contracts")]
    diagrams = re.findall(r"(?:^ {4}.*\n)+", section, re.MULTILINE)
    states = {word for diagram in diagrams for word in re.findall(r"\b[A-Z]\w+", diagram)}
    assert len(states) > 30  # the diagrams were found
    known = re.compile("|".join(literals(ROOT / "stacks")))
    assert not sorted(state for state in states if not known.fullmatch(state))


def test_every_stack_output_that_the_docs_read_exists() -> None:
    known = re.compile("|".join(literals(ROOT / "stacks")))
    for page, output in named(r"\$\(output ((?:\w+) (?:\w+))\)"):
        stack, key = output.split()
        assert (ROOT / "stacks" / f"{stack}.py").exists(), f"{page}: output {output}"
        assert known.fullmatch(key), f"{page}: output {output}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_page_names_a_path_of_somebodys_machine(page: Path) -> None:
    text = text_of(page)
    assert not re.findall(r"(?<![\w.:/])/(?:home|Users|root|work|tmp|mnt|private)/\S*", text)
    assert str(ROOT) not in text
    home = Path.home()
    assert home == Path("/") or str(home) not in text


def test_decisions_are_numbered_without_gap_or_repetition() -> None:
    numbers = [int(path.name[:4]) for path in DECISIONS]
    assert numbers == list(range(1, len(numbers) + 1))


@pytest.mark.parametrize("page", DECISIONS, ids=lambda page: page.name)
def test_a_decision_has_its_number_a_date_and_every_part(page: Path) -> None:
    text = text_of(page)
    assert text.startswith(f"# {page.name[:4]} ")
    assert re.search(r"^\d{4}-\d{2}-\d{2}\. Accepted\.$", text, re.MULTILINE)
    parts = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert parts == ["Context", "Decision", "Consequences", "Sources"]


def test_every_kind_of_failure_has_its_row() -> None:
    text = text_of(ROOT / "docs" / "compilation.md")
    section = text[text.index("## What a target gets") : text.index("### The package")]
    named = set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE))
    assert named == {*KINDS, "compiled", "portable", "refused"}


def test_every_function_has_its_row_and_every_row_its_function() -> None:
    """A file with a handler is a function."""
    package = ROOT / "lambda" / "reefloop"
    handlers = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if any(
            isinstance(node, ast.FunctionDef) and node.name == "handler" for node in ast.parse(path.read_text()).body
        )
    }
    rows = re.findall(r"^\| `(\w+/\w+\.py)` \|", text_of(OF_FOLDERS[0]), re.MULTILINE)
    assert sorted(rows) == sorted(handlers)


def test_every_dependency_is_listed_with_the_version_that_is_pinned() -> None:
    rows = re.findall(r"^\| ([\w@/.-]+) \| ([\d.]+) \|", text_of(DECISIONS[9]), re.MULTILINE)
    assert dict(rows) == pins()
