"""One labeling job from its request to its output manifest."""

from collections.abc import Sequence

from offline.runners import Job, JobFailed, JobStopped, storage
from offline.runners.labeling.automated import ActiveLearning
from offline.runners.labeling.functions import BuiltIn, Custom
from offline.runners.labeling.inputs import Page, read_categories, read_manifest
from offline.runners.labeling.kinds import CUSTOM, kind_of
from offline.runners.labeling.labels import Task
from offline.runners.labeling.output import Output
from offline.runners.labeling.people import EXPIRED, NoMoreAnswers, People, Reason


def work(job: Job) -> None:
    """Do what Ground Truth does with a labeling job.

    Objects that nobody labels in time fail with the reason in the output manifest; the job itself is completed when
    there is a label for at least one.

    Raises:
        JobFailed: an input that Ground Truth would refuse, or not one object has a label.
        JobStopped: the job was told to stop, by somebody or by its own stopping conditions; what was labeled by then
            is in the output manifest.
    """
    request, human = job.request, job.request["HumanTaskConfig"]
    many = storage.Many(job.state.client("s3", **job.credentials))
    kind = kind_of(human, job.state.region)
    manifest = request["InputConfig"]["DataSource"]["S3DataSource"]["ManifestS3Uri"]
    tasks = [Task(index, line) for index, line in enumerate(read_manifest(manifest, many.read(manifest)))]
    config = request.get("LabelCategoryConfigS3Uri")
    categories = read_categories(config, many.read(config), kind) if config else []
    template = human["UiConfig"]["UiTemplateS3Uri"]
    page = Page.read(template, many.read(template).decode(), kind)
    if kind.reviews and page.shown == request["LabelAttributeName"]:
        raise JobFailed(
            f"ClientError: LabelAttributeName {page.shown!r} is the one of the labels that are reviewed: choose another"
        )
    functions = (Custom if kind is CUSTOM else BuiltIn)(job, kind, categories)
    output = Output(job, many)
    output.count(Unlabeled=len(tasks))
    people = People(job, kind, page, functions, output, many)
    reason: Reason | None = None
    try:
        if "LabelingJobAlgorithmsConfig" in request:
            ActiveLearning(job, people, output, many, tasks=tasks, categories=categories).run()
        else:
            people.ask(tasks, objects=len(tasks))
    except NoMoreAnswers as error:
        reason = error.reason
    if reason == "expired":
        for task in tasks:
            if not task.done:
                people.fail(task, EXPIRED)
    output.put_manifest([task for task in tasks if task.done], kind.type)
    if reason in ("stopped", "enough"):
        raise JobStopped
    _check_any_label(tasks)


def _check_any_label(tasks: Sequence[Task]) -> None:
    if all(task.failure for task in tasks):
        raise JobFailed(f"ClientError: every object failed, the first because: {tasks[0].failure}")
