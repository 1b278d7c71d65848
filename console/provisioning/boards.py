"""Kinds of boards that a stage compiles for, and what becomes of a device that does not say which it is.

A device says so in a custom attribute of its platform, and takes the first manifest that fits:
https://docs.aws.amazon.com/greengrass/v2/developerguide/greengrass-nucleus-component.html (platformOverride)
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

from console.errors import Refusal
from settings import Settings

_BOARD: Final = "board"
# What a nucleus knows of its device by itself.
_KNOWN: Final = frozenset({"os", "architecture", "runtime"})


@dataclass(frozen=True)
class Boards:
    """`platforms` has the os and architecture of each board ("linux aarch64"), `plain` those that have a target for
    devices of any board."""

    stage: str
    platforms: Mapping[str, str]
    plain: frozenset[str]

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The boards of a stage's `compilation.targets`."""
        cores = [target.greengrass for target in settings.compilation.chosen if target.greengrass]
        return cls(
            settings.stage,
            {core[_BOARD]: _platform(core) for core in cores if _BOARD in core},
            frozenset(_platform(core) for core in cores if core.keys() <= _KNOWN),
        )

    def check(self, board: str) -> None:
        """
        Raises:
            Refusal: no target of the stage is for this board; names the boards that have one.
        """
        if board not in self.platforms:
            named = f"it has some for {', '.join(self.platforms)}" if self.platforms else "it has none for any board"
            raise Refusal(
                f"stage {self.stage} has no target for board {board!r} in compilation.targets: {named}; a device that "
                f"names no board {self.without()}"
            )

    def without(self, board: str = "") -> str:
        """What a device gets that names no board: one that is this board, or any."""
        wanted = {self.platforms[board]} if board else self.plain
        if wanted & self.plain:
            return f"gets the model for {' or '.join(sorted(wanted))}"
        return f"gets no model: none of the targets is for {' or '.join(wanted) or 'an architecture'} alone"


def _platform(core: Mapping[str, str]) -> str:
    return f"{core.get('os', '*')} {core.get('architecture', '*')}"
