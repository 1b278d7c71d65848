"""Consolidation: every object meets one fate, what people say decides, what they disagree about goes to experts."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.unit.jobs.bench import ATTRIBUTE, BUCKET, Bucket, consolidate, read_lines, response, write_lines
from tests.unit.jobs.images import CLASSES

PEOPLE = ("anna", "ben", "carla")
Answers = dict[str, dict[str, str]]


def put_round(
    bucket: Bucket, round_: str, count: int, *, gold: int = 0, machine: int = 0, audit: int = 0, hosts: int = 2
) -> list[dict[str, Any]]:
    """A scored round without pictures: the first `machine` objects are the machine's, the rest and gold people's.

    The last `audit` of the machine's are people's as well, to check it.
    """
    pool = []
    for number in range(count):
        pool.append({"source-ref": f"{BUCKET}images/{round_}-{number}.jpg", "content": f"{round_}-{number}"})
        bucket.truth[pool[-1]["source-ref"]] = CLASSES[number % len(CLASSES)]
    known = [{"source-ref": f"{BUCKET}gold/{number}.jpg", "content": f"gold-{number}"} for number in range(gold)]
    bucket.truth |= {line["source-ref"]: CLASSES[number % len(CLASSES)] for number, line in enumerate(known)}
    bucket.put_gold(known)
    write_lines(bucket.round(round_) / "pool.manifest", pool)
    parts = {
        "machine": [machine_line(bucket, line) for line in pool[:machine]],
        "audit": pool[machine - audit : machine],
        "human": [{**line, "fingerprint": "0" * 16} for line in [*pool[machine - audit :], *known]],
    }
    for host in range(hosts):
        for name, lines in parts.items():
            put_routing(bucket, round_, name, lines[host::hosts], host)
        folder = bucket.round(round_) / "routing" / f"algo-{host + 1}"
        (folder / "routing.json").write_text(json.dumps({"hosts": hosts, "unreadable": []}))
    return pool


def machine_line(bucket: Bucket, line: dict[str, Any], label: str = "") -> dict[str, Any]:
    labeled = bucket.labeled(line, label or bucket.truth[line["source-ref"]], "model/m-1")
    labeled[f"{ATTRIBUTE}-metadata"]["human-annotated"] = "no"
    return labeled


def put_routing(bucket: Bucket, round_: str, name: str, lines: list[dict[str, Any]], host: int = 0) -> None:
    write_lines(bucket.round(round_) / "routing" / f"algo-{host + 1}" / f"{name}.manifest", lines)


def right_answers(bucket: Bucket, round_: str, people: tuple[str, ...] = PEOPLE) -> Answers:
    lines = bucket.routed(round_, "human.manifest")
    return {line["source-ref"]: dict.fromkeys(people, bucket.truth[line["source-ref"]]) for line in lines}


def wrong(bucket: Bucket, ref: str) -> str:
    return CLASSES[(CLASSES.index(bucket.truth[ref]) + 1) % 3]


def found(bucket: Bucket, name: str, round_: str = "r1") -> Any:
    return bucket.found(round_, name)


def refs(bucket: Bucket, name: str, round_: str = "r1") -> list[str]:
    return [line["source-ref"] for line in read_lines(bucket.round(round_) / f"{name}.manifest")]


def message(root: Path) -> str:
    return (root / "output" / "message").read_text()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "ml"


def test_a_round_becomes_one_label_for_each_object(bucket: Bucket, root: Path) -> None:
    pool = put_round(bucket, "r1", 40, gold=5, machine=10)
    bucket.answer("r1", right_answers(bucket, "r1"))
    assert consolidate(bucket, root, "r1", job_name="j") == 0
    lines = {line["source-ref"]: line for line in read_lines(bucket.round("r1") / "consolidated.manifest")}
    assert lines.keys() == {line["source-ref"] for line in pool}
    for number, one in enumerate(pool):
        line = lines[one["source-ref"]]
        metadata = line[f"{ATTRIBUTE}-metadata"]
        assert (line["content"], metadata["class-name"]) == (one["content"], bucket.truth[one["source-ref"]])
        assert (metadata["human-annotated"], metadata["job-name"], line.get("fingerprint")) == (
            ("no", "model/m-1", None) if number < 10 else ("yes", "processing-job/j", "0" * 16)
        )
    fates = found(bucket, "fates")
    assert (fates["objects"], fates["human"], fates["machine"], fates["answers"]) == (40, 30, 10, 105)
    assert refs(bucket, "doubtful") == refs(bucket, "left-over") == []


def test_a_worker_who_is_often_wrong_does_not_outvote_one_who_is_right(bucket: Bucket, root: Path) -> None:
    put_round(bucket, "r1", 60, gold=30)
    answers = right_answers(bucket, "r1")
    for number, (_, given) in enumerate(sorted(answers.items())):
        # Two people guess, by rules that have nothing to do with the truth.
        given["ben"], given["carla"] = CLASSES[(number // 3) % 3], CLASSES[(number // 9) % 3]
    bucket.answer("r1", answers)
    assert consolidate(bucket, root, "r1", posterior_target=0.5, minimum_worker_accuracy=0.01) == 0
    lines = read_lines(bucket.round("r1") / "consolidated.manifest")
    right = [line[f"{ATTRIBUTE}-metadata"]["class-name"] == bucket.truth[line["source-ref"]] for line in lines]
    assert sum(right) / len(right) > 0.95


def test_every_worker_is_reported_with_skill_confusion_and_the_errors_that_gold_shows(
    bucket: Bucket, root: Path
) -> None:
    put_round(bucket, "r1", 30, gold=20)
    answers = right_answers(bucket, "r1")
    for number in range(5):
        ref = f"{BUCKET}gold/{number}.jpg"
        answers[ref]["ben"] = wrong(bucket, ref)
    bucket.answer("r1", answers)
    assert consolidate(bucket, root, "r1") == 0
    workers = {one["worker"]: one for one in found(bucket, "workers")}
    assert workers.keys() == set(PEOPLE)
    ben, anna = workers["ben"], workers["anna"]
    assert (ben["answers"], ben["gold_objects"], ben["gold_errors"], ben["teams"]) == (50, 20, 5, ["labelers"])
    assert ben["low"] < ben["error"] == 0.25 < ben["high"]
    assert ben["skill_low"] < ben["skill"] < ben["skill_high"] < 1
    assert ben["skill"] == pytest.approx(0.9, abs=0.01)
    assert sum(sum(row.values()) for row in ben["confusion"].values()) == pytest.approx(50, abs=0.01)
    assert ben["confusion"]["disc"]["noise"] == pytest.approx(2, abs=0.1)
    assert (anna["gold_errors"], anna["low"], anna["median_seconds"], anna["dropped"]) == (0, 0, 3.5, False)
    assert all(set(row) == {name} for name, row in anna["confusion"].items())


def test_who_fails_the_honeypots_is_dropped_before_anything_is_consolidated(bucket: Bucket, root: Path) -> None:
    put_round(bucket, "r1", 30, gold=30)
    answers = right_answers(bucket, "r1")
    for ref, given in answers.items():
        given |= {"spam-1": wrong(bucket, ref), "spam-2": wrong(bucket, ref), "spam-3": wrong(bucket, ref)}
    lonely = f"{BUCKET}images/r1-0.jpg"
    answers[lonely] = {"spam-1": CLASSES[1], "spam-2": CLASSES[1]}
    bucket.answer("r1", answers)
    assert consolidate(bucket, root, "r1") == 0
    fates = found(bucket, "fates")
    assert fates["dropped_workers"] == ["spam-1", "spam-2", "spam-3"]
    assert (fates["human"], fates["unanswered"], fates["answers_of_dropped_workers"]) == (29, 1, 3 * 59 + 2)
    assert refs(bucket, "left-over") == [lonely]
    spammer = next(one for one in found(bucket, "workers") if one["worker"] == "spam-1")
    assert (spammer["dropped"], spammer["gold_errors"]) == (True, 30)
    assert spammer["p_value"] < 1e-9
    assert not any("spam-1" in one.get("members", []) for one in found(bucket, "human-level")["candidates"])


def test_what_people_disagree_about_goes_to_experts_and_what_they_settle_comes_back(bucket: Bucket, root: Path) -> None:
    pool = put_round(bucket, "r1", 30, gold=10)
    answers = right_answers(bucket, "r1")
    split, other = pool[0]["source-ref"], pool[1]["source-ref"]
    answers[split] = dict(zip(PEOPLE, CLASSES, strict=True))
    answers[other] = dict(zip(PEOPLE, reversed(CLASSES), strict=True))
    bucket.answer("r1", answers)
    assert consolidate(bucket, root, "r1") == 0
    assert found(bucket, "fates")["uncertain"] == 2
    doubtful = read_lines(bucket.round("r1") / "doubtful.manifest")
    asked = {line["source-ref"] for line in doubtful}
    # As in the labelers' work a share of it is gold, and no line tells which.
    assert {split, other} < asked
    assert {ref for ref in asked if ref.startswith(BUCKET + "gold/")} == asked - {split, other}
    assert all(set(line) == {"source-ref", "content", "fingerprint"} for line in doubtful)

    opinions = {ref: dict.fromkeys(("dora", "emil", "fay"), bucket.truth[ref]) for ref in asked - {other}}
    opinions[other] = dict(zip(("dora", "emil", "fay"), CLASSES[1:] + CLASSES[:1], strict=True))
    bucket.answer("r1", opinions, "job-e", team="experts", tasks=doubtful)
    assert consolidate(bucket, root, "r1") == 0
    fates = found(bucket, "fates")
    assert (fates["human"], fates["uncertain"]) == (29, 1)
    assert refs(bucket, "doubtful") == refs(bucket, "left-over") == []
    assert {one["worker"]: one["tier"] for one in found(bucket, "workers")}["dora"] == "experts"
    whom = {one["who"] for one in found(bucket, "human-level")["candidates"]}
    assert {"team of labelers", "labelers, each alone", "experts, each alone", "worker dora"} <= whom


def test_what_experts_were_asked_and_did_not_look_at_is_offered_again(bucket: Bucket, root: Path) -> None:
    pool = put_round(bucket, "r1", 12)
    answers = right_answers(bucket, "r1")
    split = pool[3]
    answers[split["source-ref"]] = dict(zip(PEOPLE, CLASSES, strict=True))
    bucket.answer("r1", answers)
    bucket.answer("r1", {}, "job-e", team="experts", tasks=[split], status="Failed")
    assert consolidate(bucket, root, "r1") == 0
    assert found(bucket, "fates")["unanswered"] == 1
    assert (refs(bucket, "left-over"), refs(bucket, "doubtful")) == ([split["source-ref"]], [])


def test_an_object_that_people_cannot_tell_goes_to_experts_and_is_not_offered_for_ever(
    bucket: Bucket, root: Path
) -> None:
    pool = put_round(bucket, "r1", 15)
    answers = right_answers(bucket, "r1")
    unclear = pool[0]["source-ref"]
    answers[unclear] = dict.fromkeys(PEOPLE, '<script>"whale"')
    bucket.answer("r1", answers)
    assert consolidate(bucket, root, "r1") == 0
    fates = found(bucket, "fates")
    assert (fates["answers_without_category"], fates["uncertain"], fates["human"]) == (3, 1, 14)
    assert refs(bucket, "doubtful") == [unclear]


@pytest.mark.parametrize("status", ["Failed", "Stopped", "TimedOut"])
def test_the_answers_that_a_failed_job_got_count_and_the_rest_is_asked_again(
    bucket: Bucket, root: Path, status: str
) -> None:
    pool = put_round(bucket, "r1", 10)
    answers = right_answers(bucket, "r1")
    half = {line["source-ref"]: answers[line["source-ref"]] for line in pool[:5]}
    bucket.answer("r1", half, "job-0", status=status)
    assert consolidate(bucket, root, "r1") == 0
    fates = found(bucket, "fates")
    assert (fates["human"], fates["unanswered"], fates["unfinished_labeling_jobs"]) == (5, 5, ["job-0"])
    assert sorted(refs(bucket, "left-over")) == sorted(line["source-ref"] for line in pool[5:])
    rest = {line["source-ref"]: answers[line["source-ref"]] for line in pool[5:]}
    bucket.answer("r1", rest, "job-1", tasks=pool[5:])
    assert consolidate(bucket, root, "r1") == 0
    assert found(bucket, "fates")["human"] == 10


def test_the_latest_of_a_workers_answers_to_an_object_counts(bucket: Bucket, root: Path) -> None:
    pool = put_round(bucket, "r1", 9)
    answers = right_answers(bucket, "r1")
    changed = pool[0]["source-ref"]
    first = {**answers, changed: dict.fromkeys(PEOPLE, CLASSES[1])}
    bucket.answer("r1", first, "job-0")
    bucket.answer("r1", {changed: dict.fromkeys(PEOPLE, CLASSES[2])}, "job-1", tasks=[pool[0]])
    assert consolidate(bucket, root, "r1") == 0
    lines = {line["source-ref"]: line for line in read_lines(bucket.round("r1") / "consolidated.manifest")}
    assert lines[changed][f"{ATTRIBUTE}-metadata"]["class-name"] == CLASSES[2]
    assert found(bucket, "fates")["answers"] == 27


def test_labels_of_the_services_own_model_are_the_machines(bucket: Bucket, root: Path) -> None:
    pool = put_round(bucket, "r1", 20, machine=2, audit=1)
    answers = right_answers(bucket, "r1")
    automated = [pool[1], *pool[10:15]]
    for line in automated:
        del answers[line["source-ref"]]
    responses = bucket.answer("r1", answers)
    output = responses.parents[2] / "manifests" / "output" / "output.manifest"
    write_lines(output, [machine_line(bucket, line) for line in automated])
    assert consolidate(bucket, root, "r1") == 0
    fates = found(bucket, "fates")
    # An audited object is there to check machines: it never gets the label of one.
    assert (fates["human"], fates["machine"], fates["unanswered"]) == (13, 6, 1)
    assert refs(bucket, "left-over") == [pool[1]["source-ref"]]
    assert set(refs(bucket, "consolidated")) == {line["source-ref"] for line in pool} - {pool[1]["source-ref"]}


def audited_round(bucket: Bucket, disagreements: int) -> list[dict[str, Any]]:
    pool = put_round(bucket, "r1", 120, machine=100, audit=60)
    answers = right_answers(bucket, "r1")
    for line in pool[40 : 40 + disagreements]:
        answers[line["source-ref"]] = dict.fromkeys(PEOPLE, wrong(bucket, line["source-ref"]))
    bucket.answer("r1", answers)
    return pool


def test_the_audit_says_how_often_people_disagree_with_the_machine_and_peoples_word_counts(
    bucket: Bucket, root: Path
) -> None:
    pool = audited_round(bucket, 2)
    assert consolidate(bucket, root, "r1") == 0
    fates = found(bucket, "fates")
    audit = fates["audit"]
    assert (audit["objects"], audit["disagreements"], audit["unsettled"], audit["withdrawn"]) == (60, 2, 0, False)
    assert audit["low"] < 2 / 60 < audit["high"]
    assert (fates["human"], fates["machine"], fates["withdrawn"]) == (80, 40, 0)
    lines = {line["source-ref"]: line for line in read_lines(bucket.round("r1") / "consolidated.manifest")}
    metadata = lines[pool[40]["source-ref"]][f"{ATTRIBUTE}-metadata"]
    assert (metadata["class-name"], metadata["human-annotated"]) == (wrong(bucket, pool[40]["source-ref"]), "yes")


def test_an_audit_that_disproves_the_machine_withdraws_its_labels(bucket: Bucket, root: Path) -> None:
    pool = audited_round(bucket, 12)
    assert consolidate(bucket, root, "r1") == 0
    fates = found(bucket, "fates")
    assert fates["audit"]["withdrawn"]
    assert fates["audit"]["low"] > 0.05
    assert (fates["human"], fates["machine"], fates["withdrawn"]) == (80, 0, 40)
    assert refs(bucket, "left-over") == [line["source-ref"] for line in [*pool[:40:2], *pool[1:40:2]]]
    assert all(set(line) == {"source-ref", "content"} for line in read_lines(bucket.round("r1") / "left-over.manifest"))


def test_answers_to_gold_are_kept_from_round_to_round_and_a_round_run_again_adds_none(
    bucket: Bucket, root: Path
) -> None:
    put_round(bucket, "r1", 3, gold=4)
    bucket.answer("r1", right_answers(bucket, "r1"))
    assert consolidate(bucket, root, "r1") == 0
    first = read_lines(bucket.round("r1") / "gold-answers.jsonl")
    assert len(first) == 12
    assert first[0] == {
        "source-ref": f"{BUCKET}gold/0.jpg",
        "content": "gold-0",
        "round": "r1",
        "team": "labelers",
        "worker": "anna",
        "label": CLASSES[0],
        "truth": CLASSES[0],
    }
    write_lines(bucket.dataset("r1") / "gold-answers.jsonl", first)
    put_round(bucket, "r2", 3, gold=6)
    bucket.answer("r2", right_answers(bucket, "r2", people=("dora", "emil")))
    for _ in range(2):
        assert consolidate(bucket, root, "r2", previous="r1") == 0
        lines = read_lines(bucket.round("r2") / "gold-answers.jsonl")
        assert (lines[:12], len(lines)) == (first, 24)
        # What is run again after its own dataset was written finds its own answers in it.
        write_lines(bucket.dataset("r1") / "gold-answers.jsonl", lines)
    team = next(one for one in found(bucket, "human-level", "r2")["candidates"] if one["who"] == "team of labelers")
    assert (team["gold_objects"], team["members"]) == (4, ["anna", "ben", "carla", "dora", "emil"])
    assert [one["worker"] for one in found(bucket, "workers", "r2")] == ["dora", "emil"]


def test_gold_of_the_pool_counts_as_gold_by_name_or_by_content(bucket: Bucket, root: Path) -> None:
    pool = put_round(bucket, "r1", 8)
    bucket.truth[f"{BUCKET}gold/twin.jpg"] = CLASSES[1]
    bucket.put_gold([pool[0], {"source-ref": f"{BUCKET}gold/twin.jpg", "content": pool[1]["content"]}])
    bucket.answer("r1", right_answers(bucket, "r1"))
    assert consolidate(bucket, root, "r1") == 0
    assert (found(bucket, "fates")["gold"], found(bucket, "fates")["human"]) == (2, 6)
    assert not {pool[0]["source-ref"], pool[1]["source-ref"]} & set(refs(bucket, "consolidated"))


def test_an_import_is_taken_as_it_is_under_this_projects_attribute(bucket: Bucket, root: Path) -> None:
    lines = [
        {"source-ref": f"{BUCKET}images/{number}.jpg", "kind": 7, "kind-metadata": {"class-name": CLASSES[number % 3]}}
        for number in range(20)
    ]
    lines[3]["kind-metadata"]["human-annotated"] = "no"  # type: ignore[index]
    write_lines(bucket.round("r1") / "import.manifest", [*lines, lines[0]])
    assert consolidate(bucket, root, "r1", provider="import") == 0
    labeled = {line["source-ref"]: line for line in read_lines(bucket.round("r1") / "consolidated.manifest")}
    assert len(labeled) == 20
    for number, line in enumerate(lines):
        assert labeled[str(line["source-ref"])][ATTRIBUTE] == number % 3
        assert set(labeled[str(line["source-ref"])]) == {"source-ref", ATTRIBUTE, f"{ATTRIBUTE}-metadata"}
    fates = found(bucket, "fates")
    assert (fates["objects"], fates["human"], fates["machine"], fates["duplicate"]) == (21, 19, 1, 1)
    assert found(bucket, "human-level")["error"] is None


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ({"kind-metadata": {"class-name": "whale"}, "kind": 0}, "line 2 has the unknown class 'whale'"),
        ({"a-metadata": {"class-name": "disc"}, "b-metadata": {"class-name": "disc"}}, "line 2 must have exactly one"),
        ({}, "line 2 must have exactly one label attribute with a class-name; it has none"),
    ],
)
def test_an_import_that_cannot_be_understood_names_the_line(
    bucket: Bucket, root: Path, line: dict[str, Any], problem: str
) -> None:
    good = {"source-ref": f"{BUCKET}images/a.jpg", "kind": 0, "kind-metadata": {"class-name": "disc"}}
    write_lines(bucket.round("r1") / "import.manifest", [good, {"source-ref": f"{BUCKET}images/b.jpg", **line}])
    assert consolidate(bucket, root, "r1", provider="import") == 1
    assert problem in message(root)


def test_a_stray_import_does_not_take_the_place_of_what_people_answered(bucket: Bucket, root: Path) -> None:
    put_round(bucket, "r1", 4)
    bucket.answer("r1", right_answers(bucket, "r1"))
    stray = bucket.round("r1") / "import.manifest"
    write_lines(stray, [{"source-ref": f"{BUCKET}images/a.jpg", "kind": 0, "kind-metadata": {"class-name": "disc"}}])
    assert consolidate(bucket, root, "r1") == 1
    assert "round r1 has an import.manifest, and its labels come from 'station': delete" in message(root)
    stray.unlink()
    assert consolidate(bucket, root, "r1") == 0
    assert found(bucket, "fates")["human"] == 4


def test_an_import_without_its_manifest_is_refused(bucket: Bucket, root: Path) -> None:
    put_round(bucket, "r1", 4)
    assert consolidate(bucket, root, "r1", provider="import") == 1
    assert "import.manifest is missing" in message(root)


def test_a_labeling_job_that_nobody_collected_is_named(bucket: Bucket, root: Path) -> None:
    put_round(bucket, "r1", 4)
    bucket.answer("r1", right_answers(bucket, "r1"), job="job-1")
    (bucket.round("r1") / "labeling-jobs" / "labelers" / "job-0" / "annotations").mkdir(parents=True)
    assert consolidate(bucket, root, "r1") == 0
    assert found(bucket, "fates")["unlisted_labeling_jobs"] == ["labelers/job-0"]


@pytest.mark.parametrize(
    ("content", "line", "problem"),
    [
        (b"{", "0", "is not JSON"),
        (b"\xff\xfe", "0", "is not JSON"),
        (b"[" * 100_000, "0", "is not JSON"),
        (b'{"answers": [{}]}', "0", "is not a worker response"),
        (b"[]", "0", "is not a worker response"),
        (b'{"answers": [{"workerId": "a", "answerContent": []}]}', "0", "is not a worker response"),
        (b'{"answers": [{"workerId": 7, "answerContent": {"x": {"label": "disc"}}}]}', "0", "workerId 7"),
        (json.dumps({"answers": [response("anna", "disc")]}).encode(), "99", "answers line '99'"),
        (json.dumps({"answers": [response("anna", "disc")]}).encode(), "-1", "answers line '-1'"),
    ],
)
def test_a_response_that_cannot_be_understood_is_named(
    bucket: Bucket, root: Path, content: bytes, line: str, problem: str
) -> None:
    put_round(bucket, "r1", 3)
    responses = bucket.answer("r1", right_answers(bucket, "r1"))
    (responses / line).mkdir(exist_ok=True)
    (responses / line / "2027.json").write_bytes(content)
    assert consolidate(bucket, root, "r1") == 1
    assert problem in message(root)
    assert "2027.json" in message(root)


@pytest.mark.parametrize(
    "entry",
    [
        {"team": "labelers", "tasks": "tasks/labelers/0-0.manifest"},
        {"job": "j", "team": "strangers", "tasks": "tasks/labelers/0-0.manifest"},
        {"job": "../../gold", "team": "labelers", "tasks": "tasks/labelers/0-0.manifest"},
        {"job": "j", "team": "labelers", "tasks": "../../../etc/passwd"},
        "job-0",
    ],
)
def test_a_list_of_jobs_that_cannot_be_right_is_refused(bucket: Bucket, root: Path, entry: Any) -> None:
    put_round(bucket, "r1", 3)
    (bucket.round("r1") / "labeling-jobs.json").write_text(json.dumps([entry]))
    assert consolidate(bucket, root, "r1") == 1
    assert "labeling-jobs.json, entry 1 must have a job" in message(root)


def test_a_task_about_an_object_of_another_round_is_refused(bucket: Bucket, root: Path) -> None:
    pool = put_round(bucket, "r1", 3)
    bucket.answer("r1", {}, tasks=[*pool, {"source-ref": f"{BUCKET}images/elsewhere.jpg"}])
    assert consolidate(bucket, root, "r1") == 1
    assert "job-0.manifest, line 4 is about s3://data-bucket/images/elsewhere.jpg" in message(root)
    assert "neither the pool nor the gold" in message(root)


def test_an_object_that_nobody_was_given_stops_the_job(bucket: Bucket, root: Path) -> None:
    pool = put_round(bucket, "r1", 3, hosts=1)
    put_routing(bucket, "r1", "human", pool[:2])
    bucket.answer("r1", right_answers(bucket, "r1"))
    assert consolidate(bucket, root, "r1") == 1
    assert 'r1-2.jpg" was routed neither to the machine nor to people' in message(root)


def test_what_an_earlier_try_with_more_instances_routed_counts_no_more(bucket: Bucket, root: Path) -> None:
    """Its folder stays in the bucket, with labels of a champion that serves no more."""
    pool = put_round(bucket, "r1", 4, hosts=1)
    put_routing(bucket, "r1", "machine", [machine_line(bucket, line, "noise") for line in pool], host=1)
    bucket.answer("r1", right_answers(bucket, "r1"))
    assert consolidate(bucket, root, "r1") == 0
    assert (found(bucket, "fates")["human"], found(bucket, "fates")["machine"]) == (4, 0)


def test_a_routing_that_does_not_say_how_many_instances_there_were_is_named(bucket: Bucket, root: Path) -> None:
    put_round(bucket, "r1", 1, hosts=1)
    (bucket.round("r1") / "routing" / "algo-1" / "routing.json").write_text('{"unreadable": []}')
    assert consolidate(bucket, root, "r1") == 1
    assert 'algo-1/routing.json must say how many instances there were, as "hosts"' in message(root)


def test_experts_get_gold_once_in_a_round_so_that_their_error_is_known(bucket: Bucket, root: Path) -> None:
    put_round(bucket, "r1", 30, gold=10)
    bucket.answer("r1", right_answers(bucket, "r1"))
    assert consolidate(bucket, root, "r1", baseline_objects=4) == 0
    asked = read_lines(bucket.round("r1") / "doubtful.manifest")
    assert len(asked) == 4
    assert all(line["source-ref"].startswith(BUCKET + "gold/") for line in asked)
    opinions = {line["source-ref"]: {"emil": bucket.truth[line["source-ref"]]} for line in asked}
    bucket.answer("r1", opinions, "job-e", team="experts", tasks=asked)
    assert consolidate(bucket, root, "r1", baseline_objects=4) == 0
    assert refs(bucket, "doubtful") == []


def test_answers_of_an_earlier_try_count_where_another_model_would_now_label_alone(bucket: Bucket, root: Path) -> None:
    """A round is scored again after people answered, by a champion that accepts what its predecessor did not."""
    pool = put_round(bucket, "r1", 12, gold=3, hosts=1)
    answers = right_answers(bucket, "r1")
    split, nobody = pool[0]["source-ref"], pool[1]["source-ref"]
    answers[split], answers[nobody] = dict(zip(PEOPLE, CLASSES, strict=True)), {}
    bucket.answer("r1", answers)
    put_routing(bucket, "r1", "machine", [machine_line(bucket, line) for line in pool[:6]])
    put_routing(bucket, "r1", "human", pool[6:])
    assert consolidate(bucket, root, "r1") == 0
    fates = found(bucket, "fates")
    assert (fates["human"], fates["machine"], fates["uncertain"]) == (10, 1, 1)
    assert len(refs(bucket, "consolidated")) == 11
    assert refs(bucket, "doubtful") == [split]


def test_an_audited_object_in_doubt_stays_evidence_though_no_expert_looked_at_it(bucket: Bucket, root: Path) -> None:
    """Merging writes it without a label, as an error of the machine; left out, the audit would lack what is hard."""
    pool = put_round(bucket, "r1", 12, machine=4, audit=4)
    answers = right_answers(bucket, "r1")
    split = pool[3]
    answers[split["source-ref"]] = dict(zip(PEOPLE, CLASSES, strict=True))
    bucket.answer("r1", answers)
    bucket.answer("r1", {}, "job-e", team="experts", tasks=[split], status="Failed")
    assert consolidate(bucket, root, "r1") == 0
    assert (found(bucket, "fates")["uncertain"], found(bucket, "fates")["unanswered"]) == (1, 0)
    assert refs(bucket, "left-over") == []


def test_an_expert_who_answers_the_same_gold_as_a_labeler_later_is_an_expert_still(bucket: Bucket, root: Path) -> None:
    put_round(bucket, "r1", 5, gold=6, hosts=1)
    gold = [line for line in bucket.routed("r1", "human.manifest") if line["content"].startswith("gold")]
    bucket.answer("r1", right_answers(bucket, "r1", ("anna", "ben")), "job-e", team="experts", tasks=gold)
    assert consolidate(bucket, root, "r1") == 0
    write_lines(bucket.dataset("r1") / "gold-answers.jsonl", read_lines(bucket.round("r1") / "gold-answers.jsonl"))
    put_round(bucket, "r2", 5, gold=6, hosts=1)
    bucket.answer("r2", right_answers(bucket, "r2"))
    assert consolidate(bucket, root, "r2", previous="r1") == 0
    tiers = {one["worker"]: one["tier"] for one in found(bucket, "workers", "r2")}
    assert tiers == {"anna": "experts", "ben": "experts", "carla": "labelers"}
