"""AWS IoT Greengrass V2, as far as a component, its deployments and the core devices that run them need it."""

from moto.greengrass import urls as greengrass_urls

from offline.services.greengrassv2.models import GreengrassV2Backend, greengrassv2_backends
from offline.services.greengrassv2.responses import GreengrassV2Response
from offline.state import ACCOUNT_ID, State

__all__ = ["GreengrassV2Backend", "backend", "install"]


def install(state: State) -> None:
    """Serve Greengrass V2 from the account's server; call it before the first request.

    V2 signs its requests as `greengrass` and so shares a host with V1, which moto has: only the paths differ.
    """
    GreengrassV2Response.state = state
    greengrass_urls.url_paths["{0}/greengrass/v2/(?P<rest>.*)$"] = GreengrassV2Response.dispatch
    greengrass_urls.url_paths["{0}/tags/(?P<rest>.*)$"] = GreengrassV2Response.dispatch


def backend(region: str, account_id: str = ACCOUNT_ID) -> GreengrassV2Backend:
    """The service's own books: where core devices report what no public API takes."""
    found: GreengrassV2Backend = greengrassv2_backends[account_id][region]
    return found
