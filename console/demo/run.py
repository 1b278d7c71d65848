"""`demo`: everything that happens between `make demo` and its table."""

import argparse
import json
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any, Final

from console.clients import load_settings
from console.demo import inventory
from console.demo.background import Background, drawing, synthesis
from console.demo.fleet import Fleet
from console.demo.measure import check_recipe
from console.demo.people import People
from console.demo.pictures import FIRST, GOLD, LATER, SECOND, UPLOAD, Collection, read_drawn, read_folder
from console.demo.report import print_summary
from console.demo.rounds import Rounds, deployed_model, without_model
from console.demo.steps import LIMIT_SECONDS, OutOfTime, StepFailed, Steps, time_limit
from console.demo.summary import Collector
from console.demo.workspace import SUMMARY, Workspace, write_atomically
from console.destroy import remove
from console.errors import Failure, Refusal
from console.label.answers import check_worker
from console.project import Project
from console.screen import Screen
from console.upload import DataBucket
from offline.account import Account
from offline.crew import Crew

STAGE: Final = "laptop"
ROUNDS: Final = ("1", "2")


def run(options: argparse.Namespace) -> int:
    """Run the demo and return its exit code.

    Raises:
        Refusal: a setting or the folder of images does not do; nothing was started.
        Failure: a step failed, or all of them together took too long.
    """
    settings = load_settings(STAGE)
    if options.labeler:
        check_worker(options.labeler)
    elif settings.labeling.provider != "ground-truth":
        raise Refusal(
            f"stages.{STAGE}.labeling.provider is {settings.labeling.provider!r}; the demo has people label with "
            f"'ground-truth'"
        )
    with Screen() as screen, Workspace() as workspace:
        try:
            Demo(options, Steps(screen, options.started), workspace, settings.region).run()
        except (StepFailed, OutOfTime) as error:
            kept = workspace.keep_logs(str(error))
            raise Failure(f"{error}; the logs are in {kept}") from error
    return 0


@dataclass
class Demo:
    """One run."""

    options: argparse.Namespace
    steps: Steps
    workspace: Workspace
    region: str
    truth: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.crew = Crew(truth=self.truth)

    @property
    def screen(self) -> Screen:
        return self.steps.screen

    @property
    def _cdk_out(self) -> Path:
        return self.workspace.folder / "cdk.out"

    def run(self) -> None:
        """All of it, in an account that is gone afterwards."""
        collection = self._read_images() if self.options.images else None
        with ExitStack() as open_:
            provider = "station" if self.options.labeler else "ground-truth"
            synthesizing = open_.enter_context(synthesis(self._cdk_out, stage=STAGE, provider=provider))
            drawn = None
            if collection is None:
                drawn = open_.enter_context(drawing(self.workspace.drawn, self.options.seed))
            # The crew knows the truth about each image once there is one: people label only then.
            account = Account(self.workspace.folder, crew=self.crew, region=self.region)
            open_.enter_context(account)
            with time_limit(LIMIT_SECONDS - self.steps.total_seconds):
                summary = self._live(account, open_, synthesizing, drawn, collection)
            print_summary(self.screen, summary)
            if collection is None:
                with self.steps.step("check"):
                    check_recipe(summary["rounds"])
            if self.options.keep:
                self._keep(account)

    def _live(
        self,
        account: Account,
        open_: ExitStack,
        synthesizing: Background,
        drawn: Background | None,
        collection: Collection | None,
    ) -> dict[str, Any]:
        """The account's life; returns the summary that was written."""
        step = self.steps.step
        with step("bootstrap"):
            account.bootstrap()
            empty = inventory.take(account.client)
        with step("synthesize"):
            synthesizing.wait()
        with step("deploy"):
            account.cdk("deploy", "--all", f"--app={self._cdk_out}")
            project = Project.find(account.client)
        with step("images"):
            if drawn:
                drawn.wait()
            collection = collection or read_drawn(self.workspace.drawn, self.options.seed)
            self._upload(account, project, collection)
        fleet = open_.enter_context(Fleet(account.state, project))
        rounds = Rounds(account.client, project, self.screen)
        if self.options.labeler:
            rounds.attend = People(
                account.client, project.data_bucket, self.crew, self.options.labeler, self.screen
            ).attend
        self._turn(rounds, fleet, collection)
        with step("measure"):
            collector = Collector(account.client, project, fleet, collection)
            summary = collector.collect(rounds.executions)
            self._say_accuracy(collector)
        if not self.options.keep:
            self._destroy(account, project, fleet, empty)
        summary["seconds"] = {**self.steps.seconds, "total": round(self.steps.total_seconds, 1)}
        write_atomically(SUMMARY, json.dumps(summary, indent=2, ensure_ascii=False) + "\n")
        return summary

    def _turn(self, rounds: Rounds, fleet: Fleet, collection: Collection) -> None:
        """Two rounds: the second with what the devices were unsure of, and some more images."""
        with self.steps.step("round 1"):
            arn = rounds.start(ROUNDS[0])
            fleet.provision()
            first = rounds.follow(ROUNDS[0], arn)
            if not (serving := deployed_model(first)):
                raise Failure(f"no model came to the devices: {without_model(first)}")
            fleet.wait_for_model(rounds.reader, serving, rounds.show_devices)
        with self.steps.step("footage 1"):
            fleet.feed(collection.parts[FIRST])
            fleet.wait_for_frames(rounds.reader, rounds.show_devices)
        with self.steps.step("round 2"):
            # What devices were unsure of goes to people; what comes like the gold did, the machine may label.
            DataBucket(rounds.clients, rounds.project.data_bucket).upload(collection.parts[LATER])
            second = rounds.follow(ROUNDS[1], rounds.start(ROUNDS[1]))
            if newer := deployed_model(second):
                fleet.wait_for_model(rounds.reader, newer, rounds.show_devices)
            else:
                self.screen.say(f"the devices keep their model: {without_model(second)}")
        with self.steps.step("footage 2"):
            fleet.feed(collection.parts[SECOND])
            fleet.wait_for_frames(rounds.reader, rounds.show_devices)

    def _destroy(self, account: Account, project: Project, fleet: Fleet, empty: inventory.Inventory) -> None:
        with self.steps.step("console destroy"):
            fleet.stop()
            removed = remove(account.client, project, keep_data=False, tell=lambda _: None)
            if removed.problems:
                raise Failure("; ".join(removed.problems))
            self.screen.say(f"{len(removed.lines)} removals")
        with self.steps.step("cdk destroy"):
            account.cdk("destroy", "--all", f"--app={self._cdk_out}")
        with self.steps.step("verify"):
            if left := inventory.leftovers(empty, inventory.take(account.client)):
                raise Failure(f"more than CDKToolkit is left: {', '.join(left)}")
            self.screen.say("only CDKToolkit is left")

    def _read_images(self) -> Collection:
        """Somebody's photographs; read before anything is started, so that a bad folder starts nothing."""
        with self.steps.step("read images"):
            collection, skipped = read_folder(self.options.images, self.options.seed, self.workspace.folder / "scaled")
            for skip in skipped:
                self.screen.say(f"skipped {skip.path}: {skip.reason}", style="yellow")
        return collection

    def _upload(self, account: Account, project: Project, collection: Collection) -> None:
        self.truth.update(collection.truth)
        bucket = DataBucket(account.client, project.data_bucket)
        bucket.upload_gold(collection.parts[GOLD], collection.labels)
        bucket.upload(collection.parts[UPLOAD])
        parts = ", ".join(f"{len(photos)} {part}" for part, photos in collection.parts.items())
        self.screen.say(f"{len(collection.labels)} classes: {parts}")

    def _say_accuracy(self, collector: Collector) -> None:
        for version, share in collector.accuracy_by_model().items():
            if share is not None:
                self.screen.say(f"edge accuracy under model {version}: {share:.1%}")

    def _keep(self, account: Account) -> None:
        self.screen.say("the account stays open until Ctrl-C; in another terminal:", style="bold")
        for name, value in account.environment.items():
            self.screen.say(f"export {name}={value}")
        Event().wait()
