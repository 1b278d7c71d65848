"""What became of every target of a compilation: the tables that compile, watch, report and the demo show alike."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from botocore.exceptions import ClientError
from rich.table import Table

from console.clients import Clients
from console.screen import Screen
from console.tables import PlainTable, plain
from reefloop import contracts as c

Document = Mapping[str, Any]

COMPILED: Final = "compiled"
_NAME_WIDTH: Final = 20
_STYLES: Final = {COMPILED: "green", "portable": "yellow", "refused": "red"}


def read(clients: Clients, bucket: str, model_version: str, *, since: datetime | None = None) -> list[Document]:
    """The packages that the last compilation of a model left in models/<version>/compilation.json.

    Args:
        since: what was written before is of an earlier compilation, and not meant.

    Returns:
        One package per target, as payloads.Package; none where there is no such file.
    """
    try:
        found = clients("s3").get_object(Bucket=bucket, Key=c.model_key(model_version, "compilation.json"))
    except ClientError as error:
        if error.response["Error"]["Code"] not in {"NoSuchKey", "404"}:
            raise
        return []
    # S3 tells whole seconds only.
    if since and found["LastModified"] < since.replace(microsecond=0):
        return []
    packages: list[Document] = json.loads(found["Body"].read())[c.PACKAGES]
    return packages


def models_of(clients: Clients, bucket: str, round_: str) -> list[str]:
    """The versions of the models that were trained on a round's dataset: its name, and a digest of the recipe."""
    prefix = c.model_key(f"{round_}-").rstrip("/")
    pages = clients("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix, Delimiter="/")
    found = [one["Prefix"].split("/")[1] for page in pages for one in page.get("CommonPrefixes", [])]
    # Of round 1, and not of a round 1-2.
    return [version for version in found if re.fullmatch(rf"{re.escape(round_)}-[0-9a-f]{{8}}", version)]


def show(screen: Screen, packages: Sequence[Document]) -> None:
    """Leave the tables behind."""
    for table in tables(packages):
        screen.print(table)


def tables(packages: Sequence[Document]) -> Iterator[Table]:
    """Every target with what can be measured of it, and below why the others got no compiled model."""
    if not packages:
        return
    yield _outcomes(packages)
    if any(package.get("failure") for package in packages):
        yield _failures(packages)


def failed(packages: Iterable[Document]) -> list[str]:
    """The targets that got no compiled model, each with the kind of failure."""
    return [
        f"{package[c.TARGET]} is {package[c.OUTCOME]} ({(package.get('failure') or {}).get('kind', 'unknown')})"
        for package in packages
        if package[c.OUTCOME] != COMPILED
    ]


def _outcomes(packages: Sequence[Document]) -> Table:
    """Milliseconds are of one image: the median and in brackets the 99th percentile."""
    table = PlainTable("target", "outcome", "KiB", "agreement", "ms (p99)", "portable ms (p99)", "times as fast")
    # The other columns give way first, unless a very long name would leave them nothing.
    longest = max(len(package[c.TARGET]) for package in packages)
    table.columns[0].width = longest if longest <= _NAME_WIDTH else None
    for package in packages:
        parity = package.get("parity")
        outcome, size = package[c.OUTCOME], package["bytes"]
        table.add(
            package[c.TARGET],
            outcome,
            f"{size / 1024:.0f}" if size else None,
            *(_measured(parity) if parity else (None,) * 4),
            style="" if outcome == COMPILED else _STYLES[outcome],
        )
    if any(package.get("parity") for package in packages):
        table.caption = plain("portable: the same model in ONNX Runtime, which optimises it as it loads")
        table.caption_justify = "left"
    return table


def _measured(parity: Document) -> tuple[str, ...]:
    agreement = f"{parity['golden_agreement']:.1%} of {parity['golden']} golden"
    if parity["agreement"] is not None:
        agreement += f", {parity['agreement']:.2%} of {parity['objects']}"
    return (
        agreement,
        _milliseconds(parity["p50_ms"], parity["p99_ms"]),
        _milliseconds(parity["source_p50_ms"], parity["source_p99_ms"]),
        f"{parity['source_p50_ms'] / parity['p50_ms']:.1f}" if parity["p50_ms"] else "-",
    )


def _milliseconds(median: float, slow: float) -> str:
    return f"{median:.3g} ({slow:.3g})"


def _failures(packages: Sequence[Document]) -> Table:
    """Targets that failed for the same reason share a row."""
    alike: dict[tuple[str, str, str], list[str]] = {}
    for package in packages:
        if failure := package.get("failure"):
            key = (failure["kind"], " ".join(failure["reason"].split()), failure["advice"])
            alike.setdefault(key, []).append(package[c.TARGET])
    table = PlainTable("not compiled", "kind", "why", "what to do")
    for (kind, reason, advice), names in alike.items():
        table.add(", ".join(names), kind, reason, advice)
    return table
