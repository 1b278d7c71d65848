"""What a person sees while the loop runs: a live picture on a terminal, a line for each change anywhere else."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Self

from rich.console import Console
from rich.live import Live
from rich.table import Table

from console.devices import Device
from console.executions import RUNNING, Execution
from console.fleet import megabytes, moment, troubles, waiting
from console.tables import plain, share

_ALERTS: Final = 5  # of each device, in the picture

_STYLES: Final = {
    "SUCCEEDED": "green",
    "Completed": "green",
    "COMPLETED": "green",
    "passed": "green",
    "HEALTHY": "green",
    "FAILED": "red",
    "Failed": "red",
    "failed": "red",
    "TIMED_OUT": "red",
    "ABORTED": "red",
    "UNHEALTHY": "red",
}


@dataclass(frozen=True)
class Row:
    """One line of the picture: what it is about, its status, and how far it has come."""

    what: str
    status: str
    detail: str

    @property
    def line(self) -> str:
        return "  ".join(part for part in (f"{self.what:<38}", f"{self.status:<10}", self.detail) if part).rstrip()


def execution_rows(execution: Execution, depth: int = 0) -> Iterator[Row]:
    """An execution, its jobs and what is below it."""
    indent = "  " * depth
    states = ", ".join(f"{name} x{count}" if count > 1 else name for name, count in execution.states.items())
    detail = states if execution.status == RUNNING else execution.error
    yield Row(f"{indent}{execution.stage} {execution.name if depth == 0 else ''}".rstrip(), execution.status, detail)
    if execution.asks:
        yield Row(f"{indent}  your decision", "WAITING", execution.asks)
    for job in execution.jobs:
        told = [job.detail, job.reason] if job.failed else [job.detail]
        yield Row(f"{indent}  {job.kind} job …{job.name[-8:]}", job.status, ": ".join(filter(None, told)))
    for child in execution.children:
        yield from execution_rows(child, depth + 1)


def device_rows(devices: Iterable[Device]) -> Iterator[Row]:
    """Each device with what it serves, saw, sends and keeps waiting, and below it its newest alerts."""
    for device in devices:
        told = [
            f"model {device.model_version}, self-test {device.self_test}" if device.model_version else "no model yet",
            f"{device.frames} frames",
        ]
        if sent := device.status.get("sent"):
            told.append(f"{megabytes(sent['hour'])} of {megabytes(sent['hour_budget'])} sent in an hour")
        if waits := waiting(device.status):
            told.append(f"{waits} wait")
        yield Row(f"device {device.thing}", device.health, ", ".join([*told, *troubles(device)]))
        for alert in device.alerts[-_ALERTS:]:
            yield Row("  alert", alert.body["species"], f"{share(alert.body['probability'])} at {moment(alert.at)}")


@dataclass
class Screen:
    """The terminal. Everything that is to stay goes through `say`; `show` draws what is so at the moment."""

    terminal: Console = field(
        default_factory=lambda: Console(highlight=False, width=None if sys.stdout.isatty() else 120)
    )
    _live: Live | None = None
    _told: set[str] = field(default_factory=set)

    def __enter__(self) -> Self:
        if self.terminal.is_terminal:
            self._live = Live(console=self.terminal, refresh_per_second=4, transient=True)
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._live:
            self._live.stop()
            self._live = None

    def say(self, text: str, style: str = "") -> None:
        self.terminal.print(plain(text), style=style, soft_wrap=True)

    def print(self, table: Table) -> None:
        """Leave a table behind."""
        self.terminal.print(table)
        self.terminal.print()

    def show(self, rows: Sequence[Row]) -> None:
        """Draw the rows in place of the earlier ones; without a terminal, print those that were not seen before."""
        if self._live:
            self._live.update(_picture(rows))
            return
        for row in rows:
            self.keep(row)

    def keep(self, row: Row) -> None:
        """Leave a row behind, if it was not left before."""
        if row.line not in self._told:
            self._told.add(row.line)
            self.say(row.line)

    def clear(self) -> None:
        """Take the picture away: what it showed is over, and what comes next may look the same."""
        self._told.clear()
        if self._live:
            self._live.update("")


def _picture(rows: Sequence[Row]) -> Table:
    table = Table.grid(padding=(0, 2))
    for row in rows:
        status = plain(row.status)
        status.stylize(_STYLES.get(row.status, "yellow"))
        table.add_row(plain(row.what), status, plain(row.detail))
    return table
