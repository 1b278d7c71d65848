"""A Greengrass core device: a thread that does what the nucleus does with the deployments of its thing."""

import logging
import shutil
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from offline.broker import Broker, Link
from offline.device import artifacts, resolution
from offline.device.artifacts import ArtifactError
from offline.device.credentials import Exchange
from offline.device.ipc import Configurations
from offline.device.memory import Memory
from offline.device.nucleus import Nucleus
from offline.device.place import Home
from offline.device.relay import Relay
from offline.device.reports import Reports
from offline.device.resolution import Root, Unresolvable, Wanted
from offline.device.running import TICK_SECONDS, Running
from offline.services import greengrassv2
from offline.services.greengrassv2.records import TERMINAL, Core, Deployment
from offline.state import State

log = logging.getLogger(__name__)

NUCLEUS_VERSIONS: Final[Mapping[str, str]] = {"aws_nucleus_lite": "2.5.1", "aws_nucleus_classic": "2.18.2"}


class CoreDevice:
    """One device, running between `start` and `stop` or in a `with` block.

    Args:
        root: everything of the device, as under /greengrass/v2: packages/, work/<component>/, logs/.
        platform: the attributes that manifests are matched against; with runtime aws_nucleus_lite, as lite does it.
        exchange: gives credentials for the device's certificate.
        settle_seconds: how long a run script must live before its component counts as RUNNING.
    """

    def __init__(
        self,
        state: State,
        thing: str,
        *,
        root: Path,
        platform: Mapping[str, str],
        exchange: Exchange,
        settle_seconds: float = 1.0,
    ) -> None:
        self.thing, self.root = thing, root
        self.link = Link(state.only(Broker), thing)
        self.exchange, self._state, self._platform = exchange, state, dict(platform)
        self._runtime = self._platform.get("runtime", "aws_nucleus_classic")
        self._relay = Relay(state, self.link)
        self._account = state.environment
        self._home = Home(root, thing, NUCLEUS_VERSIONS[self._runtime], self._account)
        self._books = greengrassv2.backend(state.region)
        self._reports = Reports(self._books, thing)
        self._memory = Memory.load(root / "memory.json")
        self._remembering = threading.Lock()
        self._ending = threading.Event()
        self._power_cut = False
        lite = self._runtime == "aws_nucleus_lite"
        self._configurations = Configurations(self._memory.configurations, self._remember)
        self._nucleus = Nucleus(
            root,
            lite=lite,
            link=self.link,
            exchange=exchange,
            configurations=self._configurations,
            lifecycle=lambda name, what: self._running.ask(name, what),
        )
        self._running = Running(
            place=self._home.place,
            variables=self._nucleus.variables,
            configurations=self._configurations,
            lite=lite,
            settle_seconds=settle_seconds,
            ending=self._ending,
            report=lambda: self._reports.components(self._running),
        )
        self._thread: threading.Thread | None = None

    def __enter__(self) -> "CoreDevice":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def frames(self) -> Path:
        """Where the camera of this device leaves its frames."""
        folder = self.root / "work" / "reefloop.Classifier" / "frames"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def start(self) -> None:
        """Power on. What the device ran before comes back."""
        if self._thread is not None:
            return
        self._ending.clear()
        told = (self._platform["os"], self._platform["architecture"], self._runtime, NUCLEUS_VERSIONS[self._runtime])
        self._books.register(Core(self.thing, *told))
        self._account["AWS_ENDPOINT_URL"] = self._relay.start()
        self._home.furnish()
        self._nucleus.start()
        self._state.closing.callback(self.stop)
        self._thread = threading.Thread(target=self._live, name=f"device-{self.thing}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Power off: end every process of the device. Does nothing the second time."""
        self._ending.set()
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.join()
            self._nucleus.stop()
            self._relay.stop()

    def kill(self) -> None:
        """Cut the power: every process ends with SIGKILL, and what the nucleus had in memory is lost."""
        self._power_cut = True
        self._nucleus.stop()
        self.stop()
        self._power_cut = False

    def kill_nucleus(self) -> None:
        """`kill -9` of the nucleus, which systemd starts again: messages that it had are lost, tokens are no good.

        The components of nucleus lite are units of their own and live on; those of the classic one die with it.
        """
        if self._runtime == "aws_nucleus_lite":
            self._nucleus.restart()
        else:
            self.kill()
            self.start()

    def wait_for(self, deployment_id: str, *, timeout_seconds: float = 60.0) -> str:
        """How a deployment ended on this device: SUCCEEDED, FAILED, ...

        Raises:
            TimeoutError: it has not ended.
        """
        deadline = time.monotonic() + timeout_seconds
        status = "unknown"
        while time.monotonic() < deadline:
            effective = self._books.core(self.thing).effective.get(deployment_id)
            status = effective.status if effective else "unknown"
            if status in TERMINAL:
                return status
            time.sleep(0.02)
        raise TimeoutError(f"deployment {deployment_id} is {status} on {self.thing} after {timeout_seconds} s")

    # ---- The device's own thread -------------------------------------------------------------------------------------

    def _live(self) -> None:
        try:
            self._running.apply(self._memory.running)
            while not self._ending.wait(TICK_SECONDS):
                self._running.tick()
                for deployment in self._unhandled() if self.link.up else []:
                    self._process(deployment)
        except Exception:
            log.exception("device %s stopped by an error of its own", self.thing)
            self._books.report_components(self.thing, self._running.installed(), "UNHEALTHY")
        finally:
            self._running.stop(kill=self._power_cut)

    def _unhandled(self) -> list[Deployment]:
        pending = self._books.pending(self.thing)
        fresh = [each for each in pending if self._memory.handled.get(each.target_arn) != each.id]
        for deployment in fresh:
            self._books.report_deployment(self.thing, deployment, "QUEUED")
        return fresh

    def _process(self, deployment: Deployment) -> None:
        """Bring the device to what the deployment asks for, or leave it as it was, and say which."""
        self._books.report_deployment(self.thing, deployment, "IN_PROGRESS")
        before, configurations = self._memory, self._configurations.all()
        handled = {**before.handled, deployment.target_arn: deployment.id}
        try:
            groups, wanted = self._plan(deployment)
            for component in wanted:
                self._fetch(component)
        except (Unresolvable, ArtifactError) as error:
            self._remember(handled=handled)
            self._reports.failed(deployment, outcome="FAILED_NO_STATE_CHANGE", code=error.code, message=str(error))
            return
        for component in wanted:
            self._configurations.replace(component.name, component.configuration)
        broken = self._running.apply(wanted)
        if self._ending.is_set():
            self._configurations.restore(configurations)
            return  # power is off: the deployment is dealt with after the next start
        if broken is not None:
            reason = f"{broken.wanted.name} {broken.wanted.version} is BROKEN: {broken.details}"
            if (deployment.request.get("deploymentPolicies") or {}).get("failureHandlingPolicy") != "DO_NOTHING":
                self._configurations.restore(configurations)
                still_broken = self._running.apply(before.running)
                outcome = "FAILED_UNABLE_TO_ROLLBACK" if still_broken else "FAILED_ROLLBACK_COMPLETE"
            else:
                outcome = "FAILED_ROLLBACK_NOT_REQUESTED"
            self._remember(handled=handled)
            self._reports.failed(deployment, outcome=outcome, code="COMPONENT_BROKEN", message=reason)
            return
        self._remember(handled=handled, groups=groups, running=wanted)
        self._clean()
        self._books.report_deployment(self.thing, deployment, "SUCCEEDED", reason="SUCCESSFUL")

    def _plan(self, deployment: Deployment) -> tuple[dict[str, dict[str, Root]], list[Wanted]]:
        """What every target of the thing asks for, with this deployment among them, and what is to run for it."""
        asked = {
            name: Root(terms["componentVersion"], terms.get("configurationUpdate") or {})
            for name, terms in deployment.components.items()
        }
        targets = {deployment.target_arn, *self._books.groups_of(self.thing)}
        stay = {t: roots for t, roots in self._memory.groups.items() if t in targets or ":thing/" in t}
        groups = {**stay, deployment.target_arn: asked}
        wanted = resolution.resolve(
            groups,
            fresh=deployment.target_arn,
            recipes=lambda name: {v.recipe.version: v.recipe.document for v in self._books.versions(name)},
            current=self._configurations.get,
            platform=self._platform,
        )
        return groups, wanted

    def _fetch(self, wanted: Wanted) -> None:
        if self._running.has(wanted.name, wanted.version):
            return
        place = self._home.place(wanted.name, wanted.version)
        artifacts.fetch(wanted.manifest, place, s3=lambda: self._state.client("s3", **self.exchange().keywords))

    def _remember(self, **changes: Any) -> None:
        """Keep these fields of the memory, and all configurations: components change theirs in other threads."""
        with self._remembering:
            self._memory = replace(self._memory, **changes, configurations=self._configurations.all())
            self._memory.save(self.root / "memory.json")

    def _clean(self) -> None:
        """Delete the artifacts of what is no longer deployed, as the nucleus does after every success."""
        keep = {(each.name, each.version) for each in self._memory.running}
        for folder in self._home.packages.glob("*/*/*"):
            if (folder.parent.name, folder.name) not in keep:
                shutil.rmtree(folder)
