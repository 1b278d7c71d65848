"""HTML that its data cannot break: text and attributes are escaped where they become markup, nowhere else."""

from collections.abc import Iterable
from html import escape
from typing import Final, TypeAlias


class Markup(str):
    """Markup that is safe to write as it is. Everything else is text and gets escaped."""

    __slots__ = ()


Content: TypeAlias = "str | float | Iterable[Markup] | None"
"""Text, a number, markup or several pieces of it; None is nothing."""

_EMPTY: Final = frozenset({"br", "img", "meta"})


def element(tag: str, *content: Content, **attributes: object) -> Markup:
    """One element with its content.

    An attribute's name ends with `_` where it is a word of Python's, and has `_` for `-`; one that is None is left out.
    """
    given = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{escape(str(value))}"'
        for name, value in attributes.items()
        if value is not None
    )
    if tag in _EMPTY:
        return Markup(f"<{tag}{given}>")
    return Markup(f"<{tag}{given}>{''.join(map(_safe, content))}</{tag}>")


def _safe(content: Content) -> str:
    if content is None or isinstance(content, Markup):
        return content or ""
    if isinstance(content, str | int | float):
        return escape(str(content))
    return "".join(map(_safe, content))
