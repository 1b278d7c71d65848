"""A Greengrass core device: a thread that does what the nucleus does with the deployments of its thing."""

import logging
import shutil
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from offline.broker import Broker, Link
from offline.device import artifacts, resolution
from offline.device.artifacts import ArtifactError
from offline.device.components import SETTLED, Component
from offline.device.credentials import Denied, Exchange
from offline.device.memory import Memory
from offline.device.place import Home
from offline.device.resolution import Root, Unresolvable, Wanted
from offline.device.token_exchange import COMPONENT as TOKEN_EXCHANGE
from offline.device.token_exchange import TokenExchange
from offline.device.tokens import Tokens
from offline.services import greengrassv2
from offline.services.greengrassv2.records import TERMINAL, Core, Deployment, InstalledComponent
from offline.state import State

log = logging.getLogger(__name__)

TICK_SECONDS: Final = 0.1
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
        self._settle_seconds = settle_seconds
        self._home = Home(root, thing, NUCLEUS_VERSIONS[self._runtime], state.environment)
        self._tokens = Tokens()
        self._token_exchange = TokenExchange(exchange, tokens=self._tokens, link=self.link)
        self._books = greengrassv2.backend(state.region)
        self._memory = Memory.load(root / "memory.json")
        self._components: dict[str, Component] = {}
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None
        self._told: tuple[str, list[InstalledComponent]] | None = None

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
        system, architecture = self._platform["os"], self._platform["architecture"]
        version = NUCLEUS_VERSIONS[self._runtime]
        self._books.register(Core(self.thing, system, architecture, self._runtime, version))
        self._home.furnish()
        self._tokens.revoke_all()
        self._token_exchange.start()
        self._state.closing.callback(self.stop)
        self._thread = threading.Thread(target=self._live, name=f"device-{self.thing}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Power off: end every process of the device. Does nothing the second time."""
        self._ending.set()
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.join()
            self._token_exchange.stop()

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
            self._apply(self._memory.running)
            while not self._ending.wait(TICK_SECONDS):
                self._tick()
                for deployment in self._unhandled() if self.link.up else []:
                    self._process(deployment)
        except Exception:
            log.exception("device %s stopped by an error of its own", self.thing)
            self._books.report_components(self.thing, self._installed(), "UNHEALTHY")
        finally:
            for component in self._components.values():
                component.stop()
            self._components.clear()

    def _tick(self) -> None:
        for component in self._components.values():
            component.tick()
        self._report()

    def _unhandled(self) -> list[Deployment]:
        pending = self._books.pending(self.thing)
        fresh = [
            deployment for deployment in pending if self._memory.handled.get(deployment.target_arn) != deployment.id
        ]
        for deployment in fresh:
            self._books.report_deployment(self.thing, deployment, "QUEUED")
        return fresh

    def _process(self, deployment: Deployment) -> None:
        """Bring the device to what the deployment asks for, or leave it as it was, and say which."""
        self._books.report_deployment(self.thing, deployment, "IN_PROGRESS")
        before = self._memory
        try:
            groups, wanted = self._plan(deployment)
            for component in wanted:
                self._fetch(component)
        except (Unresolvable, ArtifactError) as error:
            self._remember(replace(before, handled={**before.handled, deployment.target_arn: deployment.id}))
            self._fail(deployment, "FAILED_NO_STATE_CHANGE", error.code, str(error))
            return
        broken = self._apply(wanted)
        if self._ending.is_set():
            return  # power is off: the deployment is dealt with after the next start
        handled = {**before.handled, deployment.target_arn: deployment.id}
        if broken is not None:
            roll_back = (deployment.request.get("deploymentPolicies") or {}).get(
                "failureHandlingPolicy"
            ) != "DO_NOTHING"
            reason = f"{broken.wanted.name} {broken.wanted.version} is BROKEN: {broken.details}"
            if roll_back:
                still_broken = self._apply(before.running)
                outcome = "FAILED_UNABLE_TO_ROLLBACK" if still_broken else "FAILED_ROLLBACK_COMPLETE"
            else:
                outcome = "FAILED_ROLLBACK_NOT_REQUESTED"
            self._remember(replace(before, handled=handled))
            self._fail(deployment, outcome, "COMPONENT_BROKEN", reason)
            return
        configurations = {**before.configurations, **{each.name: dict(each.configuration) for each in wanted}}
        self._remember(Memory(handled, groups, wanted, configurations))
        self._clean()
        self._report()
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
            current=self._memory.configurations.get,
            platform=self._platform,
        )
        return groups, wanted

    def _fetch(self, wanted: Wanted) -> None:
        running = self._components.get(wanted.name)
        if running is not None and running.wanted.version == wanted.version:
            return
        place = self._home.place(wanted.name, wanted.version)
        artifacts.fetch(
            wanted.manifest,
            folder=place.artifacts,
            unarchived=place.unarchived,
            s3=self._s3,
        )

    def _s3(self) -> Any:
        try:
            return self._state.client("s3", **self.exchange().keywords)
        except Denied as error:
            raise ArtifactError("S3_ERROR", f"no credentials to fetch artifacts with: {error}") from error

    def _apply(self, wanted: Iterable[Wanted]) -> Component | None:
        """Run exactly these components, restarting only what changed; the first that breaks, if one does."""
        target = {each.name: each for each in wanted}
        for name in [name for name, running in self._components.items() if running.wanted != target.get(name)]:
            self._components.pop(name).stop()
        for name, each in target.items():
            if name not in self._components:
                component = Component(
                    each,
                    self._home.place(each.name, each.version, self._variables(each)),
                    settle_seconds=self._settle_seconds,
                    ending=self._ending.is_set,
                )
                self._components[name] = component
                component.install()
                component.start()
            elif self._components[name].state == "FINISHED":
                self._components[name].start()  # a script that has ended runs again at every deployment
        ours = [self._components[name] for name in target]
        while any(each.state not in SETTLED for each in ours) and not self._ending.is_set():
            self._tick()
            if any(each.state == "BROKEN" for each in ours):
                break
            self._ending.wait(TICK_SECONDS / 2)
        self._report()
        return next((each for each in ours if each.state == "BROKEN"), None)

    def _variables(self, wanted: Wanted) -> dict[str, str]:
        """What the nucleus tells the processes of one component, beside what it tells all of them."""
        return self._token_exchange.variables(wanted.name) if TOKEN_EXCHANGE in wanted.dependencies else {}

    def _fail(self, deployment: Deployment, outcome: str, code: str, message: str) -> None:
        kind = "COMPONENT_ERROR" if code == "COMPONENT_BROKEN" else "DEPENDENCY_ERROR"
        log.warning("device %s: deployment %s %s: %s", self.thing, deployment.id, outcome, message)
        self._report()
        self._books.report_deployment(
            self.thing,
            deployment,
            "FAILED",
            reason=f"{outcome}: {message}",
            error_stack=("DEPLOYMENT_FAILURE", code),
            error_types=(kind,),
        )

    def _remember(self, memory: Memory) -> None:
        self._memory = memory
        memory.save(self.root / "memory.json")

    def _clean(self) -> None:
        """Delete the artifacts of what is no longer deployed, as the nucleus does after every success."""
        keep = {(each.name, each.version) for each in self._memory.running}
        for folder in self._home.packages.glob("*/*/*"):
            if (folder.parent.name, folder.name) not in keep:
                shutil.rmtree(folder)

    def _report(self) -> None:
        """Tell the cloud what runs, when that changed."""
        installed = self._installed()
        broken = any(component.state == "BROKEN" for component in self._components.values())
        told = ("UNHEALTHY" if broken else "HEALTHY", installed)
        if told != self._told:
            self._told = told
            self._books.report_components(self.thing, installed, told[0])

    def _installed(self) -> list[InstalledComponent]:
        return [
            InstalledComponent(each.wanted.name, each.wanted.version, each.state, each.wanted.root, each.details)
            for each in self._components.values()
        ]
