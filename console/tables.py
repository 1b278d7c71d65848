"""Tables on a terminal whose cells are shown as they are: no markup, no emoji codes, nothing that a terminal obeys."""

from collections.abc import Mapping
from typing import Any

from rich.table import Table
from rich.text import Text

from console.text import printable


class PlainTable(Table):
    """A table without edges, whose cells are never cut: a word too long for its column goes on in the next line.

    Rows go in through `add`.
    """

    def __init__(self, *columns: str) -> None:
        super().__init__(show_edge=False, pad_edge=False)
        for name in columns:
            self.add_column(name, overflow="fold")

    def add(self, *values: object, style: str = "") -> None:
        """Add a row; what is None is shown as a dash."""
        self.add_row(*map(plain, values), style=style)


def plain(value: object) -> Text:
    """A value as it is. A string would be read for what it says: [b] as bold, :fish: as a picture of one."""
    return Text("-" if value is None else printable(str(value)))


def share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def interval(one: Mapping[str, Any], low: str = "low", high: str = "high") -> str:
    return f"{one[low]:.1%} to {one[high]:.1%}"
