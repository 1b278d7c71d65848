"""Who labels what: the machine what it is sure of, people the rest, in the order in which it is worth their while.

Everything streams: of a million objects a few megabytes are in memory at a time.
"""

import hashlib
import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from json.encoder import encode_basestring as quoted
from math import ceil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, TextIO
from zlib import crc32

from jobs import manifest
from jobs.labeling import predictions
from jobs.labeling.acceptance import Rule
from jobs.labeling.audit import is_audited
from jobs.labeling.predictions import Labeler, Opinion
from jobs.labeling.spill import SortedLines
from jobs.manifest import Entry
from jobs.paths import atomic

BANDS: Final = 10
"""People get objects in bands of equal width of the margin between the machine's two best labels, smallest first."""
GROUPS: Final = 2**16
"""Groups of like objects are counted in a table of this size: two that share a place only share their turns."""


@dataclass(frozen=True)
class Terms:
    """What a round is routed by."""

    rule: Rule
    machine: Labeler
    audit_share: float
    honeypot_share: float
    seed: int


@dataclass
class Routed:
    """How many objects went where: each to the machine or to people."""

    machine: int = 0
    human: int = 0
    audit: int = 0
    """How many of all these belong to the audit."""
    checked: int = 0
    """How many of the machine's do: people label them too."""
    honeypots: int = 0


def route(folder: Path, gold: Sequence[Mapping[str, Any]], terms: Terms) -> Routed:
    """Write machine.manifest, human.manifest and audit.manifest beside predictions.manifest.

    The machine keeps what the rule accepts, except what a device selected (`is_selected`). Of that, what belongs to
    the audit goes to people as well; audit.manifest has all of the audit, whoever labels it, since it is a sample of
    the pool and not of what one machine accepts. Everything else is people's, in order of its value to them:

    1. The band of the machine's margin, the narrowest first: there an answer changes most (uncertainty sampling, B.
       Settles, "Active Learning Literature Survey", 2009, section 3.1, https://burrsettles.com/pub/settles.activelearning.pdf).
    2. Within it the first of every group of like objects before the second of any, a group being what comes from one
       source and is between the same two labels: work that ends early has seen everything.
    3. A hash of the object.

    Gold and the machine's audited objects stand at random places between them, and nothing in a line tells them apart.

    Args:
        folder: has predictions.manifest.
        gold: lines about objects whose label is known, to be mixed in as honeypots as far as they go.

    Raises:
        JobError: a broken line of predictions.manifest, naming it.
    """
    routed = Routed()
    with TemporaryDirectory(dir=folder, prefix=".routing-") as spill, ExitStack() as files:
        human, hidden = (SortedLines(_made(Path(spill) / name)) for name in ("human", "hidden"))
        by_machine, in_audit = (_writing(files, folder / f"{name}.manifest") for name in ("machine", "audit"))
        turns, texts, chance = _Turns(terms.seed), _label_texts(terms), 0
        for entry in manifest.read(folder / predictions.FILE):
            text, content = _unlabeled_text(entry), entry.content
            opinion = predictions.read(entry, terms.machine.attribute)
            accepted = opinion if _accepts(terms.rule, opinion, entry.source_ref) else None
            audited = is_audited(content, terms.audit_share)
            if audited:
                in_audit.write(text + "\n")
                routed.audit += 1
            if accepted:
                before, after = texts[accepted.label]
                by_machine.write(f"{text[:-1]}, {before}{round(accepted.confidence, 6)}{after}\n")
                routed.machine += 1
                if not audited:
                    continue
            draw = turns.draw(content)
            chance ^= draw
            if accepted:
                hidden.add(f"{draw:016x}", text)
            else:
                human.add(turns.key(opinion, source(entry.source_ref), draw), text)
        routed.human, routed.checked = human.count, hidden.count
        # The round's content decides every draw: run again, a round gives people the same work.
        chooser = random.Random(manifest.digest(terms.seed, chance))  # noqa: S311 (no secret)
        wanted = honeypots_for(routed.human + routed.checked, terms.honeypot_share)
        for known in chooser.sample(gold, min(wanted, len(gold))):
            hidden.add(f"{chooser.getrandbits(64):016x}", manifest.text_of(known))
        routed.honeypots = hidden.count - routed.checked
        _writing(files, folder / "human.manifest").writelines(_mixed(human, hidden, chooser))
    return routed


class _Turns:
    """The order of people's work, a key for every object."""

    def __init__(self, seed: int) -> None:
        self._seed = manifest.digest(seed).to_bytes(8)
        self._counts = [0] * GROUPS

    def draw(self, content: str) -> int:
        """A number below 2**64 that is the object's for this seed."""
        return int.from_bytes(hashlib.blake2b(content.encode(), digest_size=8, key=self._seed).digest())

    def key(self, opinion: Opinion | None, source: str, draw: int) -> str:
        """Band, turn and draw, as text that sorts as they do."""
        band, between = 0, "\n"
        if opinion:
            band, between = min(int(opinion.margin * BANDS), BANDS - 1), f"{opinion.label}\n{opinion.runner_up}"
        group = crc32(f"{band}\n{between}\n{source}".encode()) % GROUPS
        self._counts[group] += 1
        return f"{band}{self._counts[group]:012d}{draw:016x}"


def _accepts(rule: Rule, opinion: Opinion | None, source_ref: str) -> bool:
    return opinion is not None and rule.accepts(opinion.label, opinion.confidence) and not is_selected(source_ref)


def _unlabeled_text(entry: Entry) -> str:
    """The line without labels. Three texts at most: quoting them takes a third of the time of an encoder."""
    values = manifest.without_labels(entry.values)
    try:
        return "{" + ", ".join([f"{quoted(name)}: {quoted(value)}" for name, value in values.items()]) + "}"
    except TypeError:
        raise entry.error(f"needs texts in {', '.join(map(repr, values))}, got {values}") from None


def _label_texts(terms: Terms) -> dict[str, tuple[str, str]]:
    """What the machine adds to a line, by label: the text before the confidence and the text after it."""
    marker = '"confidence": 0.0'  # in no string of JSON: its quotes would be escaped there
    texts = {}
    for label in terms.rule.thresholds:
        before, after = manifest.text_of(terms.machine.labeled({}, label, 0.0)).split(marker)
        texts[label] = f"{before[1:]}{marker[:-3]}", after
    return texts


def source(source_ref: str) -> str:
    """Where an image comes from: X of s3://bucket/images/X/..., edge/X of s3://bucket/images/edge/X/..."""
    folders = source_ref.split("/", 6)[4:-1]
    return "/".join(folders if folders[:1] == ["edge"] else folders[:1])


def is_selected(source_ref: str) -> bool:
    """Whether a device chose this image because its model was unsure of it: no bound speaks of such."""
    return source_ref.split("/", 5)[3:5] == ["images", "edge"]


def honeypots_for(objects: int, share: float) -> int:
    """How many gold objects make `share` of the people's work when mixed into this many others."""
    # Rounded first: 33 * 0.4 / 0.6 is a little more than 22.
    return ceil(round(objects * share / (1 - share), 9))


def _mixed(ones: SortedLines, others: SortedLines, chooser: random.Random) -> Iterator[str]:
    """Both, each in its own order, every way of putting them between each other equally likely."""
    iterators, left = (iter(ones), iter(others)), [ones.count, others.count]
    while total := sum(left):
        which = chooser.random() * total >= left[0]
        left[which] -= 1
        yield next(iterators[which])


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _writing(files: ExitStack, path: Path) -> TextIO:
    """A file that takes its place when the stack ends well."""
    temporary = files.enter_context(atomic(path))
    return files.enter_context(temporary.open("w", encoding="utf-8", newline="\n"))
