"""What becomes of what people were asked: jobs that ended well or not, and batches at the station."""

from datetime import datetime
from typing import Any

import pytest

from reefloop import contracts, payloads
from reefloop.labeling import publish_batch, station
from reefloop.labeling.collect_labels import LabelingFailed
from reefloop.payloads import JobEnd, Tasks, Team
from tests.handlers.account import DATA, Account
from tests.handlers.labeling_round import answered, asked, collect, failed, objects, routed, write


class TestCollectLabels:
    def test_notes_how_every_job_ended(self, account: Account) -> None:
        round_ = routed(account, "abc")
        tasks = write(round_)
        collect(round_, tasks, answered(account, round_, "j1", 0, 1), failed("no workers", job="j2"))
        first, second = account.get_json(f"rounds/{round_}/labeling-jobs.json")
        assert first == {
            "job": "j1",
            "team": "labelers",
            "attempt": 0,
            "tasks": tasks["chunks"][0]["tasks"],
            "status": "Completed",
            "counters": {"TotalLabeled": 2, "HumanLabeled": 2},
            "failure_reason": "",
            "output_uri": f"s3://{DATA}/output.manifest",
            "active_learning_model_arn": "",
        }
        assert (second["job"], second["status"], second["failure_reason"]) == ("j2", "Failed", "no workers")
        assert second["counters"] == {"Unlabeled": 1}

    def test_told_twice_notes_a_job_once(self, account: Account) -> None:
        round_ = routed(account, "a")
        tasks = write(round_)
        end = answered(account, round_, "j", 0)
        assert collect(round_, tasks, end) == collect(round_, tasks, end)
        assert len(account.get_json(f"rounds/{round_}/labeling-jobs.json")) == 1

    def test_offers_what_nobody_answered_once_more(self, account: Account) -> None:
        round_ = routed(account, "abcd")
        again = collect(round_, write(round_), answered(account, round_, "j1", 1), failed("expired", job="j2"))
        assert (again["attempt"], asked(account, again)) == (1, [["a", "c"], ["d"]])
        assert again["chunks"][0]["tasks"].startswith("tasks/labelers/1-0-")
        done = collect(round_, again, answered(account, round_, "j3", 0, 1), answered(account, round_, "j4", 0))
        assert (done["chunks"], done["objects"]) == ([], 0)

    def test_an_answer_of_a_failed_job_counts(self, account: Account) -> None:
        round_ = routed(account, "ab")
        answered(account, round_, "j", 0)
        again = collect(round_, write(round_), failed("stopped by hand", status="Stopped"))
        assert asked(account, again) == [["b"]]

    @pytest.mark.parametrize("key", ["x", "iteration-1/0", "iteration-1/../0.json", "iteration-1/one/now.json"])
    def test_an_object_that_is_no_answer_to_a_line_is_none(self, account: Account, key: str) -> None:
        round_ = routed(account, "ab")
        end = answered(account, round_, "j", 0)
        account.put(f"rounds/{round_}/labeling-jobs/labelers/j/annotations/worker-response/{key}", b"")
        assert asked(account, collect(round_, write(round_), end)) == [["b"]]

    def test_leaves_the_rest_to_another_round_when_the_attempts_are_used_up(self, account: Account) -> None:
        round_ = routed(account, "ab")
        again = collect(round_, write(round_), answered(account, round_, "j1", 0))
        assert collect(round_, again, failed("expired"))["chunks"] == []

    def test_what_the_service_labeled_by_itself_is_not_asked_again(self, account: Account) -> None:
        round_ = routed(account, "ab")
        tasks = write(round_)
        first, second = account.get_lines(f"rounds/{round_}/{tasks['chunks'][0]['tasks']}")
        # Nothing says that a job that was stopped keeps the order of its tasks.
        output = [
            second | {"species": 0, "species-metadata": {"human-annotated": "no"}},
            first | {"species-metadata": {"failure-reason": "expired", "human-annotated": "no"}},
        ]
        end = answered(account, round_, "j")
        end["LabelCounters"]["MachineLabeled"] = 1
        end["LabelingJobOutput"]["OutputDatasetS3Uri"] = account.put_lines("rounds/output.manifest", output)
        assert asked(account, collect(round_, tasks, end)) == [["a"]]

    def test_says_why_when_nobody_answered_anything(self, account: Account) -> None:
        round_ = routed(account, "abc")
        refused: JobEnd = {"Error": "SageMaker.ValidationException", "Cause": "Ground Truth takes no new customers"}
        with pytest.raises(LabelingFailed) as said:
            collect(round_, write(round_), failed("tasks expired", job="j1"), refused)
        for part in ("'labelers'", round_, "j1: tasks expired", "no job was made: Ground Truth takes no new customers"):
            assert part in str(said.value)

    def test_names_a_few_reasons_of_many(self, account: Account) -> None:
        round_ = routed(account, "abcdefghijklmnop")
        tasks = write(round_)
        with pytest.raises(LabelingFailed, match="and 3 more") as said:
            collect(round_, tasks, *(failed("x" * 5000, job=f"j{number}") for number in range(8)))
        assert len(str(said.value)) < 8000

    def test_a_round_started_again_may_find_that_nobody_answers_the_rest(self, account: Account) -> None:
        round_ = routed(account, "ab")
        collect(round_, write(round_), answered(account, round_, "j1", 0))
        assert asked(account, collect(round_, write(round_), failed("expired"))) == [["b"]]


class TestStation:
    @pytest.fixture(autouse=True)
    def _station(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PROVIDER", "station")

    def publish(self, round_: str, tasks: Tasks, team: Team = "labelers", token: str = "token") -> None:
        event = payloads.PublishBatchInput(
            round=round_, team=team, chunk=tasks["chunks"][0], template_uri=tasks["template_uri"], token=token
        )
        publish_batch.handler(event, None)

    def test_publishes_all_that_a_station_needs(self, account: Account) -> None:
        round_ = routed(account, "ab")
        tasks = write(round_)
        self.publish(round_, tasks)
        batch = account.get_json(f"rounds/{round_}/station/labelers/0-0.json")
        assert {batch[name] for name in ("round", "team", "task", "token")} == {
            round_, "labelers", "classification", "token",
        }  # fmt: skip
        assert (batch["tasks"], batch["votes"], batch["categories"]) == (
            tasks["chunks"][0]["tasks"],
            3,
            ["crab", "squid"],
        )
        assert account.get(f"s3://{DATA}/rounds/{round_}/{batch['template']}")
        assert batch["deadline"] > batch["published_at"]
        assert batch["deadline"].endswith("+00:00")

    def test_the_same_work_published_again_keeps_its_votes_and_waits_under_its_new_token(
        self, account: Account
    ) -> None:
        round_ = routed(account, "ab")
        key = f"rounds/{round_}/station/labelers/0-0.json"
        self.publish(round_, write(round_), token="first")
        before = account.get_json(key)
        self.publish(round_, write(round_), token="second")
        after = account.get_json(key)
        assert (before["job"], before["token"], after["token"]) == (after["job"], "first", "second")

    def test_other_work_gets_another_name_for_its_votes(self, account: Account) -> None:
        round_ = routed(account, "ab")
        key = f"rounds/{round_}/station/labelers/0-0.json"
        self.publish(round_, write(round_))
        before = account.get_json(key)["job"]
        account.put_lines(f"rounds/{round_}/routing/algo-1/human.manifest", objects("b", "a"))
        self.publish(round_, write(round_))
        assert account.get_json(key)["job"] != before

    def test_a_deadline_that_passed_is_told_with_the_name_of_the_batch(self, account: Account) -> None:
        round_ = routed(account, "ab")
        tasks = write(round_)
        with pytest.raises(LabelingFailed, match=r"station-labelers-0-0-\w+: nobody finished the batch"):
            collect(round_, tasks, {"Error": "States.Timeout", "Cause": ""})

    def test_votes_of_a_batch_that_was_not_finished_count(self, account: Account) -> None:
        round_ = routed(account, "ab")
        tasks = write(round_)
        self.publish(round_, tasks)
        answered(account, round_, account.get_json(f"rounds/{round_}/station/labelers/0-0.json")["job"], 0)
        assert asked(account, collect(round_, tasks, {"Error": "States.Timeout", "Cause": ""})) == [["b"]]

    def test_a_batch_that_people_abandoned_is_not_published_again(self, account: Account) -> None:
        round_ = routed(account, "ab")
        tasks = write(round_)
        self.publish(round_, tasks)
        answered(account, round_, account.get_json(f"rounds/{round_}/station/labelers/0-0.json")["job"], 0)
        assert collect(round_, tasks, {"Error": contracts.ABANDONED, "Cause": "enough"})["chunks"] == []

    def test_people_are_not_kept_busy_with_a_batch_that_nobody_awaits(self, account: Account) -> None:
        round_ = routed(account, "abcd")
        key = f"rounds/{round_}/station/labelers/0-0.json"
        self.publish(round_, write(round_))
        open_until = account.get_json(key)["deadline"]
        write(round_)  # by an execution that takes the place of the one that waited
        closed = account.get_json(key)
        assert closed["deadline"] < open_until
        assert closed["deadline"] == station.stamp(datetime.fromisoformat(closed["deadline"]))

    @pytest.mark.parametrize("end", [[], "done", None, {"LabelCounters": "many"}])
    def test_whatever_ends_a_batch_its_answers_are_collected(self, account: Account, end: Any) -> None:
        """Who may finish a batch may send any JSON."""
        round_ = routed(account, "ab")
        tasks = write(round_)
        self.publish(round_, tasks)
        answered(account, round_, account.get_json(f"rounds/{round_}/station/labelers/0-0.json")["job"], 0)
        assert asked(account, collect(round_, tasks, end)) == [["b"]]

    def test_a_finished_batch_needs_no_output_of_a_service(self, account: Account) -> None:
        round_ = routed(account, "a")
        tasks = write(round_)
        self.publish(round_, tasks)
        job = account.get_json(f"rounds/{round_}/station/labelers/0-0.json")["job"]
        answered(account, round_, job, 0)
        end: JobEnd = {"LabelingJobName": job, "LabelCounters": {"TotalLabeled": 1}, "OutputDatasetS3Uri": "s3://b/o"}
        assert collect(round_, tasks, end)["chunks"] == []
        [noted] = account.get_json(f"rounds/{round_}/labeling-jobs.json")
        assert (noted["job"], noted["status"], noted["output_uri"]) == (job, "Completed", "s3://b/o")
