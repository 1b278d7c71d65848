"""Asking people about objects, until there is nothing left to ask or nobody left to answer."""

import io
import time
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, Final, Literal

from botocore.exceptions import ClientError
from PIL import Image, UnidentifiedImageError

from offline.crew import LABELERS
from offline.runners import Job, JobStopped, storage
from offline.runners.labeling.functions import FunctionFailed, Functions
from offline.runners.labeling.inputs import Page, look_up
from offline.runners.labeling.kinds import Kind
from offline.runners.labeling.labels import Task
from offline.runners.labeling.output import Output
from offline.runners.labeling.rules import DEFAULT_AVAILABILITY_SECONDS, is_public

EXPIRED: Final = "ClientError: Annotation tasks expired. No worker took them in the time that they were available"
# https://docs.aws.amazon.com/sagemaker/latest/dg/input-data-limits.html
_MAX_IMAGE_BYTES: Final = 40 * 2**20
_IMAGES: Final = (".jpg", ".jpeg", ".png")
_DEFAULT_CONCURRENT_TASKS: Final = 1000

# Why people stop before everything is labeled: the job was stopped, a stopping condition of its request is met, the
# tasks expired, or a planned fault.
Reason = Literal["stopped", "enough", "expired", "fault"]


class NoMoreAnswers(Exception):
    """People are through with the job, though not with its objects."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason = reason


class People:
    """The work team of one job at work."""

    def __init__(
        self, job: Job, kind: Kind, page: Page, functions: Functions, output: Output, many: storage.Many
    ) -> None:
        self._job, self._kind, self._page = job, kind, page
        self._functions, self._output, self._many = functions, output, many
        self._human: Any = job.request["HumanTaskConfig"]
        self._team, self._issuer = _team(job)
        self._asked = self._labeled = 0
        available = self._human.get("TaskAvailabilityLifetimeInSeconds")
        if available is None:
            available = DEFAULT_AVAILABILITY_SECONDS[is_public(self._human["WorkteamArn"])]
        self._expires = time.monotonic() + available

    def ask(self, tasks: Sequence[Task], *, objects: int) -> None:
        """Have objects labeled, as many at once as the job allows. `objects` is how many the whole job has.

        Raises:
            NoMoreAnswers: objects are left, and nobody will label them; those that were answered have their labels.
        """
        for batch in _batches(tasks, self._human.get("MaxConcurrentTaskCount", _DEFAULT_CONCURRENT_TASKS)):
            reason: Reason | None = None
            for task in batch:
                if (reason := self._over(objects)) is not None:
                    break
                self._ask(task)
            self._consolidate([task for task in batch if task.answers and not task.done])
            if reason is not None:
                raise self._end(reason)

    def count_machine(self, objects: int) -> None:
        """Count what the machine labeled: one of the stopping conditions is about that too."""
        self._labeled += objects
        self._output.count(TotalLabeled=objects, MachineLabeled=objects, Unlabeled=-objects)

    def fail(self, task: Task, reason: str) -> None:
        """Give up an object."""
        task.failure = reason
        self._output.count(FailedNonRetryableError=1, Unlabeled=-1)

    def _over(self, objects: int) -> Reason | None:
        conditions = self._job.request.get("StoppingConditions", {})
        enough = (
            self._asked >= conditions.get("MaxHumanLabeledObjectCount", objects + 1)
            or 100 * self._labeled >= conditions.get("MaxPercentageOfInputDatasetLabeled", 101) * objects
        )
        fault = self._job.fault
        if self._job.stopping.is_set():
            return "stopped"
        if enough:
            return "enough"
        if fault is not None and self._asked >= fault.after_objects:
            return "expired" if fault.fate == "expire" else "fault"
        if self._job.state.crew is None or time.monotonic() >= self._expires:
            return "expired"
        return None

    def _end(self, reason: Reason) -> NoMoreAnswers:
        """Live through what ends the work.

        Raises:
            JobFailed: a planned fault.
        """
        fault = self._job.fault
        if reason == "fault" and fault is not None:
            try:
                self._job.meet(fault)
            except JobStopped:
                return NoMoreAnswers("stopped")
        if reason == "expired" and fault is None and self._job.stopping.wait(max(0, self._expires - time.monotonic())):
            return NoMoreAnswers("stopped")
        return NoMoreAnswers(reason)

    def _ask(self, task: Task) -> None:
        crew = self._job.state.crew
        try:
            task_input = self._functions.prepare(task.line)
            if task_input is None:
                task.needless = True
                return
            image = self._image(task, look_up(task_input, self._page.image))
        except FunctionFailed as error:
            return self.fail(task, f"ClientError: {error}")
        task.choices = list(self._page.choices or look_up(task_input, self._page.categories) or ())
        task.shown = self._page.boxes(task.line) if self._kind.reviews else []
        self._asked += 1
        if crew is not None:
            task.answers = crew.answers(
                image,
                task.choices,
                self._human["NumberOfHumanWorkersPerDataObject"],
                self._team,
                work=self._kind.work,
                shown=task.shown,
            )
        if not task.answers:
            return self.fail(task, f"ClientError: no worker knew what {task.line['source-ref']} shows")
        self._labeled += 1
        self._output.put_responses(task, self._page.field, self._issuer)

    def _image(self, task: Task, uri: Any) -> bytes:
        """The picture that the page shows.

        Raises:
            FunctionFailed: there is none, or none that Ground Truth shows.
        """
        if not isinstance(uri, str) or not uri.lower().endswith(_IMAGES):
            raise FunctionFailed(f"an image to label is {', '.join(_IMAGES)}; the task has {uri!r}")
        try:
            image = self._many.read(uri)
            if self._kind.draws:
                with Image.open(io.BytesIO(image)) as picture:
                    task.size = picture.size
        except ClientError as error:
            raise FunctionFailed(f"{error.response['Error']['Message']} ({uri})") from None
        except (UnidentifiedImageError, OSError):
            raise FunctionFailed(f"{uri} is not an image") from None
        if len(image) > _MAX_IMAGE_BYTES:
            raise FunctionFailed(f"{uri} has {len(image)} bytes, more than {_MAX_IMAGE_BYTES}")
        return image

    def _consolidate(self, tasks: list[Task]) -> None:
        if not tasks:
            return
        batch = f"-{tasks[0].index}" if tasks[0].index else ""
        uri = self._output.put_request(tasks, self._page.field, batch)
        self._functions.consolidate(tasks, uri)
        self._output.put_response(tasks, batch)
        labeled = sum(bool(task.label) for task in tasks)
        failed = len(tasks) - labeled
        self._output.count(
            TotalLabeled=labeled, HumanLabeled=labeled, FailedNonRetryableError=failed, Unlabeled=-len(tasks)
        )


def _batches(tasks: Sequence[Task], size: int) -> Iterator[list[Task]]:
    rest = iter(tasks)
    while batch := list(islice(rest, size)):
        yield batch


def _team(job: Job) -> tuple[str, str]:
    """The group of people behind the work team, whoever is in it may take the tasks, and who vouches for them.

    The people of a vendor or of the public are played by the same crew.
    """
    arn = job.request["HumanTaskConfig"]["WorkteamArn"]
    if ":workteam/private-crowd/" not in arn:
        return LABELERS, ""
    name = arn.rpartition("/")[2]
    team = job.state.client("sagemaker").describe_workteam(WorkteamName=name)["Workteam"]
    member = team["MemberDefinitions"][0].get("CognitoMemberDefinition", {})
    pool = member.get("UserPool", "")
    issuer = f"https://cognito-idp.{job.state.region}.amazonaws.com/{pool}" if pool else ""
    return member.get("UserGroup", name), issuer
