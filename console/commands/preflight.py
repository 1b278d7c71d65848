"""`preflight`: a table of what was found, what is needed and what to do."""

import argparse
import sys
from typing import Final

from rich.console import Console
from rich.table import Table

from console.clients import clients, load_settings
from console.preflight import run as run_checks
from console.preflight.check import Finding
from console.tables import plain

_MARKS: Final = {"ok": "ok", "unknown": "?", "blocks": "BLOCKS"}


def run(options: argparse.Namespace) -> int:
    settings = load_settings(options.stage)
    # Without a terminal there is nobody whose window could be too narrow.
    terminal = Console(width=None if sys.stdout.isatty() else 160)
    with terminal.status("looking …") as status:
        findings = run_checks(clients(settings.region), settings, seen=lambda name: status.update(f"looking: {name}"))
    terminal.print(_table(findings))
    blocking = [finding.name for finding in findings if finding.state == "blocks"]
    terminal.print(f"Blocked by: {', '.join(blocking)}." if blocking else "Nothing blocks this account.")
    return 1 if blocking else 0


def _table(findings: list[Finding]) -> Table:
    table = Table("", "check", "found", "needed", "what to do")
    for finding in findings:
        texts = (_MARKS[finding.state], finding.name, finding.found, finding.needed, finding.todo)
        table.add_row(*map(plain, texts))
    return table
