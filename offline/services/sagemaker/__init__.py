"""SageMaker: moto's registry and tags, and jobs and labelers of our own."""

from moto.sagemaker import urls

from offline.services.sagemaker.backend import SageMaker, backends
from offline.services.sagemaker.responses import Responses
from offline.state import ACCOUNT_ID, State


def install(state: State) -> None:
    """Serve SageMaker from the account's server; call it before the first request."""
    SageMaker.state = state
    backends.backend = SageMaker
    urls.url_paths = {"{0}/$": Responses.dispatch}
    state.closing.callback(lambda: backends[ACCOUNT_ID][state.region].jobs.close())
