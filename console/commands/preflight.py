"""`preflight`: a table of what was found, what is needed and what to do."""

import argparse
from typing import Final

from rich.console import Console
from rich.table import Table

from console.clients import clients
from console.errors import Refusal
from console.preflight import run as run_checks
from console.preflight.check import Finding
from settings import Settings, SettingsError

_MARKS: Final = {"ok": "ok", "unknown": "?", "blocks": "BLOCKS"}


def run(options: argparse.Namespace) -> int:
    try:
        settings = Settings.load(options.stage)
    except SettingsError as error:
        raise Refusal(str(error)) from error
    terminal = Console()
    with terminal.status("looking …") as status:
        findings = run_checks(clients(settings.region), settings, seen=lambda name: status.update(f"looking: {name}"))
    terminal.print(_table(findings))
    blocking = [finding.name for finding in findings if finding.state == "blocks"]
    terminal.print(f"Blocked by: {', '.join(blocking)}." if blocking else "Nothing blocks this account.")
    return 1 if blocking else 0


def _table(findings: list[Finding]) -> Table:
    table = Table("", "check", "found", "needed", "what to do")
    for finding in findings:
        table.add_row(_MARKS[finding.state], finding.name, finding.found, finding.needed, finding.todo)
    return table
