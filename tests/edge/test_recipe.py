"""The component's recipe keeps every rule of both nuclei, and the checker catches a recipe that breaks one."""

import copy
import json
import re
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from classifier.configuration import Configuration, parse
from classifier.messages import KINDS

from tests.edge.recipe_rules import violations

COMPONENT = Path(__file__).parents[2] / "edge" / "reefloop.Classifier"
RECIPE = (COMPONENT / "recipe.json").read_text()
Change = Callable[[dict[str, Any]], object]


def lifecycle(recipe: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = recipe["Manifests"][0]["Lifecycle"]
    return found


def script(text: str) -> Change:
    return lambda recipe: lifecycle(recipe).update(run={"Script": text})


def defaults(recipe: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = recipe["ComponentConfiguration"]["DefaultConfiguration"]
    return found


def policy(**terms: object) -> Change:
    """Another accessControl for messages to the cloud."""

    def change(recipe: dict[str, Any]) -> None:
        policies = defaults(recipe)["accessControl"]["aws.greengrass.ipc.mqttproxy"]
        next(iter(policies.values())).update(terms)

    return change


def platform(**terms: object) -> Change:
    return lambda recipe: recipe["Manifests"][0]["Platform"].update(terms)


def setenv(value: object) -> Change:
    return lambda recipe: lifecycle(recipe).update(Setenv={"KEY": value})


BROKEN: dict[str, tuple[Change, str]] = {
    "a phase in upper case": (lambda r: lifecycle(r).update(Run="true"), "'Run'"),
    "a phase that reboots": (lambda r: lifecycle(r).update(bootstrap="true"), "'bootstrap'"),
    "a startup phase": (lambda r: lifecycle(r).update(startup="true"), "'startup'"),
    "no run phase": (lambda r: lifecycle(r).pop("run"), "no run phase"),
    "setenv in lower case": (lambda r: lifecycle(r)["run"].update(setenv={}), "'setenv'"),
    "script in lower case": (lambda r: lifecycle(r).update(run={"script": "true"}), "'script'"),
    "manifests in lower case": (lambda r: r.update(manifests=r["Manifests"]), "'manifests'"),
    "no runtime": (lambda r: r["Manifests"][0]["Platform"].pop("runtime"), "runtime is None"),
    "no os": (lambda r: r["Manifests"][0]["Platform"].pop("os"), "os is None"),
    "no platform": (lambda r: r["Manifests"][0].pop("Platform"), "os is None"),
    "no manifest": (lambda r: r.update(Manifests=[]), "no manifest"),
    "two lines": (script("true\ntrue"), "more than one command"),
    "two commands": (script("true; true"), "more than one command"),
    "a shell variable in braces": (script("echo ${HOME}"), "no supported variable"),
    "inline JSON": (script("""echo '{"a": 1}'"""), "no supported variable"),
    "an unclosed brace": (script("echo {"), "no supported variable"),
    "a closing brace alone": (script("echo }"), "closing brace"),
    "a variable of another component": (script('echo "{other:configuration:/x}"'), "no supported variable"),
    "a missing key": (script('echo "{configuration:/nowhere}"'), "no default"),
    "the whole configuration": (script('echo "{configuration:/}"'), "no default"),
    "an unquoted value": (script("echo {configuration:/bucket}"), "double quotes"),
    "an unquoted path": (script("ls {work:path}"), "double quotes"),
    "a number in Setenv": (setenv(5), "empties the whole script"),
    "a blank in Setenv": (setenv("two words"), "unquoted"),
    "a semicolon in Setenv": (setenv("a;b"), "unquoted"),
    "a dollar in Setenv": (setenv("$HOME"), "unquoted"),
    "two commands side by side": (script("true & true"), "more than one command"),
    "a pipe": (script("true | true"), "more than one command"),
    "an index into a list": (script('echo "{configuration:/watch_list/0}"'), "counts into a list"),
    "a number in a script": (script('echo "{configuration:/poll_seconds}"'), "is no text"),
    "a long value": (lambda r: defaults(r).update(bucket="b" * 1001), "1003 characters"),
    "a long list": (lambda r: defaults(r).update(watch_list=["label"] * 200), "about 1000"),
    "a platform key in upper case": (platform(Os="linux"), "'Os'"),
    "a processor by another name": (platform(architecture="x86_64"), "'x86_64'"),
    "an unknown key of the configuration": (
        lambda r: r["ComponentConfiguration"].update(defaultConfiguration={}),
        "'defaultConfiguration'",
    ),
    "a dependency on lite": (
        lambda r: r["ComponentDependencies"].update({"aws.greengrass.NucleusLite": {"VersionRequirement": "*"}}),
        "on classic there is none",
    ),
    "a dependency key in lower case": (
        lambda r: r["ComponentDependencies"].update(other={"versionRequirement": "*"}),
        "'versionRequirement'",
    ),
    "a dependency of another strength": (
        lambda r: r["ComponentDependencies"].update(other={"DependencyType": "hard"}),
        "HARD or SOFT",
    ),
    "a name with a blank": (lambda r: r.update(ComponentName="reef loop"), "ComponentName"),
    "a version of two numbers": (lambda r: r.update(ComponentVersion="1.0"), "ComponentVersion"),
    "a global lifecycle": (lambda r: r.update(Lifecycle={"run": "true"}), "'Lifecycle'"),
    "a thing name in accessControl": (policy(resources=["reefloop/{iot:thingName}/alert"]), "expands no variable"),
    "every topic": (policy(resources=["*"]), "name the topics"),
    "no topic": (policy(resources=[]), "name the topics"),
    "a topic with a hash": (policy(resources=["reefloop/#"]), "disconnect the nucleus"),
    "a topic of AWS": (policy(resources=["$aws/things/*/shadow"]), "AWS's own"),
    "every operation": (policy(operations=["*"]), "name what is used"),
    "no operation": (policy(operations=[]), "name what is used"),
    "an operation by half its name": (policy(operations=["PublishToIoTCore"]), "full names"),
    "an operation of another service": (policy(operations=["aws.greengrass#PublishToTopic"]), "name what is used"),
    "a policy key in upper case": (policy(Operations=[]), "'Operations'"),
    "a policy that another component may have too": (
        lambda r: defaults(r)["accessControl"]["aws.greengrass.ipc.pubsub"].update({"policy1": {}}),
        "unique on a device",
    ),
    "a plus in a local topic": (
        lambda r: next(iter(defaults(r)["accessControl"]["aws.greengrass.ipc.pubsub"].values())).update(
            resources=["reefloop/+"]
        ),
        "plain character",
    ),
    "an unknown service": (lambda r: defaults(r)["accessControl"].update({"aws.greengrass.Cli": {}}), "known are"),
    "a timeout in text": (lambda r: lifecycle(r)["install"].update(Timeout="900"), "literal integer"),
    "root": (lambda r: lifecycle(r)["run"].update(RequiresPrivilege=True), "root"),
    "an archive that is no ZIP": (lambda r: r["Manifests"][0]["Artifacts"][0].update(Unarchive="TAR"), "ZIP alone"),
    "too many bytes": (lambda r: r.update(ComponentDescription="d" * 8000), "bytes"),
}


def test_the_recipe_keeps_every_rule() -> None:
    assert violations(RECIPE) == []


@pytest.mark.parametrize("name", BROKEN)
def test_a_recipe_that_breaks_a_rule_is_caught(name: str) -> None:
    change, complaint = BROKEN[name]
    recipe = copy.deepcopy(json.loads(RECIPE))
    change(recipe)
    assert any(complaint in violation for violation in violations(json.dumps(recipe)))


def test_a_yaml_recipe_is_caught() -> None:
    assert violations("RecipeFormatVersion: '2020-01-25'") != []


def test_the_defaults_are_those_of_the_component_with_their_types() -> None:
    told = {name: value for name, value in defaults(json.loads(RECIPE)).items() if name != "accessControl"}
    assert told == json.loads(json.dumps(asdict(Configuration())))
    assert parse(told) == Configuration()


def test_the_scripts_hold_no_settings_so_that_a_change_needs_no_restart() -> None:
    assert all("configuration:" not in phase["Script"] for phase in lifecycle(json.loads(RECIPE)).values())


def test_the_component_may_say_its_records_hear_of_them_and_tell_its_neighbours_of_alerts_and_nothing_else() -> None:
    granted = {
        (operation.removeprefix("aws.greengrass#"), resource)
        for service in defaults(json.loads(RECIPE))["accessControl"].values()
        for one in service.values()
        for operation in one["operations"]
        for resource in one["resources"]
    }
    assert granted == {
        *(("PublishToIoTCore", f"reefloop/*/{kind}") for kind in KINDS),
        ("SubscribeToIoTCore", "reefloop/*/ack"),
        ("PublishToTopic", "reefloop/alert"),
    }


def test_the_component_depends_on_the_token_exchange_service() -> None:
    dependency = json.loads(RECIPE)["ComponentDependencies"]["aws.greengrass.TokenExchangeService"]
    assert dependency["DependencyType"] == "HARD"


def test_the_readme_names_every_setting_with_its_default() -> None:
    readme = (COMPONENT.parent / "README.md").read_text()
    told = {name: json.loads(value) for name, value in re.findall(r"^\| `(\w+)` \| `(.+?)` \|", readme, re.MULTILINE)}
    assert told == json.loads(json.dumps(asdict(Configuration())))
