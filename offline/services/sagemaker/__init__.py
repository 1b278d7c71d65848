"""SageMaker: moto's registry and tags, and jobs and labelers of our own."""

from collections.abc import Mapping
from typing import Any

from moto.sagemaker import urls

from offline import gate
from offline.api import Call
from offline.services.sagemaker.backend import SageMaker, backends
from offline.services.sagemaker.responses import Responses
from offline.state import ACCOUNT_ID, State


def install(state: State) -> None:
    """Serve SageMaker from the account's server; call it before the first request."""
    SageMaker.state = state
    backends.backend = SageMaker
    urls.url_paths = {"{0}/$": Responses.dispatch}
    gate.SERVICES["sagemaker-runtime:InvokeEndpoint"] = _invoke_endpoint
    state.closing.callback(lambda: backends[ACCOUNT_ID][state.region].close())


def _invoke_endpoint(call: Call) -> Mapping[str, Any]:
    answer: Mapping[str, Any] = backends[ACCOUNT_ID][SageMaker.state.region].invoke_endpoint(call)
    return answer
