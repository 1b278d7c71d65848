"""The templates of every named stage and of the choices that change them, synthesized once per test process."""

import functools
import json
import os
import re
import tempfile
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from aws_cdk import App

import app as reefloop
from reefloop.compilation.targets import TARGETS
from settings import Settings

Templates = Mapping[str, dict[str, Any]]

VENDOR = "arn:aws:sagemaker:us-east-1:123456789012:workteam/vendor-crowd/annotators"

# Every shape that the templates can take: the three stages, and each choice that adds or removes resources.
CONFIGURATIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "laptop": ("laptop", {}),
    "sandbox": ("sandbox", {}),
    "production": ("production", {}),
    "imported labels": ("sandbox", {"labeling": {"provider": "import"}}),
    "existing workforce": (
        "sandbox",
        {"labeling": {"workforce": {"name": "ours", "user_pool_id": "us-east-1_abc123", "client_id": "client1"}}},
    ),
    "station": ("sandbox", {"labeling": {"provider": "station"}}),
    "own page, vendor's team": ("sandbox", {"labeling": {"page": "custom", "vendor_workteam_arn": VENDOR}}),
    "automated, public": (
        "sandbox",
        {
            "labeling": {
                "automated": True,
                "error_budget": 0.05,
                "availability_seconds": 43_200,
                "public_workforce": {
                    "price_usd": 0.036,
                    "acknowledgement": "Mechanical Turk closed on 2026-09-30 and jobs for it may never be done",
                },
            }
        },
    ),
    "boxes": ("sandbox", {"task": "detection", "jobs": {"instance_count": 3}}),
    "boxes judged": (
        "sandbox",
        {"task": "detection", "labeling": {"review": "verification", "automated": True, "error_budget": 0.05}},
    ),
    "boxes at the station": ("sandbox", {"task": "detection", "labeling": {"provider": "station"}}),
    "on demand, approved by hand": ("sandbox", {"training": {"spot": False, "approval": "manual"}}),
    "many GPUs, streamed": (
        "sandbox",
        {
            "jobs": {"pretrained": ["resnet18.a1_in1k"]},
            "training": {"network": "resnet18.a1_in1k", "instance_count": 4, "input_mode": "FastFile"},
        },
    ),
    "every target, tried": (
        "sandbox",
        {
            "compilation": {
                "targets": list(TARGETS),
                "own_targets": [{"name": "buoy", "platform": {"Os": "LINUX", "Arch": "ARM_EABI"}}],
                "endpoint": {"enabled": True},
                "max_concurrency": 40,
                "max_runtime_seconds": 24 * 3600,
            }
        },
    ),
    "another region": ("sandbox", {"region": "eu-west-1"}),
    "a mooring, people are told of alerts": (
        "production",
        {"deployment": {"canary_timeout_seconds": 3 * 24 * 3600, "alert_emails": ["reef@example.org"]}},
    ),
    "workstation": ("sandbox", {"workstation": {"enabled": True}}),
    "endpoint": ("sandbox", {"compilation": {"targets": ["linux-x86_64", "ml_c5"], "endpoint": {"enabled": True}}}),
}


def synthesize(settings: Settings) -> Templates:
    """The templates by stack name without "reefloop-"; raises when cdk-nag or CDK's own rules find something."""
    context = json.loads((reefloop.ROOT / "cdk.json").read_text())["context"]
    with tempfile.TemporaryDirectory() as out:
        cdk = App(outdir=out, context=context, analytics_reporting=False)
        reefloop.build(cdk, settings)
        assembly = cdk.synth()
        return {stack.stack_name.removeprefix("reefloop-"): stack.template for stack in assembly.stacks}


@pytest.fixture(scope="session")
def configured(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Templates]:
    """The templates of a configuration by name. Whichever test process synthesizes it first does so for all."""
    base = tmp_path_factory.getbasetemp()
    # Processes of pytest-xdist have folders of their own in one.
    shared = (base.parent if base.name.startswith("popen-") else base) / "templates"
    shared.mkdir(exist_ok=True)

    @functools.cache
    def templates(name: str) -> Templates:
        path = shared / f"{name}.json"
        if not path.exists():
            stage, choices = CONFIGURATIONS[name]
            made = synthesize(Settings.model_validate(Settings.load(stage).model_dump() | choices))
            mine = path.with_suffix(f".{os.getpid()}")
            mine.write_text(json.dumps(made))
            mine.replace(path)
        found: Templates = json.loads(path.read_text())
        return found

    return templates


@pytest.fixture(params=CONFIGURATIONS)
def configuration(request: pytest.FixtureRequest, configured: Callable[[str], Templates]) -> Templates:
    """The templates of each configuration in turn."""
    return configured(request.param)


@pytest.fixture
def sandbox(configured: Callable[[str], Templates]) -> Templates:
    return configured("sandbox")


def resources(template: Mapping[str, Any], type_: str) -> dict[str, dict[str, Any]]:
    """The properties of the resources of one type, by logical id."""
    return {
        name: resource.get("Properties", {})
        for name, resource in template["Resources"].items()
        if resource["Type"] == type_
    }


def only(template: Mapping[str, Any], type_: str, containing: str = "") -> dict[str, Any]:
    """The properties of the one resource of a type whose logical id contains a text."""
    (found,) = [value for name, value in resources(template, type_).items() if containing in name]
    return found


def text(value: Any) -> str:
    """A CloudFormation expression as text, with what only CloudFormation knows in angle brackets."""
    match value:
        case str():
            return value
        case {"Fn::Join": [delimiter, items]}:
            return str(delimiter).join(text(item) for item in items)
        case {"Fn::GetAtt": [resource, attribute]}:
            return f"<{resource}.{attribute}>"
        case {"Ref": name}:
            return f"<{name}>"
        case {"Fn::ImportValue": name}:
            return f"<{text(name)}>"
        case {"Fn::Sub": str(template)}:
            return template
        case _:
            return "<" + re.sub(r'["{}]', "", json.dumps(value)) + ">"


def definition(template: Mapping[str, Any]) -> dict[str, Any]:
    """The state machine of a stack, parsed."""
    (machine,) = resources(template, "AWS::StepFunctions::StateMachine").values()
    parsed: dict[str, Any] = json.loads(text(machine["DefinitionString"]))
    return parsed


def statements(template: Mapping[str, Any], role: str) -> list[dict[str, Any]]:
    """Every policy statement of the roles whose logical id contains `role`."""
    found: list[dict[str, Any]] = []
    for policy in resources(template, "AWS::IAM::Policy").values():
        if any(role in text(one) for one in policy["Roles"]):
            found += policy["PolicyDocument"]["Statement"]
    return found


def listed(value: Any) -> list[Any]:
    """A policy's one or many, as many."""
    return value if isinstance(value, list) else [value]
