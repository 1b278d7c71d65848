"""IPC on a whole core device: what deployments, restarts and power cuts do to components that talk to their nucleus."""

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import awsiot.greengrasscoreipc as ipc
import pytest
from awsiot.greengrasscoreipc import model
from awsiot.greengrasscoreipc.clientv2 import GreengrassCoreIPCClientV2 as Client

from offline.broker import Broker
from offline.device import CoreDevice
from offline.device.ipc import SOCKET
from tests.offline.fleet import (
    LINUX,
    TELL,
    Fleet,
    any_name,
    environment,
    eventually,
    opened,
    recipe,
    starts,
    work,
    written,
)
from tests.offline.ipc.nucleus import SECONDS, Events, everything

CLASSIC, LITE = "aws_nucleus_classic", "aws_nucleus_lite"

# A component as one is written for a device: it says what it is configured with, and ends when it loses its nucleus.
TALKER = """
import os, signal
from awsiot.eventstreamrpc import LifecycleHandler
from awsiot.greengrasscoreipc import connect
from awsiot.greengrasscoreipc.clientv2 import GreengrassCoreIPCClientV2 as Client

class Lost(LifecycleHandler):
    def on_disconnect(self, reason):
        os._exit(3)

client = Client(connect(lifecycle_handler=Lost()))
thing = os.environ["AWS_IOT_THING_NAME"]

def say(*_):
    word = client.get_configuration(key_path=["word"]).value["word"]
    client.publish_to_iot_core(topic_name=f"reef/{thing}/word", qos="1", payload=word.encode())

client.subscribe_to_configuration_update(key_path=["word"], on_stream_event=say)
say()
signal.pause()
"""


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with opened(tmp_path_factory.mktemp("account")) as fleet:
        yield fleet


def deploy(fleet: Fleet, device: CoreDevice, group: str, name: str, merge: Any = None, version: str = "1.0.0") -> str:
    """How a deployment of one component with a configuration ends."""
    update = {"configurationUpdate": {"merge": json.dumps(merge)}} if merge is not None else {}
    components = {name: {"componentVersion": version, **update}}
    made = fleet.greengrass.create_deployment(targetArn=group, components=components)
    return device.wait_for(made["deploymentId"])


def component(fleet: Fleet, name: str, *, run: str = f"{TELL}; exec sleep 600", version: str = "1.0.0") -> None:
    """A component that may do everything."""
    defaults = {"DefaultConfiguration": {**everything(), "word": "default"}}
    manifest = {"Platform": LINUX, "Lifecycle": {"run": run}}
    fleet.create(recipe(name, version, Manifests=[manifest], ComponentConfiguration=defaults))


def as_component(device: CoreDevice, name: str) -> Client:
    """A client with the rights of a component, made from what its process was told."""
    told = environment(device, name)
    return Client(ipc.connect(ipc_socket=told[SOCKET], authtoken=told["SVCUID"], timeout=SECONDS))


@pytest.mark.parametrize("runtime", [LITE, CLASSIC])
def test_a_process_finds_its_nucleus_in_its_environment(fleet: Fleet, runtime: str) -> None:
    name, group = any_name("c"), fleet.group()
    component(fleet, name)
    with fleet.device(group, runtime=runtime) as device:
        assert deploy(fleet, device, group, name) == "SUCCEEDED"
        told = environment(device, name)
        assert told["AWS_IOT_THING_NAME"] == device.thing
        assert told["AWS_REGION"] == told["AWS_DEFAULT_REGION"] == fleet.account.state.region
        assert Path(told[SOCKET]).is_socket()
        assert len(told["SVCUID"]) == 16
        with closing(as_component(device, name)) as client:
            assert client.get_configuration(key_path=["word"]).component_name == name
    assert not Path(told[SOCKET]).exists()


def test_a_component_hears_of_its_new_configuration_and_outlives_its_nucleus_by_starting_anew(fleet: Fleet) -> None:
    name, group = any_name("c"), fleet.group()
    uri = fleet.artifact({"talk.py": TALKER})
    stem = uri.rpartition("/")[2].removesuffix(".zip")
    run = f'echo start >> starts; exec python3 "{{artifacts:decompressedPath}}/{stem}/talk.py"'
    manifest = {"Platform": LINUX, "Lifecycle": {"run": run}, "Artifacts": [{"Uri": uri, "Unarchive": "ZIP"}]}
    defaults = {"DefaultConfiguration": {**everything(), "word": "first"}}
    fleet.create(recipe(name, Manifests=[manifest], ComponentConfiguration=defaults))
    said: list[bytes] = []
    device = fleet.provision(group)
    broker = fleet.account.state.only(Broker)
    broker.subscribe(f"reef/{device.thing}/word", lambda topic, payload: said.append(payload))
    with device:
        assert deploy(fleet, device, group, name) == "SUCCEEDED"
        eventually(lambda: said == [b"first"])
        assert deploy(fleet, device, group, name, {"word": "second"}) == "SUCCEEDED"
        eventually(lambda: said == [b"first", b"second"])
        assert starts(device, name) == 1
        device.kill_nucleus()
        eventually(lambda: said == [b"first", b"second", b"second"])
        assert starts(device, name) == 2


@pytest.mark.parametrize("runtime", [LITE, CLASSIC])
def test_what_a_component_changed_itself_outlives_power_cuts_and_deployments(fleet: Fleet, runtime: str) -> None:
    name, group = any_name("c"), fleet.group()
    component(fleet, name)
    with fleet.device(group, runtime=runtime) as device:
        deploy(fleet, device, group, name)
        with closing(as_component(device, name)) as client:
            client.update_configuration(key_path=[], timestamp=datetime.now(UTC), value_to_merge={"learned": 7})
        device.kill()
        device.start()
        eventually(lambda: starts(device, name) == 2)
        assert deploy(fleet, device, group, name, {"word": "other"}) == "SUCCEEDED"
        with closing(as_component(device, name)) as client:
            value = client.get_configuration().value
            assert (value["learned"], value["word"]) == (7, "other")


def test_a_deployment_that_fails_gives_the_configuration_back(fleet: Fleet) -> None:
    name, group, events = any_name("c"), fleet.group(), Events()
    component(fleet, name)
    component(fleet, name, version="1.1.0", run="exit 1")
    with fleet.device(group, settle_seconds=3) as device:
        deploy(fleet, device, group, name)
        eventually(lambda: starts(device, name) == 1)
        assert deploy(fleet, device, group, name, {"word": "bad"}, version="1.1.0") == "FAILED"
        eventually(lambda: starts(device, name) == 2)
        with closing(as_component(device, name)) as client:
            assert client.get_configuration(key_path=["word"]).value == {"word": "default"}
            client.subscribe_to_configuration_update(key_path=["word"], on_stream_event=events)
            assert deploy(fleet, device, group, name, {"word": "good"}) == "SUCCEEDED"
            assert events.next().configuration_update_event.key_path == ["word"]


def test_a_component_that_breaks_without_rollback_runs_again_with_the_configuration_that_mends_it(fleet: Fleet) -> None:
    name, group = any_name("c"), fleet.group()
    component(fleet, name, run='test "{configuration:/word}" = good || exit 1; exec sleep 600')
    # On a busy machine too the script has ended before it counts as running.
    with fleet.device(group, settle_seconds=3) as device:
        made = fleet.greengrass.create_deployment(
            targetArn=group,
            components={name: {"componentVersion": "1.0.0"}},
            deploymentPolicies={"failureHandlingPolicy": "DO_NOTHING"},
        )
        assert device.wait_for(made["deploymentId"]) == "FAILED"
        assert deploy(fleet, device, group, name, {"word": "good"}) == "SUCCEEDED"


def test_a_component_that_reports_an_error_is_restarted_by_the_classic_nucleus_and_not_by_lite(fleet: Fleet) -> None:
    for runtime, after in ((CLASSIC, 2), (LITE, 1)):
        name, other, group = any_name("c"), any_name("o"), fleet.group()
        component(fleet, name)
        component(fleet, other)
        with fleet.device(group, runtime=runtime) as device:
            deploy(fleet, device, group, name)
            with closing(as_component(device, name)) as client:
                client.update_state(state="ERRORED")
            # A device acts on what its components said before it deals with a deployment.
            device.wait_for(fleet.deploy(group, {name: "1.0.0", other: "1.0.0"}))
            eventually(lambda: starts(device, other) == 1)  # noqa: B023 - used within its turn
            assert len(written(device, name, "starts", after)) == after
            eventually(lambda: fleet.installed(device)[name][1] == "RUNNING")  # noqa: B023 - used within its turn


def test_a_component_that_says_that_it_runs_does_run(fleet: Fleet) -> None:
    name, group = any_name("c"), fleet.group()
    component(fleet, name)
    with fleet.device(group, settle_seconds=600) as device:
        made = fleet.greengrass.create_deployment(targetArn=group, components={name: {"componentVersion": "1.0.0"}})
        with closing(as_component(device, name)) as client:
            client.update_state(state="RUNNING")
        assert device.wait_for(made["deploymentId"]) == "SUCCEEDED"


def test_a_component_restarts_itself(fleet: Fleet) -> None:
    name, group = any_name("c"), fleet.group()
    component(fleet, name)
    with fleet.device(group) as device:
        deploy(fleet, device, group, name)
        with closing(as_component(device, name)) as client:
            client.restart_component(component_name=name)
            with pytest.raises(model.ComponentNotFoundError):
                client.restart_component(component_name="com.example.None")
        eventually(lambda: starts(device, name) == 2)


def test_a_power_cut_gives_no_process_time_to_tidy_up(fleet: Fleet) -> None:
    name, group = any_name("c"), fleet.group()
    component(fleet, name, run=f"trap 'echo tidy >> tidied; exit 0' TERM; {TELL}; while :; do sleep 0.05; done")
    with fleet.device(group) as device:
        deploy(fleet, device, group, name)
        eventually(lambda: starts(device, name) == 1)
        device.kill()
        assert not (work(device, name) / "tidied").exists()
        device.start()
        eventually(lambda: starts(device, name) == 2)
    assert (work(device, name) / "tidied").exists()


def test_the_components_of_the_classic_nucleus_die_with_it(fleet: Fleet) -> None:
    name, group = any_name("c"), fleet.group()
    component(fleet, name)
    with fleet.device(group, runtime=CLASSIC) as device:
        deploy(fleet, device, group, name)
        old = environment(device, name)["SVCUID"]
        device.kill_nucleus()
        eventually(lambda: starts(device, name) == 2)
        assert environment(device, name)["SVCUID"] != old
        with closing(as_component(device, name)) as client:
            assert client.get_configuration().component_name == name
