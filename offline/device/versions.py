"""Version requirements in the notation of npm, as ComponentDependencies writes them.

https://docs.aws.amazon.com/greengrass/v2/developerguide/component-recipe-reference.html and
https://github.com/npm/node-semver#ranges. Pre-releases are compared by their numbers alone.
"""

import re
from collections.abc import Iterator

Version = tuple[int, int, int]
Bound = tuple[str, Version]

_TERM = re.compile(r"(>=|<=|>|<|=|==|\^|~)?\s*v?(\d+|[xX*])(?:\.(\d+|[xX*]))?(?:\.(\d+|[xX*]))?(?:[-+][\w.+-]*)?")
_HOLDS = {
    ">=": lambda version, bound: version >= bound,
    ">": lambda version, bound: version > bound,
    "<=": lambda version, bound: version <= bound,
    "<": lambda version, bound: version < bound,
    "=": lambda version, bound: version == bound,
}


def parse(version: str) -> Version:
    """The three numbers of a version."""
    major, minor, patch = re.split(r"[-+]", version, maxsplit=1)[0].split(".")
    return int(major), int(minor), int(patch)


def satisfies(version: str, requirement: str) -> bool:
    """Whether the version meets the requirement.

    Raises:
        ValueError: the requirement is not in the notation.
    """
    number = parse(version)
    alternatives = requirement.split("||")
    return any(all(_HOLDS[how](number, bound) for how, bound in _bounds(part)) for part in alternatives)


def _bounds(text: str) -> Iterator[Bound]:
    """The comparisons that one alternative of a requirement stands for."""
    rest = re.sub(r"(\S+)\s+-\s+(\S+)", r">=\1 <=\2", text.strip())
    while rest:
        term = _TERM.match(rest)
        if not term:
            raise ValueError(f"version requirement {text!r}: cannot read {rest!r}")
        yield from _term(term)
        rest = rest[term.end() :].lstrip(" ,")


def _term(term: re.Match[str]) -> Iterator[Bound]:
    operator, *parts = term.groups()
    numbers = [int(part) for part in parts if part and part.isdigit()]
    if not numbers:
        return
    low: Version = (*numbers, 0, 0, 0)[:3]  # type: ignore[assignment]  # three of at most six
    if operator in (">", ">=", "<", "<="):
        yield operator, low
        return
    if operator == "^":
        fixed = next((index for index, number in enumerate(numbers) if number), len(numbers) - 1)
    elif operator == "~":
        fixed = min(1, len(numbers) - 1)
    elif len(numbers) == 3:
        yield "=", low
        return
    else:
        fixed = len(numbers) - 1
    above = [*low[:fixed], low[fixed] + 1, 0, 0]
    yield ">=", low
    yield "<", (above[0], above[1], above[2])
