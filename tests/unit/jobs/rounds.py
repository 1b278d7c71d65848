"""A finished round on disk, and the merges that make dataset versions of it."""

import json
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jobs.__main__ import main
from jobs.manifest import labeled
from tests.unit.jobs.bench import ATTRIBUTE, BUCKET, ml_root, read_lines

CATEGORIES = ["crab", "squid", "whale"]
SPLITS = ("train", "validation", "test", "audit")
NOBODY: dict[str, Any] = {"error": None, "who": None, "candidates": []}


def pooled(number: object, fingerprint: int | None = None) -> dict[str, str]:
    """One line of a pool."""
    line = {"source-ref": f"{BUCKET}images/upload/{number}.jpg", "content": f"content-{number}"}
    return line if fingerprint is None else {**line, "fingerprint": f"{fingerprint:016x}"}


def label(
    line: Mapping[str, Any],
    name: str = "crab",
    *,
    by_human: bool = True,
    day: int = 1,
    categories: list[str] = CATEGORIES,
) -> dict[str, Any]:
    """A pool's line with a label."""
    date = {"creation-date": f"2026-01-{day:02}T12:00:00.000000"}
    made = labeled(line, ATTRIBUTE, categories, name, by_human=by_human, confidence=1, job_name="job")
    return {**made, f"{ATTRIBUTE}-metadata": {**made[f"{ATTRIBUTE}-metadata"], **date}}


@dataclass
class Merges:
    """Rounds and the dataset versions that they became, under one folder."""

    folder: Path
    gold: list[dict[str, Any]] = field(default_factory=list)
    categories: list[str] = field(default_factory=lambda: CATEGORIES)

    def dataset(self, version: str) -> Path:
        return self.folder / "datasets" / version

    def listed(self, version: str, name: str) -> list[str]:
        """The S3 URIs in one of a version's lists of images."""
        first, *rest = json.loads((self.dataset(version) / f"{name}-images.json").read_text())
        return [first["prefix"] + key for key in rest]

    def put_round(
        self,
        lines: Iterable[Mapping[str, Any] | bytes],
        *,
        audited: Iterable[Mapping[str, Any]] = (),
        left_over: Iterable[Mapping[str, Any]] = (),
        looks: Iterable[Mapping[str, Any]] = (),
        fates: Mapping[str, Any] | None = None,
        human_level: Mapping[str, Any] | None = None,
    ) -> None:
        """The results of the round that is merged next."""
        folder = self.folder / "ml" / "processing" / "input"
        shutil.rmtree(folder, ignore_errors=True)
        for name, content in {
            "round/consolidated.manifest": lines,
            "round/left-over.manifest": left_over,
            "round/routing/algo-1/audit.manifest": audited,
            "round/routing/algo-1/gold.manifest": looks,
            "gold/gold.manifest": self.gold,
        }.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            raw = (one if isinstance(one, bytes) else json.dumps(one).encode() for one in content)
            path.write_bytes(b"".join(one + b"\n" for one in raw))
        (folder / "round" / "routing" / "algo-1" / "routing.json").write_text('{"hosts": 1}')
        (folder / "round" / "fates.json").write_text(json.dumps(fates or {}))
        (folder / "round" / "human-level.json").write_text(json.dumps(human_level or NOBODY))
        names = [{"label": name} for name in self.categories]
        (folder / "gold" / "label-categories.json").write_text(json.dumps({"labels": names}))

    def merge(self, version: str, *, previous: str | None = None, **options: object) -> int:
        """Run the verb; the exit code."""
        root = self.folder / "ml"
        if previous:
            shutil.copytree(self.dataset(previous), root / "processing" / "input" / "previous", dirs_exist_ok=True)
        chosen = {"label_attribute": ATTRIBUTE, "task": "classification", "dataset_version": version}
        chosen |= {"audit_share": 0.1, **options}
        arguments = [part for name, value in chosen.items() for part in (f"--{name.replace('_', '-')}", str(value))]
        out = root / "processing" / "output" / "dataset"
        shutil.rmtree(out, ignore_errors=True)
        with ml_root(root):
            code = main(["merge", *arguments])
        if code == 0:
            shutil.copytree(out, self.dataset(version), dirs_exist_ok=True)
        return code

    @property
    def message(self) -> str:
        """Why the last merge failed."""
        return (self.folder / "ml" / "output" / "message").read_text()

    def splits(self, version: str) -> dict[str, dict[str, dict[str, Any]]]:
        """The lines of every split, by what names the object."""
        return {
            name: {
                line.get("content", line["source-ref"]): line
                for line in read_lines(self.dataset(version) / f"{name}.manifest")
            }
            for name in SPLITS
        }

    def where(self, version: str) -> dict[str, str]:
        """The split of every object."""
        return {name: split for split, lines in self.splits(version).items() for name in lines}

    def card(self, version: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.dataset(version) / "card.json").read_text())
        return found
