"""The card of a dataset version: what is in it, where it comes from, and how far it can be trusted."""

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from jobs.labeling.dataset import Tally
from jobs.labeling.intervals import wilson
from jobs.labeling.splits import SPLITS, NearDuplicates

SOURCES: Final = ("human", "machine", "audit", "unsettled")
MERGED: Final = (
    "new", "replaced", "gave_way", "duplicate", "gold", "overwritten", "near_audit", "audit_by_machine", "unsettled",
)  # fmt: skip
CHECKED: Final = ("objects", "disagreements", "unsettled")


def card(
    *,
    version: str,
    before: Mapping[str, Any],
    task: str,
    labels: list[str],
    tally: Tally,
    near: NearDuplicates,
    fates: Mapping[str, Any],
    merged: Counter[str],
    human_level: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """The content of card.json. The same inputs give the same card: it holds no time of its own.

    version          this version: the round that made it
    previous         the version that it grew from, null for the first
    task             classification or detection
    labels           the classes in the order of the model's outputs
    objects          how many objects it has, the audit's included
    splits           {split: objects}
    sources          {source: objects}: human; machine; audit (people labeled it, and nothing trains on it);
                     unsettled (likewise, and people did not agree)
    classes          {class: {split or source: objects}}; for detection boxes instead of objects, for all pictures
    rounds           one entry per round, in order: {"round", source: objects whose present label it gave,
                     "checked": {"objects", "disagreements", "unsettled"}}: how many of its machine's labels the
                     audit checked, how many people contradicted, about how many they came to no label
    label_error      {"human", "machine"}: the estimated share of wrong labels, {"error", "low", "high", "objects",
                     "errors", "from"}, with its 95 % interval. machine: from the audits of all rounds; for the
                     upper end all that is unsettled counts as errors. human: from what the largest team made of
                     gold, as in human_level; null as long as nobody has answered any
    near_duplicates  {"groups", "objects", "bridges"} over all rounds: groups of near-duplicates that were kept in
                     one split, the objects that joined them, and how many groups have near-duplicates in several
                     splits all the same (splits.py says when)
    human_level      the human level as this round measured it, or else as it was known before
    round            what became of the round: the content of fates.json (human, machine, uncertain, unanswered,
                     withdrawn, unreadable, gold, duplicate), and in "merged" what became of its labels: new,
                     replaced (an older label), gave_way (to a person's older label), duplicate (of an object that
                     another line labels), gold, overwritten (the picture has changed), near_audit (kept out as
                     near-duplicate of gold or of an audit object), audit_by_machine (kept out as labeled by a machine
                     alone);
                     and unsettled: audit objects that came without a label
    """
    checked = _checked(fates)
    earlier = {one["round"]: one for one in before.get("rounds", [])}
    rounds = [
        {
            "round": name,
            **{source: tally.rounds[name][source] for source in SOURCES},
            "checked": checked if name == version else earlier[name]["checked"],
        }
        for name in dict.fromkeys([*earlier, version])
    ]
    known = before.get("near_duplicates", {})
    return {
        "version": version,
        "previous": before.get("version"),
        "task": task,
        "labels": labels,
        "objects": tally.objects,
        "splits": {name: tally.splits[name] for name in SPLITS},
        "sources": {name: tally.sources[name] for name in SOURCES},
        "classes": {
            label: {name: tally.classes[label][name] for name in (*SPLITS, "human", "machine")} for label in labels
        },
        "rounds": rounds,
        "label_error": {"human": _human_error(human_level), "machine": _machine_error(rounds)},
        "near_duplicates": {name: known.get(name, 0) + value for name, value in vars(near).items()},
        "human_level": human_level,
        "round": {**fates, "merged": {name: merged[name] for name in MERGED}},
    }


def _checked(fates: Mapping[str, Any]) -> dict[str, int]:
    """The round's audit of its machine's labels; nothing when they were withdrawn and so are not in the dataset."""
    audit = fates.get("audit") or {}
    return {name: 0 if audit.get("withdrawn") else audit.get(name, 0) for name in CHECKED}


def _machine_error(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    objects, errors, unsettled = (sum(one["checked"][name] for one in rounds) for name in CHECKED)
    settled = objects - unsettled
    return {
        "error": errors / settled if settled else None,
        "low": wilson(errors, objects)[0],
        "high": wilson(errors + unsettled, objects)[1],
        "objects": objects,
        "errors": errors,
        "from": "audit",
    }


def _human_error(level: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Of the largest team, since what all who looked at an object said became its label."""
    if not level:
        return None
    teams = [one for one in level.get("candidates", []) if one.get("kind") == "team"]
    best = max(teams, key=lambda one: len(one["members"]), default=level)
    return {
        "error": best["error"],
        "low": best["low"],
        "high": best["high"],
        "objects": best["gold_objects"],
        "errors": best["gold_errors"],
        "from": f"gold: {best['who']}",
    }
