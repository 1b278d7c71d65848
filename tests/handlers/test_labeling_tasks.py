"""What people are asked: the tasks of a team, cut into labeling jobs."""

import json
from itertools import chain

import pytest

from reefloop import contracts
from reefloop.labeling.tasks import MOST_CHUNKS, TooManyChunks
from reefloop.storage import ObjectMissing
from tests.any import any_round
from tests.handlers.account import DATA, Account
from tests.handlers.labeling_round import answered, asked, collect, failed, objects, routed, write


class TestWriteTasks:
    def test_cuts_the_work_into_labeling_jobs(self, account: Account) -> None:
        round_ = routed(account, "abcde")
        answer = write(round_)
        assert asked(account, answer) == [["a", "b"], ["c", "d"], ["e"]]
        assert (answer["objects"], answer["attempt"]) == (5, 0)
        for number, chunk in enumerate(answer["chunks"]):
            assert chunk["tasks"].startswith(f"tasks/labelers/0-{number}-")
            assert chunk["manifest_uri"] == f"s3://{DATA}/rounds/{round_}/{chunk['tasks']}"

    def test_takes_the_most_valuable_of_every_instance_first(self, account: Account) -> None:
        round_ = routed(account, "adf", "be", "cgh")
        assert list(chain(*asked(account, write(round_)))) == list("abcdegfh")

    def test_instances_that_an_earlier_try_of_the_round_had_count_no_more(self, account: Account) -> None:
        round_ = routed(account, "ab", "cd", "ef")
        account.put_json(f"rounds/{round_}/routing/algo-1/routing.json", {"hosts": 2})
        assert list(chain(*asked(account, write(round_)))) == list("acbd")

    def test_passes_lines_on_as_they_are(self, account: Account) -> None:
        round_ = routed(account, "a")
        line = json.dumps({"source-ref": f"s3://{DATA}/é\u2028'\"<../>.jpg", "any": ["x"]}, ensure_ascii=False).encode()
        account.put(f"rounds/{round_}/routing/algo-1/human.manifest", line + b"\n\n")
        [chunk] = write(round_)["chunks"]
        assert account.get(chunk["manifest_uri"]) == line + b"\n"

    def test_has_no_chunk_when_the_machine_was_sure_of_everything(self, account: Account) -> None:
        answer = write(routed(account, ""))
        assert (answer["chunks"], answer["objects"]) == ([], 0)

    def test_run_again_gives_the_same(self, account: Account) -> None:
        round_ = routed(account, "abc")
        assert write(round_) == write(round_)

    def test_other_work_never_takes_the_place_of_what_people_answered(self, account: Account) -> None:
        round_ = routed(account, "ab")
        before = write(round_)
        account.put_lines(f"rounds/{round_}/routing/algo-1/human.manifest", objects("b", "a"))
        after = write(round_)
        assert after["chunks"] != before["chunks"]
        assert asked(account, before) == [["a", "b"]]

    def test_a_round_started_again_asks_for_what_nobody_answered_yet(self, account: Account) -> None:
        round_ = routed(account, "abc")
        collect(round_, write(round_), answered(account, round_, "j1", 1), answered(account, round_, "j2"))
        assert asked(account, write(round_)) == [["a", "c"]]

    def test_experts_get_what_was_left_in_doubt(self, account: Account) -> None:
        round_ = routed(account, "abc")
        account.put_lines(f"rounds/{round_}/doubtful.manifest", objects("b"))
        answer = write(round_, "experts")
        assert asked(account, answer) == [["b"]]
        assert answer["chunks"][0]["tasks"].startswith("tasks/experts/0-0-")

    def test_writes_the_page_of_the_teams_kind_of_task(self, account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("EXPERTS_TASK", "box-verification")
        round_ = routed(account, "a")
        account.put_lines(f"rounds/{round_}/doubtful.manifest", objects("a"))
        labelers, experts = write(round_), write(round_, "experts")
        assert b"<crowd-image-classifier" in account.get(labelers["template_uri"])
        assert labelers["categories_uri"] == f"s3://{DATA}/{contracts.LABEL_CATEGORIES}"
        assert b"overlay=" in account.get(experts["template_uri"])
        labels = json.loads(account.get(experts["categories_uri"]))["labels"]
        assert labels == [{"label": "right"}, {"label": "wrong"}]

    def test_what_comes_after_grows_the_dataset_finished_last(self, account: Account) -> None:
        round_, previous = routed(account, "a"), any_round()
        account.put_json(f"datasets/{previous}/card.json", {})
        account.put_json(f"datasets/{round_}/card.json", {})  # of an earlier try of this very round
        account.put(f"datasets/{any_round()}/train.manifest", b"")  # never finished
        inputs = {item["InputName"]: item["S3Input"]["S3Uri"] for item in write(round_)["processing_inputs"]}  # type: ignore[index]
        assert inputs == {
            "round": f"s3://{DATA}/rounds/{round_}/",
            "gold": f"s3://{DATA}/gold/",
            "previous": f"s3://{DATA}/datasets/{previous}/",
        }

    def test_asks_for_the_routing_when_there_is_none(self, account: Account) -> None:
        with pytest.raises(ObjectMissing, match=r"routing/algo-1/routing\.json does not exist"):
            write(any_round())

    def test_refuses_more_jobs_than_a_state_machine_can_follow(
        self, account: Account, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("CHUNK_OBJECTS", "1")
        round_ = routed(account, [f"o{number}" for number in range(MOST_CHUNKS + 1)])
        with pytest.raises(TooManyChunks, match=r"more than 40 x 1 objects: raise labeling\.chunk_objects"):
            write(round_)


class TestAutomatedLabeling:
    ARN = "arn:aws:sagemaker:us-east-1:027400017018:labeling-job-algorithm-specification/image-classification"

    @pytest.fixture(autouse=True)
    def _automated(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("ALGORITHM_ARN", self.ARN)
        monkeypatch.setenv("CHUNK_OBJECTS", "1250")

    def test_is_for_chunks_that_are_large_enough(self, account: Account) -> None:
        round_ = routed(account, [f"o{number}" for number in range(1251)])
        large, small = write(round_)["chunks"]
        assert large["algorithms"] == {"LabelingJobAlgorithmSpecificationArn": self.ARN}
        assert "algorithms" not in small

    def test_starts_from_what_the_latest_job_learned(self, account: Account) -> None:
        earlier = routed(account, "ab")
        tasks = write(earlier)
        for model in ("old", "new"):
            end = answered(account, earlier, model, 0)
            end["LabelingJobOutput"]["FinalActiveLearningModelArn"] = model
            tasks = collect(earlier, tasks, end)
        collect(another := routed(account, "a"), write(another), answered(account, another, "j", 0))
        tasks = write(last := routed(account, [f"o{number}" for number in range(1251)]))
        assert tasks["chunks"][0]["algorithms"]["InitialActiveLearningModelArn"] == "new"
        again = collect(last, tasks, failed("the model is gone"), answered(account, last, "k", 0))
        assert again["chunks"][0]["algorithms"] == {"LabelingJobAlgorithmSpecificationArn": self.ARN}
