"""What a core device tells the cloud about itself."""

import logging

from offline.device.running import Running
from offline.services.greengrassv2.models import GreengrassV2Backend
from offline.services.greengrassv2.records import Deployment, InstalledComponent

log = logging.getLogger(__name__)


class Reports:
    """The reports of one device. Not thread-safe: the device's own thread makes them."""

    def __init__(self, books: GreengrassV2Backend, thing: str) -> None:
        self._books, self._thing = books, thing
        self._told: tuple[str, list[InstalledComponent]] | None = None

    def components(self, running: Running) -> None:
        """Tell what runs, when that changed."""
        broken = any(component.state == "BROKEN" for component in running)
        told = ("UNHEALTHY" if broken else "HEALTHY", running.installed())
        if told != self._told:
            self._told = told
            self._books.report_components(self._thing, told[1], told[0])

    def failed(self, deployment: Deployment, *, outcome: str, code: str, message: str) -> None:
        """Tell that a deployment failed.

        Args:
            outcome: what the device is like now: FAILED_ROLLBACK_COMPLETE, ...
            code: Greengrass's own for the kind of failure.
        """
        kind = "COMPONENT_ERROR" if code == "COMPONENT_BROKEN" else "DEPENDENCY_ERROR"
        log.warning("device %s: deployment %s %s: %s", self._thing, deployment.id, outcome, message)
        self._books.report_deployment(
            self._thing,
            deployment,
            "FAILED",
            reason=f"{outcome}: {message}",
            error_stack=("DEPLOYMENT_FAILURE", code),
            error_types=(kind,),
        )
