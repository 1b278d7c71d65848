"""The functions of the endpoint test: what SageMaker is asked for, what answers mean, what is left to delete."""

import io
import json
import tarfile
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from reefloop import clients
from reefloop.compilation import containers, host, hosted, sweep, try_endpoint, unhost
from reefloop.compilation.host import NoContainer
from reefloop.compilation.targets import TARGETS
from reefloop.payloads import CompilationTarget, Hosting, Package, Trial
from tests.any import any_bytes, any_model_version, any_package, tar_gz
from tests.handlers.account import DATA, Account
from tests.unit.reefloop.test_containers import PYTORCH, RUNTIME, TENSORFLOW, XGBOOST

NAME = "reefloop-endpoint-0a1b"
LATER = (datetime.now(UTC) + timedelta(days=1)).isoformat()
PAST = (datetime.now(UTC) - timedelta(minutes=5)).isoformat()


class ModelError(ClientError):  # type: ignore[misc]
    """What the container itself refuses."""


def refusal(code: str, message: str, kind: type[ClientError] = ClientError) -> ClientError:
    return kind({"Error": {"Code": code, "Message": message}}, "AnyOperation")


class Exceptions:
    """As a client has its service's errors."""

    ModelError = ModelError


@dataclass
class Hosts:
    """SageMaker and its runtime, as far as hosting goes. `answers` are given in turn, and the last one for ever."""

    endpoints: dict[str, str] = field(default_factory=dict)
    configs: set[str] = field(default_factory=set)
    models: dict[str, datetime] = field(default_factory=dict)
    answers: list[bytes | ClientError] = field(default_factory=list)
    asked: list[dict[str, Any]] = field(default_factory=list)
    exceptions: type["Exceptions"] = field(default_factory=lambda: Exceptions)

    def describe_endpoint(self, *, EndpointName: str) -> dict[str, str]:
        self._check(EndpointName in self.endpoints)
        status = self.endpoints[EndpointName]
        return {"EndpointStatus": status, **({"FailureReason": "out of luck"} if status == "Failed" else {})}

    def delete_endpoint(self, *, EndpointName: str) -> None:
        self._check(EndpointName in self.endpoints)
        if self.endpoints[EndpointName] == "Creating":
            raise refusal("ValidationException", "Cannot update in-progress endpoint")
        self.endpoints[EndpointName] = "Deleting"

    def delete_endpoint_config(self, *, EndpointConfigName: str) -> None:
        self._check(EndpointConfigName in self.configs)
        self.configs.remove(EndpointConfigName)

    def delete_model(self, *, ModelName: str) -> None:
        self._check(ModelName in self.models)
        del self.models[ModelName]

    def get_paginator(self, operation: str) -> Any:
        listings = {
            "list_models": lambda before: [
                {"Models": [{"ModelName": name} for name, made in self.models.items() if made < before]}
            ],
            "list_endpoints": lambda _: [{"Endpoints": [{"EndpointName": name} for name in self.endpoints]}],
        }

        class Paginator:
            def paginate(self, *, NameContains: str, CreationTimeBefore: datetime) -> Any:
                assert NameContains == "reefloop-endpoint-"
                listing: Any = listings[operation]
                return listing(CreationTimeBefore)

        return Paginator()

    def invoke_endpoint(self, **request: Any) -> dict[str, Any]:
        answer = self.answers[min(len(self.asked), len(self.answers) - 1)]
        self.asked.append(request)
        if isinstance(answer, ClientError):
            raise answer
        return {"Body": io.BytesIO(answer)}

    @staticmethod
    def _check(known: bool) -> None:
        if not known:
            raise refusal("ValidationException", 'Could not find endpoint "arn".')


@pytest.fixture
def hosts(monkeypatch: pytest.MonkeyPatch) -> Hosts:
    """An endpoint in service, in place of SageMaker; every other service is the account's."""
    made, others = Hosts({NAME: "InService"}, {NAME}, {NAME: datetime.now(UTC)}), clients.client
    monkeypatch.setattr(clients, "client", lambda service: made if "sagemaker" in service else others(service))
    return made


@pytest.fixture(autouse=True)
def _variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"TIMEOUT_SECONDS": "1800", "AGE_SECONDS": "3600", "AWS_REGION": "us-east-1"}.items():
        monkeypatch.setenv(name, value)


def target(**record: Any) -> CompilationTarget:
    return CompilationTarget(
        name="ml_c5",
        record={**TARGETS["ml_c5"].record(), **record},  # type: ignore[typeddict-item]
        delivery="endpoint",
        refusal="",
        input_config={"DataInputConfig": '{"image": [1, 3, 4, 4]}'},
        output_config={},
        instance_type="ml.c5.xlarge",
    )


# ---- Host ------------------------------------------------------------------------------------------------------------


class TestHost:
    def ask(self, account: Account, image: str, **record: Any) -> Hosting:
        version = any_model_version()
        uri = account.put(f"models/{version}/compiled/ml_c5/model.tar.gz", tar_gz({"compiled.pt": b"compiled"}))
        package = any_package("ml_c5", artifact_uri=uri, inference_image=image)
        event: host.Event = {"name": NAME, "model_version": version, "target": target(**record), "package": package}
        return host.handler(event, None)

    def unpacked(self, account: Account, uri: object) -> dict[str, bytes]:
        with tarfile.open(fileobj=io.BytesIO(account.get(str(uri)))) as archive:
            return {member.name: archive.extractfile(member).read() for member in archive}  # type: ignore[union-attr]

    def test_a_container_of_neos_runtime_gets_the_model_as_it_is_and_a_script_apart(self, account: Account) -> None:
        container: Any = self.ask(account, RUNTIME)["container"]
        assert self.unpacked(account, container["ModelDataUrl"]) == {"compiled.pt": b"compiled"}
        script = container["Environment"]["SAGEMAKER_SUBMIT_DIRECTORY"]
        assert self.unpacked(account, script) == {"inference.py": containers.SCRIPT}

    def test_a_container_of_a_framework_gets_the_script_within_the_model(self, account: Account) -> None:
        container: Any = self.ask(account, PYTORCH)["container"]
        found = self.unpacked(account, container["ModelDataUrl"])
        assert found == {"compiled.pt": b"compiled", "code/inference.py": containers.SCRIPT}

    def test_a_container_that_needs_no_script_gets_none(self, account: Account) -> None:
        container: Any = self.ask(account, XGBOOST)["container"]
        assert container["Environment"] == {}
        assert not [key for key in account.keys(DATA) if "/endpoint/" in key]

    def test_without_a_container_nothing_can_be_hosted(self, account: Account) -> None:
        with pytest.raises(NoContainer, match=r"ml_c5 has no InferenceImage: take ml_c5 out of the targets"):
            self.ask(account, "")

    @pytest.mark.parametrize(
        ("record", "instance_type"),
        [
            ({}, "ml.c5.xlarge"),
            ({"measured_on": "ml.c5.9xlarge"}, "ml.c5.9xlarge"),
            ({"measured_on": "", "device": "ml_m6g"}, "ml.m6g.xlarge"),
            ({"measured_on": "host", "device": "ml_c4"}, "ml.c4.xlarge"),
        ],
    )
    def test_one_instance_of_the_target_hosts_it(
        self, account: Account, record: dict[str, Any], instance_type: str
    ) -> None:
        [variant] = self.ask(account, RUNTIME, **record)["variants"]
        assert (variant["InstanceType"], variant["InitialInstanceCount"]) == (instance_type, 1)
        assert variant["ModelName"] == NAME

    @pytest.mark.parametrize(("timeout", "patience"), [(10, 60), (900, 900), (3600, 3600)])
    def test_sagemaker_itself_gives_up_about_when_the_test_does(
        self, account: Account, monkeypatch: pytest.MonkeyPatch, timeout: int, patience: int
    ) -> None:
        monkeypatch.setenv("TIMEOUT_SECONDS", str(timeout))
        hosting = self.ask(account, RUNTIME)
        assert hosting["variants"][0]["ContainerStartupHealthCheckTimeoutInSeconds"] == patience
        left = datetime.fromisoformat(hosting["deadline"]) - datetime.now(UTC)
        assert timedelta(seconds=timeout - 5) < left <= timedelta(seconds=timeout)

    def test_the_requests_are_those_that_sagemaker_takes(self, account: Account) -> None:
        hosting, role = self.ask(account, RUNTIME), "arn:aws:iam::123456789012:role/any-role"
        account.sagemaker.create_model(ModelName=NAME, ExecutionRoleArn=role, PrimaryContainer=hosting["container"])
        account.sagemaker.create_endpoint_config(EndpointConfigName=NAME, ProductionVariants=hosting["variants"])


# ---- TryEndpoint -----------------------------------------------------------------------------------------------------


class TestTryEndpoint:
    def ask(self, version: str = "own-0a1b", *, image: str = RUNTIME, deadline: str = LATER) -> Trial:
        event: try_endpoint.Event = {
            "name": NAME,
            "model_version": version,
            "target": target(),
            "image": image,
            "deadline": deadline,
        }
        return try_endpoint.handler(event, None)

    def trained(self, account: Account, *labels: int) -> str:
        """The version of a model that finds these labels on its golden images."""
        version = any_model_version()
        listed = [
            {"image": f"{number}.png", "label": "any", "logits": [float(label == other) for other in range(3)]}
            for number, label in enumerate(labels)
        ]
        pictures = {f"golden/{one['image']}": any_bytes() for one in listed}
        files = {"golden/golden.json": json.dumps(listed).encode(), "model.onnx": any_bytes(), **pictures}
        account.put(f"models/{version}/model.tar.gz", tar_gz(files))
        return version

    @pytest.mark.parametrize("status", ["Creating", "Updating", "SystemUpdating"])
    def test_what_is_being_made_is_waited_for_until_the_deadline(
        self, account: Account, hosts: Hosts, status: str
    ) -> None:
        hosts.endpoints[NAME] = status
        assert self.ask() == {"state": "waiting", "reason": ""}
        late = self.ask(deadline=PAST)
        assert late["state"] == "failed"
        assert f"still {status}" in late["reason"]

    def test_what_failed_is_told_in_sagemakers_words(self, account: Account, hosts: Hosts) -> None:
        hosts.endpoints[NAME] = "Failed"
        assert self.ask() == {"state": "failed", "reason": "the endpoint is Failed: out of luck"}
        hosts.endpoints[NAME] = "OutOfService"
        assert self.ask() == {"state": "failed", "reason": "the endpoint is OutOfService: no reason was given"}

    def test_every_golden_image_must_get_the_label_that_it_had_before(self, account: Account, hosts: Hosts) -> None:
        version = self.trained(account, 0, 2, 1)
        hosts.answers = [b"[[9, 1, 1]]", b"[[0, 0, 1]]", b"[[3, 0, 1]]"]
        trial = self.ask(version)
        assert trial["state"] == "failed"
        assert trial["reason"] == "of 2.png it finds label 0, and the model before compilation finds 1"
        assert {one["ContentType"] for one in hosts.asked} == {"application/x-image"}

    def test_a_late_answer_counts(self, account: Account, hosts: Hosts) -> None:
        hosts.answers = [b"[[1, 0, 0]]"]
        assert self.ask(self.trained(account, 0), deadline=PAST) == {"state": "passed", "reason": ""}

    @pytest.mark.parametrize(
        ("image", "content_type"), [(RUNTIME, "application/x-npz"), (TENSORFLOW, "application/json")]
    )
    @pytest.mark.parametrize("answer", [b"[[1, 2]]", b'{"predictions": [[0.5]]}', b'{"a": [1], "b": [[2]]}', b"1.5"])
    def test_a_model_from_elsewhere_is_asked_about_zeros_and_must_answer_with_numbers(
        self, account: Account, hosts: Hosts, image: str, content_type: str, answer: bytes
    ) -> None:
        hosts.answers = [answer]
        assert self.ask(image=image)["state"] == "passed"
        [asked] = hosts.asked
        assert asked["ContentType"] == content_type

    @pytest.mark.parametrize("answer", [b"[[NaN, 1]]", b"[]", b"no JSON", b'["a"]', b"\xff", b"[null]", b"[Infinity]"])
    def test_an_answer_without_finite_numbers_is_wrong(self, account: Account, hosts: Hosts, answer: bytes) -> None:
        hosts.answers = [answer]
        trial = self.ask()
        assert trial["state"] == "failed"
        assert "which is no list of finite numbers" in trial["reason"]

    def test_nobody_knows_what_to_ask_an_xgboost_model(self, account: Account, hosts: Hosts) -> None:
        assert self.ask(image=XGBOOST) == {"state": "passed", "reason": ""}
        assert hosts.asked == []

    def test_what_the_container_refuses_is_its_fault(self, account: Account, hosts: Hosts) -> None:
        hosts.answers = [refusal("ModelError", "Received client error (400)", ModelError)]
        trial = self.ask()
        assert trial == {
            "state": "failed",
            "reason": "the container refused a request: Received client error (400)",
        }


# ---- Unhost and Sweep ------------------------------------------------------------------------------------------------

PASSED: Trial = {"state": "passed", "reason": ""}


def leave(package: Package | None = None, *, trial: Trial = PASSED) -> Any:
    return unhost.handler({"name": NAME, "package": package or any_package("ml_c5"), "trial": trial}, None)


def test_the_endpoint_goes_first_and_what_it_was_made_of_when_it_is_gone(hosts: Hosts) -> None:
    assert leave()["state"] == "waiting"
    assert (hosts.endpoints, hosts.configs) == ({NAME: "Deleting"}, {NAME})
    assert leave()["state"] == "waiting"
    del hosts.endpoints[NAME]
    assert leave()["state"] == "gone"
    assert (hosts.configs, hosts.models) == (set(), {})
    assert leave()["state"] == "gone"


def test_an_endpoint_that_is_being_made_is_asked_to_go_again_and_again(hosts: Hosts) -> None:
    hosts.endpoints[NAME] = "Creating"
    assert [leave()["state"], leave()["state"]] == ["waiting", "waiting"]
    hosts.endpoints[NAME] = "Failed"
    leave()
    assert hosts.endpoints == {NAME: "Deleting"}


def test_an_error_of_the_moment_is_waited_out(hosts: Hosts, monkeypatch: pytest.MonkeyPatch) -> None:
    def throttled(**_: str) -> None:
        raise refusal("ThrottlingException", "Rate exceeded")

    monkeypatch.setattr(hosts, "delete_endpoint", throttled)
    assert leave()["state"] == "waiting"
    monkeypatch.setattr(hosts, "describe_endpoint", throttled)
    assert leave()["state"] == "waiting"


def test_a_package_whose_endpoint_passed_is_as_it_was(hosts: Hosts) -> None:
    package = any_package("ml_c5")
    assert leave(package)["package"] == package


def test_a_package_whose_endpoint_failed_is_refused_with_the_reason(hosts: Hosts) -> None:
    raised = json.dumps({"errorMessage": "it has no InferenceImage", "errorType": "NoContainer", "stackTrace": []})
    trial: Trial = {"state": "failed", "reason": f"NoContainer: {raised}"}
    first = leave(trial=trial)["package"]
    assert (first["outcome"], first["key"], first["bytes"]) == ("refused", "", 0)
    assert first["failure"]["kind"] == "endpoint"
    assert first["failure"]["reason"] == "NoContainer: it has no InferenceImage"
    assert leave(first, trial=trial)["package"] == first


def test_the_sweep_takes_what_is_old_and_of_the_test(hosts: Hosts) -> None:
    old = datetime.now(UTC) - timedelta(hours=2)
    hosts.models = {NAME: old, "reefloop-endpoint-young": datetime.now(UTC), "their-reefloop-endpoint-x": old}
    hosts.endpoints = {}
    assert sweep.handler({}, None) == {"gone": [NAME], "left": []}
    assert set(hosts.models) == {"reefloop-endpoint-young", "their-reefloop-endpoint-x"}


def test_the_sweep_finds_an_endpoint_whose_model_is_gone_already(hosts: Hosts) -> None:
    hosts.models = {}
    assert sweep.handler({}, None) == {"gone": [], "left": [NAME]}
    assert hosts.endpoints == {NAME: "Deleting"}


def test_only_what_is_not_there_is_passed_over(hosts: Hosts, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(**_: str) -> None:
        raise refusal("AccessDeniedException", "not authorized")

    hosts.endpoints = {}
    monkeypatch.setattr(hosts, "delete_model", denied)
    with pytest.raises(ClientError, match="not authorized"):
        hosted.delete(NAME)
