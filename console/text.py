"""Words of others on a terminal: a model's name or a compiler's complaint is shown, never obeyed."""

from typing import Final

_UNKNOWN: Final = "\N{REPLACEMENT CHARACTER}"


def printable(text: str) -> str:
    """The text without what a terminal acts upon: escape sequences, and marks that turn the direction of writing.

    Lines stay lines; any other white space becomes a blank.
    """
    return "".join(map(_printable, text))


def _printable(character: str) -> str:
    if character == "\n" or character.isprintable():
        return character
    return " " if character.isspace() else _UNKNOWN
