import json

import pytest

from reefloop import contracts, payloads
from reefloop.labeling import check_import, list_pool, write_tasks
from reefloop.labeling.categories import CategoriesInvalid
from reefloop.labeling.check_import import ImportInvalid
from reefloop.labeling.imported import LabelInvalid
from reefloop.labeling.manifest import ManifestInvalid
from reefloop.labeling.rounds import RoundInvalid
from reefloop.storage import ObjectInvalid, ObjectMissing
from tests.any import any_bytes, any_model_version, any_round
from tests.handlers.account import DATA, Account


def pooled(account: Account, round_: str) -> list[str]:
    """The keys in a round's pool."""
    lines = account.get_lines(f"rounds/{round_}/pool.manifest")
    return [line["source-ref"].removeprefix(f"s3://{DATA}/") for line in lines]


def input_uris(answer: payloads.Pool | payloads.Tasks) -> dict[str, str]:
    return {item["InputName"]: item["S3Input"]["S3Uri"] for item in answer["processing_inputs"]}


def labeled(key: str, name: str = "crab") -> dict[str, object]:
    return {"source-ref": f"s3://{DATA}/{key}", "kind": 0, "kind-metadata": {"class-name": name}}


class TestListPool:
    def test_takes_the_images_below_images_and_nothing_else(self, account: Account) -> None:
        for key in ("images/upload/a.jpg", "images/upload/b.JPEG", "images/edge/t1/c.png"):
            account.put(key, any_bytes())
        for key in ("images/notes.txt", "images/clip.mp4", "images/jpg", "other/d.jpg"):
            account.put(key, any_bytes())
        account.put("images/empty.jpg", b"")
        round_ = any_round()

        assert list_pool.handler({"round": round_}, None)["objects"] == 3
        assert pooled(account, round_) == ["images/edge/t1/c.png", "images/upload/a.jpg", "images/upload/b.JPEG"]

    def test_says_how_many_objects_became_what(self, account: Account, capsys: pytest.CaptureFixture[str]) -> None:
        account.put("images/a.jpg", b"same")
        account.put("images/b.jpg", b"same")
        account.put("images/notes.txt", any_bytes())
        round_ = any_round()
        list_pool.handler({"round": round_}, None)
        assert json.loads(capsys.readouterr().out) == {"round": round_, "new": 1, "known": 1, "ignored": 1}

    def test_leaves_out_what_an_earlier_round_had_whatever_its_name_is_now(self, account: Account) -> None:
        account.put("images/a.jpg", b"first")
        list_pool.handler({"round": any_round()}, None)
        account.put("images/renamed.jpg", b"first")
        account.put("images/b.jpg", b"second")
        round_ = any_round()
        assert list_pool.handler({"round": round_}, None)["objects"] == 1
        assert pooled(account, round_) == ["images/b.jpg"]

    def test_takes_an_image_again_when_its_content_changed(self, account: Account) -> None:
        account.put("images/a.jpg", b"before")
        list_pool.handler({"round": any_round()}, None)
        account.put("images/a.jpg", b"after")
        assert list_pool.handler({"round": any_round()}, None)["objects"] == 1

    def test_leaves_out_gold_images_and_images_imported_with_their_labels(self, account: Account) -> None:
        for key in ("images/gold.jpg", "images/imported.jpg", "images/new.jpg"):
            account.put(key, any_bytes())
        account.put_lines(contracts.GOLD_MANIFEST, [labeled("images/gold.jpg")])
        imported, round_ = any_round(), any_round()
        account.put_lines(f"rounds/{imported}/import.manifest", [labeled("images/imported.jpg")])
        account.put_json(f"datasets/{imported}/card.json", {})
        list_pool.handler({"round": round_}, None)
        assert pooled(account, round_) == ["images/new.jpg"]

    def test_an_import_that_never_became_a_dataset_takes_nothing(self, account: Account) -> None:
        account.put("images/a.jpg", any_bytes())
        account.put(f"rounds/{any_round()}/import.manifest", b"not even JSON")
        assert list_pool.handler({"round": any_round()}, None)["objects"] == 1

    def test_a_round_run_again_keeps_its_pool(self, account: Account) -> None:
        account.put("images/a.jpg", any_bytes())
        round_ = any_round()
        first = list_pool.handler({"round": round_}, None)
        account.put("images/b.jpg", any_bytes())
        assert list_pool.handler({"round": round_}, None) == first
        assert pooled(account, round_) == ["images/a.jpg"]

    def test_a_round_that_found_nothing_looks_again(self, account: Account) -> None:
        round_ = any_round()
        assert list_pool.handler({"round": round_}, None)["objects"] == 0
        account.put("images/a.jpg", any_bytes())
        assert list_pool.handler({"round": round_}, None)["objects"] == 1

    def test_names_the_images_of_pool_and_gold_for_the_scoring_job(self, account: Account) -> None:
        account.put("images/upload/new.jpg", any_bytes())
        account.put("gold/images/known.png", any_bytes())
        account.put_lines(contracts.GOLD_MANIFEST, [labeled("gold/images/known.png")] * 2)
        round_ = any_round()
        list_pool.handler({"round": round_}, None)
        assert account.get_json(f"rounds/{round_}/images.json") == [
            {"prefix": f"s3://{DATA}/"},
            "gold/images/known.png",
            "images/upload/new.jpg",
        ]

    def test_gives_the_scoring_job_no_model_before_one_was_approved(self, account: Account) -> None:
        account.put("images/a.jpg", any_bytes())
        account.register(any_model_version(), approved=False)
        round_ = any_round()
        assert input_uris(list_pool.handler({"round": round_}, None)) == {
            "pool": f"s3://{DATA}/rounds/{round_}/pool.manifest",
            "gold": f"s3://{DATA}/gold/",
            "images": f"s3://{DATA}/rounds/{round_}/images.json",
        }

    def test_gives_the_scoring_job_the_newest_approved_model(self, account: Account) -> None:
        champion = any_model_version()
        account.register(any_model_version())
        account.register(champion)
        account.register(any_model_version(), approved=False)
        answer = list_pool.handler({"round": any_round()}, None)
        assert input_uris(answer)["model"] == f"s3://{DATA}/models/{champion}/model.tar.gz"

    def test_gives_inputs_that_create_processing_job_takes(self, account: Account) -> None:
        account.put("images/a.jpg", any_bytes())
        account.register(any_model_version())
        answer = list_pool.handler({"round": any_round()}, None)
        account.sagemaker.create_processing_job(
            ProcessingJobName="job",
            ProcessingInputs=answer["processing_inputs"],
            ProcessingResources={
                "ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.xlarge", "VolumeSizeInGB": 1}
            },
            AppSpecification={"ImageUri": "image"},
            RoleArn="arn:aws:iam::123456789012:role/any-role",
        )
        [images] = [item for item in answer["processing_inputs"] if item["InputName"] == "images"]
        assert images["S3Input"]["S3DataType"] == "ManifestFile"

    @pytest.mark.parametrize("round_", ["", "a/b", "../up", " a", "a b", "é", "x" * 64, None])
    def test_refuses_a_round_that_cannot_be_part_of_a_key(self, account: Account, round_: str) -> None:
        with pytest.raises(RoundInvalid, match="1 to 63 letters"):
            list_pool.handler({"round": round_}, None)

    @pytest.mark.parametrize(
        ("config", "message"),
        [
            ([], 'no list "labels"'),
            ({"labels": []}, "at least 2"),
            ({"labels": [{"label": "crab"}]}, "at least 2"),
            ({"labels": [{"label": "crab"}, {"label": "crab"}]}, "'crab' more than once"),
            ({"labels": [{"label": "crab"}, {"label": "x" * 257}]}, "1 to 256 characters"),
            ({"labels": [{"label": "crab"}, {"label": 7}]}, "label '7'"),
            ({"labels": [{"label": "crab"}, "squid"]}, "label 'None'"),
        ],
    )
    def test_refuses_label_categories_that_ground_truth_would_refuse(
        self, account: Account, config: object, message: str
    ) -> None:
        account.put_json(contracts.LABEL_CATEGORIES, config)
        with pytest.raises(CategoriesInvalid, match=message):
            list_pool.handler({"round": any_round()}, None)

    def test_asks_for_label_categories_when_there_are_none(self, account: Account) -> None:
        account.s3.delete_object(Bucket=DATA, Key=contracts.LABEL_CATEGORIES)
        with pytest.raises(ObjectMissing, match=r"gold/label-categories\.json does not exist"):
            list_pool.handler({"round": any_round()}, None)

    def test_names_a_label_category_file_that_is_not_json(self, account: Account) -> None:
        account.put(contracts.LABEL_CATEGORIES, b"{'labels': []}")
        with pytest.raises(ObjectInvalid, match=r"label-categories\.json is not valid JSON"):
            list_pool.handler({"round": any_round()}, None)

    def test_refuses_a_gold_image_of_another_bucket(self, account: Account) -> None:
        account.put_lines(contracts.GOLD_MANIFEST, [labeled("a.jpg"), {"source-ref": "s3://elsewhere/a.jpg"}])
        with pytest.raises(ManifestInvalid, match=r"gold\.manifest line 2: source-ref is 's3://elsewhere/a\.jpg'"):
            list_pool.handler({"round": any_round()}, None)


class TestWriteTasks:
    def test_cuts_the_work_into_labeling_jobs(self, account: Account) -> None:
        round_ = any_round()
        lines = [{"source-ref": f"s3://{DATA}/images/{number}.jpg"} for number in range(5)]
        account.put_lines(f"rounds/{round_}/human.manifest", lines)
        uris = [chunk["manifest_uri"] for chunk in write_tasks.handler({"round": round_}, None)["chunks"]]
        assert uris == [f"s3://{DATA}/rounds/{round_}/tasks/{number}.manifest" for number in range(3)]
        assert [account.get(uri).count(b"\n") for uri in uris] == [2, 2, 1]
        assert b"".join(map(account.get, uris)) == account.get(f"s3://{DATA}/rounds/{round_}/human.manifest")

    def test_has_no_chunk_when_the_machine_was_sure_of_everything(self, account: Account) -> None:
        round_ = any_round()
        account.put(f"rounds/{round_}/human.manifest", b"")
        assert write_tasks.handler({"round": round_}, None)["chunks"] == []

    def test_writes_the_page_that_people_see(self, account: Account) -> None:
        round_ = any_round()
        account.put(f"rounds/{round_}/human.manifest", b"")
        template = account.get(write_tasks.handler({"round": round_}, None)["template_uri"]).decode()
        assert 'name="crowd-image-classifier"' in template
        assert 'src="{{ task.input.taskObject | grant_read_access }}"' in template
        assert 'categories="{{ task.input.labels | to_json | escape }}"' in template

    def test_run_again_gives_the_same(self, account: Account) -> None:
        round_ = any_round()
        account.put_lines(f"rounds/{round_}/human.manifest", [{"source-ref": f"s3://{DATA}/images/a.jpg"}])
        assert write_tasks.handler({"round": round_}, None) == write_tasks.handler({"round": round_}, None)

    def test_consolidation_grows_the_dataset_finished_last(self, account: Account) -> None:
        round_, previous = any_round(), any_round()
        account.put(f"rounds/{round_}/human.manifest", b"")
        account.put_json(f"datasets/{previous}/card.json", {})
        account.put_json(f"datasets/{round_}/card.json", {})  # of an earlier try of this very round
        account.put(f"datasets/{any_round()}/train.manifest", b"")  # never finished
        assert input_uris(write_tasks.handler({"round": round_}, None)) == {
            "round": f"s3://{DATA}/rounds/{round_}/",
            "gold": f"s3://{DATA}/gold/",
            "previous": f"s3://{DATA}/datasets/{previous}/",
        }

    def test_the_first_round_grows_no_dataset(self, account: Account) -> None:
        round_ = any_round()
        account.put(f"rounds/{round_}/human.manifest", b"")
        assert "previous" not in input_uris(write_tasks.handler({"round": round_}, None))

    def test_asks_for_the_routing_when_there_is_none(self, account: Account) -> None:
        with pytest.raises(ObjectMissing, match=r"human\.manifest does not exist"):
            write_tasks.handler({"round": any_round()}, None)


class TestCheckImport:
    def test_counts_the_lines_of_a_good_import(self, account: Account) -> None:
        round_ = any_round()
        account.put_lines(f"rounds/{round_}/import.manifest", [labeled("a.jpg"), labeled("b.png", "squid")])
        answer = check_import.handler({"round": round_}, None)
        assert answer["objects"] == 2
        assert input_uris(answer)["round"] == f"s3://{DATA}/rounds/{round_}/"

    def test_takes_what_windows_tools_write(self, account: Account) -> None:
        round_ = any_round()
        text = "\r\n".join(["\ufeff" + json.dumps(labeled("a.jpg")), "", json.dumps(labeled("b.jpg"))])
        account.put(f"rounds/{round_}/import.manifest", text.encode())
        assert check_import.handler({"round": round_}, None)["objects"] == 2

    @pytest.mark.parametrize(
        ("line", "error", "message"),
        [
            (labeled("a.jpg", "whale"), LabelInvalid, "class-name 'whale', which is not among"),
            ({"source-ref": f"s3://{DATA}/a.jpg"}, LabelInvalid, "has 0 labels"),
            ({**labeled("a.jpg"), "b": 1, "b-metadata": {"class-name": "crab"}}, LabelInvalid, "has 2 labels"),
            ({**labeled("a.jpg"), "kind-metadata": {"objects": []}}, LabelInvalid, "has 0 labels"),
            (labeled("a.gif"), ManifestInvalid, "must be s3://data-bucket/<key> of an image"),
            ({"source": "text"}, ManifestInvalid, "source-ref is None"),
            (["a.jpg"], ManifestInvalid, "must be a JSON object"),
        ],
    )
    def test_names_the_line_that_is_wrong(
        self, account: Account, line: object, error: type[Exception], message: str
    ) -> None:
        round_ = any_round()
        account.put_lines(f"rounds/{round_}/import.manifest", [labeled("fine.jpg"), line])
        with pytest.raises(error, match=rf"import\.manifest line 2.*{message}"):
            check_import.handler({"round": round_}, None)

    def test_names_a_line_that_is_not_json(self, account: Account) -> None:
        round_ = any_round()
        account.put(f"rounds/{round_}/import.manifest", b"\n\n{'source-ref': 'a'}\n")
        with pytest.raises(ManifestInvalid, match="line 3 is not JSON"):
            check_import.handler({"round": round_}, None)

    def test_refuses_an_empty_import(self, account: Account) -> None:
        round_ = any_round()
        account.put(f"rounds/{round_}/import.manifest", b"\n")
        with pytest.raises(ImportInvalid, match="has no line"):
            check_import.handler({"round": round_}, None)

    def test_asks_for_the_import_when_there_is_none(self, account: Account) -> None:
        with pytest.raises(ObjectMissing, match=r"import\.manifest does not exist"):
            check_import.handler({"round": any_round()}, None)
