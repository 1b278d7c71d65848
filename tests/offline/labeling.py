"""A labeling job in a bench: a work team, categories, a page, people who answer what the image says."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from offline.boxes import Box
from offline.state import Answer
from tests.offline.bench import BUCKET, Bench, any_name, opened

CLASSES = ["crab", "squid", "fish"]
WORKERS = ("private.us-east-1.a", "private.us-east-1.b", "private.us-east-1.c")
TEAM = "arn:aws:sagemaker:us-east-1:123456789012:workteam/private-crowd/labelers"
AWS_FUNCTIONS = "arn:aws:lambda:us-east-1:432418664414:function"
CLASSIFIER = '<crowd-image-classifier name="crowd-image-classifier" categories="{{ task.input.labels | to_json }}">'


@dataclass
class Scripted:
    """People who answer what the image's own bytes say: `crab squid crab` is one word per worker.

    `drawings` has the boxes that each of them draws, in order, whatever the image; `say` takes precedence over both.
    """

    drawings: list[list[Box]] = field(default_factory=list)
    say: str = ""
    asked: list[dict[str, Any]] = field(default_factory=list)

    def answers(self, image: bytes, categories: list[str], workers: int, team: str, **about: Any) -> list[Answer]:
        self.asked.append({"categories": categories, "workers": workers, "team": team, **about})
        if about["work"] in ("draw", "adjust"):
            said: Sequence[Any] = self.drawings
        else:
            said = [word for word in (self.say.split() or image.decode().split()) if word in categories]
        return [Answer(WORKERS[number], one, 2.5 + number) for number, one in enumerate(said[:workers])]


@contextmanager
def labeling_bench(folder: Path, crew: Any) -> Iterator[Bench]:
    """A bench with a workforce, the work team `labelers`, categories and the page of an image classification."""
    with opened(folder, crew=crew) as bench:
        pool = {"UserPool": "us-east-1_abc", "ClientId": "c"}
        bench.sagemaker.create_workforce(WorkforceName="people", CognitoConfig=pool)
        member = {**pool, "UserGroup": "labelers"}
        bench.sagemaker.create_workteam(
            WorkteamName="labelers", Description="all", MemberDefinitions=[{"CognitoMemberDefinition": member}]
        )
        bench.put("categories.json", {"labels": [{"label": name} for name in CLASSES]})
        bench.put("template.liquid.html", CLASSIFIER)
        yield bench


def functions(kind: str) -> dict[str, Any]:
    """The part of HumanTaskConfig that says which built-in task type it is."""
    return {
        "PreHumanTaskLambdaArn": f"{AWS_FUNCTIONS}:PRE-{kind}",
        "AnnotationConsolidationConfig": {"AnnotationConsolidationLambdaArn": f"{AWS_FUNCTIONS}:ACS-{kind}"},
    }


def label(bench: Bench, images: Sequence[str], *, wait: bool = True, **request: Any) -> dict[str, Any]:
    """Run a labeling job, image classification unless the request says otherwise, over images with this content."""
    name = any_name("labeling")
    lines = [
        {"source-ref": bench.put(f"images/{name}/{number}.jpg", content), "content": number}
        for number, content in enumerate(images)
    ]
    human = {
        "WorkteamArn": TEAM,
        "UiConfig": {"UiTemplateS3Uri": f"s3://{BUCKET}/template.liquid.html"},
        "TaskTitle": "Which species?",
        "TaskDescription": "Choose the species",
        "NumberOfHumanWorkersPerDataObject": 3,
        "TaskTimeLimitInSeconds": 300,
        **functions("ImageMultiClass"),
        **request.pop("HumanTaskConfig", {}),
    }
    manifest = request.pop("manifest", None) or bench.put(f"tasks/{name}.manifest", lines)
    source = {"DataSource": {"S3DataSource": {"ManifestS3Uri": manifest}}, **request.pop("InputConfig", {})}
    bench.sagemaker.create_labeling_job(
        LabelingJobName=name,
        HumanTaskConfig=human,
        InputConfig=source,
        **{
            "LabelAttributeName": "species",
            "OutputConfig": {"S3OutputPath": f"s3://{BUCKET}/rounds/r1/labeling-jobs"},
            "RoleArn": bench.role,
            "LabelCategoryConfigS3Uri": f"s3://{BUCKET}/categories.json",
            **request,
        },
    )
    return bench.job("labeling", name, wait=wait)


def output(bench: Bench, job: dict[str, Any]) -> list[dict[str, Any]]:
    """The lines of the output manifest."""
    return [json.loads(line) for line in bench.get(job["LabelingJobOutput"]["OutputDatasetS3Uri"]).splitlines()]


def counters(job: dict[str, Any]) -> dict[str, int]:
    """The counters that are not zero."""
    return {name: count for name, count in job["LabelCounters"].items() if count}


def responses(bench: Bench, job: dict[str, Any]) -> dict[str, Any]:
    """What the workers of a job said: the answers by the object's index."""
    prefix = f"rounds/r1/labeling-jobs/{job['LabelingJobName']}/annotations/worker-response/iteration-1/"
    return {
        key.partition("/")[0]: json.loads(bench.get(f"s3://{BUCKET}/{prefix}{key}"))["answers"]
        for key in bench.keys(prefix)
    }
