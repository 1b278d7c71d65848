"""Which files a tarball must hold for its framework and target: all of them, and no other."""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Final

from reefloop.compilation.hardware import Part

_NAMED: Final = 5
# macOS packs a file of its own beside each.
_OF_MACOS: Final = ("._*", "*/._*", ".DS_Store", "*/.DS_Store", "__MACOSX/*")


class SourceInvalid(Exception):
    """A tarball does not hold what its framework and its target need; the message names what is missing or too much."""


def check(names: Sequence[str], parts: Sequence[Part], what: str) -> None:
    """
    Args:
        names: the files in the tarball.
        parts: all that it must and may hold: rules.contents.
        what: the tarball, as messages call it.

    Raises:
        SourceInvalid: a file is missing, or one is too much.
    """
    needed = ", ".join(part.what for part in parts)
    of_part: dict[str, list[str]] = {part.what: [] for part in parts}
    for name in names:
        of_macos = _is_any(name, _OF_MACOS)
        part = next((part for part in parts if _is_any(name, part.patterns)), None)
        if part is None or of_macos:
            hint = ", on macOS with COPYFILE_DISABLE=1" if of_macos else ""
            raise SourceInvalid(f"{what} holds {name!r} and must hold nothing but {needed}: pack it again{hint}")
        of_part[part.what].append(name)
    for part in parts:
        found = of_part[part.what]
        if len(found) < part.least:
            raise SourceInvalid(f"{what} holds {_listed(names)} and lacks {part.what}; it must hold {needed}")
        if part.most is not None and len(found) > part.most:
            raise SourceInvalid(f"{what} holds {_listed(found)} and must hold {part.what}: leave out the others")


def _is_any(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return (", ".join(map(repr, names[:_NAMED])) or "no file") + more
