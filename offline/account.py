"""An AWS account on the laptop: moto's server with what moto lacks, reached through AWS_ENDPOINT_URL."""

import copy
import logging
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from moto.core.base_backend import BackendDict
from moto.core.config import default_user_config
from moto.moto_server.werkzeug_app import MotoRequestHandler
from moto.s3.models import s3_backends
from werkzeug.serving import BaseWSGIServer, make_server

from offline import cdk, cloudformation, functions, step_functions
from offline.faults import Faults
from offline.gate import Gate
from offline.services import codebuild, events, greengrassv2, iot, s3, sagemaker
from offline.state import ACCOUNT_ID, Crew, State

_PARTS = (cloudformation, functions, s3, step_functions, events, sagemaker, codebuild, greengrassv2, iot)


class Account:
    """One account, open between `start` and `stop` or in a `with` block.

    moto keeps its state in the process, so a process has one open account at a time; accounts of several processes do
    not know of each other. `folder` takes everything the account writes and may be removed after `stop`.
    """

    def __init__(self, folder: Path, *, crew: Crew | None = None, region: str = "us-east-1") -> None:
        self.state = State(folder.resolve(), region=region, crew=crew)
        self._server: BaseWSGIServer | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    @property
    def endpoint(self) -> str:
        return self.state.endpoint

    @property
    def environment(self) -> dict[str, str]:
        """The AWS_* variables that lead a child process to this account."""
        return self.state.environment

    @property
    def faults(self) -> Faults:
        return self.state.faults

    def client(self, service: str) -> Any:
        """A boto3 client of this account."""
        return self.state.client(service)

    def start(self) -> None:
        """Open an empty account on a free port of the loopback interface."""
        global _open
        with _opening:
            if _open is not None:
                raise RuntimeError(f"this process already has an open account ({_open.endpoint}): stop it first")
            _open = self
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def _start(self) -> None:
        self.state.folder.mkdir(parents=True, exist_ok=True)
        logging.getLogger("werkzeug").setLevel(logging.ERROR)  # the gate keeps its own list of requests
        _forget()
        self._configure_moto()
        for part in _PARTS:
            part.install(self.state)
        self._server = make_server("127.0.0.1", 0, Gate(self.state), threaded=True, request_handler=MotoRequestHandler)
        # The word localhost: moto reads the address of a template by its host name.
        self.state.endpoint = f"http://localhost:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, name="offline-account", daemon=True).start()

    def _configure_moto(self) -> None:
        """Set moto's options for this process, until the account closes."""
        before = copy.deepcopy(default_user_config)
        self.state.closing.callback(default_user_config.update, before)
        self.state.closing.callback(default_user_config.clear)
        default_user_config["lambda"] = {"use_docker": False}
        default_user_config["iam"] = {"load_aws_managed_policies": True}  # roles attach them by ARN
        default_user_config["stepfunctions"] = {"execute_state_machine": True}

    def stop(self) -> None:
        """End every job, function and device of the account, then its server. Does nothing the second time."""
        global _open
        try:
            self.state.closing.close()
        finally:
            if self._server is not None:
                self._server.shutdown()
                self._server.server_close()
                self._server = None
                _forget()
            with _opening:
                if _open is self:
                    _open = None

    def cdk(self, verb: str, *arguments: str, cwd: Path = cdk.ROOT) -> str:
        """Run a command of the CDK CLI against this account; returns what it printed.

        Raises:
            CdkError: with the last lines that the CLI printed.
        """
        environment = cdk.environment(self.environment, self.state.folder)
        return cdk.run(verb, *arguments, environment=environment, output=self.state.folder / "cdk.out", cwd=cwd)

    def bootstrap(self) -> None:
        """Make the CDKToolkit stack, as every account needs once before the first deployment."""
        self.cdk("bootstrap", f"aws://{ACCOUNT_ID}/{self.state.region}", cwd=self.state.folder)


def _forget() -> None:
    """Drop every backend of moto. Its own reset makes each of them again, at 1.5 s for the managed policies alone."""
    for backends in BackendDict._instances:
        backends.clear()
    BackendDict._instances.clear()
    s3_backends.bucket_accounts.clear()  # whose each bucket is, kept beside the backends


_open: Account | None = None
_opening = threading.Lock()
