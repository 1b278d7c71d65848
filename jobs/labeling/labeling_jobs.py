"""The labeling jobs of a round, as whoever collected them listed them in labeling-jobs.json.

    labeling-jobs.json                                                               a list, one entry per job
    tasks/<team>/<attempt>-<n>.manifest                                              what a job asks, one object a line
    labeling-jobs/<team>/<job>/manifests/output/output.manifest                      what it made of them
    labeling-jobs/<team>/<job>/annotations/worker-response/iteration-<n>/<line>/<time>.json  who said what of a line

https://docs.aws.amazon.com/sagemaker/latest/dg/sms-data-output.html
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from jobs import manifest
from jobs.errors import JobError
from jobs.labeling.objects import Objects
from jobs.manifest import METADATA, Entry
from jobs.paths import read_json

LABELERS: Final = "labelers"
EXPERTS: Final = "experts"
TEAMS: Final = (LABELERS, EXPERTS)


@dataclass(frozen=True)
class LabelingJob:
    """One labeling job. Whatever became of it, the answers that it got count."""

    name: str
    team: str
    tasks: Path
    folder: Path
    status: str

    @property
    def responses(self) -> Path:
        return self.folder / "annotations" / "worker-response"

    def asked(self, objects: Objects) -> NDArray[np.int32]:
        """The object of each line of what was asked; an answer names its line by number.

        Raises:
            JobError: the tasks are missing, or ask about an object that the round does not have.
        """
        asked = ((entry.number - 1, objects.number(entry)) for entry in manifest.read(self.tasks))
        lines = np.fromiter(asked, np.dtype((np.int32, 2)))
        numbers = np.full(int(lines[:, 0].max(initial=-1)) + 1, -1, np.int32)
        numbers[lines[:, 0]] = lines[:, 1]
        return numbers

    def automated(self, attribute: str) -> Iterator[Entry]:
        """What the service's own model labeled: the lines of the output that say that no person did.

        https://docs.aws.amazon.com/sagemaker/latest/dg/sms-automated-labeling.html
        """
        output = self.folder / "manifests" / "output" / "output.manifest"
        if output.exists():
            for entry in manifest.read(output):
                about = entry.values.get(attribute + METADATA)
                if isinstance(about, dict) and about.get("human-annotated") == "no" and attribute in entry.values:
                    yield entry


def listed(folder: Path) -> list[LabelingJob]:
    """The round's labeling jobs in the order in which they were collected, none when people were asked nothing.

    Raises:
        JobError: the list is not what it should be.
    """
    path = folder / "labeling-jobs.json"
    entries = read_json(path) if path.exists() else []
    if not isinstance(entries, list):
        raise JobError(f"{path} must be a list of labeling jobs, it is {type(entries).__name__}")
    # Collected again, a job is listed again.
    jobs = {
        (job.team, job.name): job for job in (_job(folder, path, number, one) for number, one in enumerate(entries))
    }
    return list(jobs.values())


def _job(folder: Path, path: Path, number: int, entry: Any) -> LabelingJob:
    try:
        name, team, tasks = (entry[key] for key in ("job", "team", "tasks"))
        inside = ".." not in PurePosixPath(tasks).parts and not PurePosixPath(tasks).is_absolute()
        if team not in TEAMS or PurePosixPath(name).name != name or name == ".." or not inside:
            raise ValueError(f"job {name!r}, team {team!r}, tasks {tasks!r}")
    except (KeyError, TypeError, ValueError) as error:
        raise JobError(
            f"{path}, entry {number + 1} must have a job, a team ({' or '.join(TEAMS)}) and tasks in the round's "
            f"folder: {error!r}"
        ) from None
    location = folder / "labeling-jobs" / team / name
    return LabelingJob(name, team, folder / tasks, location, str(entry.get("status", "")))


def unlisted(folder: Path, jobs: list[LabelingJob]) -> list[str]:
    """Folders of labeling jobs that nobody collected: of an execution that was stopped, for example."""
    known = {job.folder for job in jobs}
    return [
        path.relative_to(folder / "labeling-jobs").as_posix()
        for path in sorted(folder.glob("labeling-jobs/*/*"))
        if path.is_dir() and path not in known
    ]
