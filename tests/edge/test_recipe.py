"""The component's recipe keeps every rule of both nuclei, and the checker catches a recipe that breaks one."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.edge.recipe_rules import violations

COMPONENT = Path(__file__).parents[2] / "edge" / "reefloop.Classifier"
RECIPE = (COMPONENT / "recipe.json").read_text()
Change = Callable[[dict[str, Any]], object]


def lifecycle(recipe: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = recipe["Manifests"][0]["Lifecycle"]
    return found


def script(text: str) -> Change:
    return lambda recipe: lifecycle(recipe).update(run={"Script": text})


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
    "a number in the configuration": (
        lambda r: r["ComponentConfiguration"]["DefaultConfiguration"].update(poll_seconds=5),
        "poll_seconds is 5",
    ),
    "a long value": (
        lambda r: r["ComponentConfiguration"]["DefaultConfiguration"].update(bucket="b" * 1001),
        "1001 characters",
    ),
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


def test_the_component_depends_on_the_token_exchange_service() -> None:
    dependency = json.loads(RECIPE)["ComponentDependencies"]["aws.greengrass.TokenExchangeService"]
    assert dependency["DependencyType"] == "HARD"
