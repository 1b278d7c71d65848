from datetime import UTC, datetime, timedelta

import pytest

from offline.services import greengrassv2
from reefloop import contracts
from reefloop.deployment import check, deploy, publish, roll_back
from reefloop.deployment.publish import ComponentChanged, ModelNotApproved
from reefloop.deployment.recipe import NothingToDeploy
from reefloop.payloads import Component, DeploymentInput, Health, Package, Rollout
from tests.any import any_bytes, any_model_version, any_package, any_thing
from tests.handlers.account import ARTIFACTS, GROUP, REGION, Account

MODEL = contracts.MODEL_COMPONENT


def packaged(account: Account, target: str, version: str) -> Package:
    key = contracts.package_key(version, target, "0a1b")
    account.put(key, any_bytes(), bucket=ARTIFACTS)
    return any_package(target, key=key)


def deployable(account: Account, *targets: str) -> DeploymentInput:
    """An approved model with a package per target."""
    version = any_model_version()
    account.register(version)
    return {"model_version": version, "packages": [packaged(account, name, version) for name in targets]}


def published(account: Account, version: str = "1.1.0") -> str:
    account.component(MODEL, version)
    return version


def deployed(account: Account, group_arn: str, version: str) -> Rollout:
    return deploy.handler({"component_version": published(account, version), "group_arn": group_arn}, None)


class TestPublish:
    def test_makes_the_version_that_the_registry_counts(self, account: Account) -> None:
        account.register(any_model_version(), approved=False)
        made = publish.handler(deployable(account, "linux-x86_64"), None)
        assert made == {
            "component_arn": f"arn:aws:greengrass:{REGION}:123456789012:components:{MODEL}:versions:1.2.0",
            "component_version": "1.2.0",
        }

    def test_gives_every_kind_of_device_its_own_artifact(self, account: Account) -> None:
        event = deployable(account, "linux-arm64", "raspberry-pi-4", "android-arm64")
        arn = publish.handler(event, None)["component_arn"]
        platforms = account.greengrass.describe_component(arn=arn)["platforms"]
        assert [platform["name"] for platform in platforms] == ["raspberry-pi-4", "linux-arm64"]

    def test_leaves_out_a_target_that_was_refused(self, account: Account) -> None:
        event = deployable(account, "linux-x86_64")
        event["packages"].append(any_package("linux-arm64", "refused"))
        arn = publish.handler(event, None)["component_arn"]
        [platform] = account.greengrass.describe_component(arn=arn)["platforms"]
        assert platform["name"] == "linux-x86_64"

    def test_run_again_finds_what_it_made(self, account: Account) -> None:
        event = deployable(account, "linux-x86_64")
        assert publish.handler(event, None) == publish.handler(event, None)

    def test_never_takes_another_recipe_for_its_own(self, account: Account) -> None:
        event = deployable(account, "linux-x86_64")
        publish.handler(event, None)
        event["packages"].append(packaged(account, "linux-arm64", event["model_version"]))
        with pytest.raises(ComponentChanged, match=r"versions:1\.1\.0 exists with another recipe: train a new model"):
            publish.handler(event, None)

    def test_makes_a_version_again_that_greengrass_could_not_make(self, account: Account) -> None:
        event = deployable(account, "linux-x86_64")
        arn = publish.handler(event, None)["component_arn"]
        greengrassv2.backend(REGION).component(arn).failure = "the artifact was not there"
        assert account.greengrass.describe_component(arn=arn)["status"]["componentState"] == "FAILED"
        assert publish.handler(event, None)["component_arn"] == arn
        account.await_deployable(arn)

    @pytest.mark.parametrize("packages", [["android-arm64"], []])
    def test_says_so_when_no_device_could_take_it(self, account: Account, packages: list[str]) -> None:
        with pytest.raises(NothingToDeploy, match="has no package for a Greengrass device"):
            publish.handler(deployable(account, *packages), None)

    def test_publishes_no_model_that_was_rejected(self, account: Account) -> None:
        account.register("bad", approved=False)
        with pytest.raises(ModelNotApproved, match=f"'bad' is Rejected in {GROUP}: train it, or approve"):
            publish.handler({"model_version": "bad", "packages": []}, None)

    def test_publishes_no_model_that_was_never_registered(self, account: Account) -> None:
        with pytest.raises(ModelNotApproved, match="'unheard-of' is not registered"):
            publish.handler({"model_version": "unheard-of", "packages": []}, None)

    def test_passes_on_what_greengrass_refuses(self, account: Account) -> None:
        event = deployable(account, "linux-x86_64")
        account.s3.delete_object(Bucket=ARTIFACTS, Key=event["packages"][0]["key"])
        with pytest.raises(account.greengrass.exceptions.ValidationException, match="cannot be accessed"):
            publish.handler(event, None)


class TestDeploy:
    def test_gives_an_empty_group_the_model(self, account: Account) -> None:
        group = account.group()
        before = datetime.now(UTC).replace(microsecond=0)
        made = deployed(account, group, "1.1.0")
        assert account.components(group) == {MODEL: "1.1.0"}
        assert made["deployment_id"] == account.deployment(group)["deploymentId"]
        assert before + timedelta(seconds=60) <= datetime.fromisoformat(made["deadline"])

    def test_spreads_and_stops_as_the_settings_say(self, account: Account) -> None:
        group = account.group()
        deployed(account, group, "1.1.0")
        assert account.deployment(group)["iotJobConfiguration"] == {
            "jobExecutionsRolloutConfig": {"maximumPerMinute": 50},
            "abortConfig": {
                "criteriaList": [
                    {
                        "failureType": "ALL",
                        "action": "CANCEL",
                        "thresholdPercentage": 10.0,
                        "minNumberOfExecutedThings": 10,
                    }
                ]
            },
        }

    def test_keeps_the_groups_other_components_with_their_configuration(self, account: Account) -> None:
        group = account.group()
        other = {"componentVersion": "2.3.13", "configurationUpdate": {"merge": '{"a":1}'}}
        account.greengrass.create_deployment(targetArn=group, components={"aws.greengrass.LogManager": other})
        deployed(account, group, "1.1.0")
        assert account.deployment(group)["components"]["aws.greengrass.LogManager"] == other

    def test_a_retry_finds_the_deployment(self, account: Account) -> None:
        group = account.group()
        first = deployed(account, group, "1.1.0")
        again = deploy.handler({"component_version": "1.1.0", "group_arn": group}, None)
        assert again["deployment_id"] == first["deployment_id"]

    def test_deploys_a_cancelled_version_anew_when_asked(self, account: Account) -> None:
        group = account.group()
        first = deployed(account, group, "1.1.0")
        account.greengrass.cancel_deployment(deploymentId=first["deployment_id"])
        again = deploy.handler({"component_version": "1.1.0", "group_arn": group}, None)
        assert again["deployment_id"] != first["deployment_id"]


class TestCheck:
    version = "d1-00000001"

    def rolled_out(self, account: Account, *things: str) -> tuple[str, Rollout]:
        """A canary group with these devices and the model deployed to it."""
        group = account.group()
        for thing in things:
            account.core(thing)
        return group, deployed(account, group, "1.1.0")

    def health(self, group: str, rollout: Rollout, *, deadline: str = "") -> Health:
        event: check.Event = {
            "model_version": self.version,
            "group_arn": group,
            "deployment_id": rollout["deployment_id"],
            "deadline": deadline or rollout["deadline"],
        }
        return check.handler(event, None)

    def test_passes_once_every_device_took_the_model_and_passed_its_self_test(self, account: Account) -> None:
        things = [any_thing(), any_thing()]
        group, rollout = self.rolled_out(account, *things)
        assert self.health(group, rollout)["state"] == "waiting"
        for thing in things:
            account.device_ran(thing, rollout["deployment_id"])
            account.device_reports(thing, self.version)
        assert self.health(group, rollout) == {
            "state": "passed",
            "reasons": [f"{thing}: the self-test of {self.version} passed" for thing in things],
        }

    def test_waits_for_a_device_that_still_serves_the_model_before(self, account: Account) -> None:
        thing = any_thing()
        group, rollout = self.rolled_out(account, thing)
        account.device_ran(thing, rollout["deployment_id"])
        account.device_reports(thing, "older")
        assert self.health(group, rollout) == {
            "state": "waiting",
            "reasons": [f"{thing}: the deployment is SUCCEEDED; it reports older"],
        }

    def test_waits_for_greengrass_when_only_the_device_is_content(self, account: Account) -> None:
        thing = any_thing()
        group, rollout = self.rolled_out(account, thing)
        account.device_ran(thing, rollout["deployment_id"], "IN_PROGRESS")
        account.device_reports(thing, self.version)
        assert self.health(group, rollout)["state"] == "waiting"

    @pytest.mark.parametrize("status", ["FAILED", "REJECTED", "TIMED_OUT", "CANCELED"])
    def test_fails_as_soon_as_one_device_could_not_take_it(self, account: Account, status: str) -> None:
        bad, slow = any_thing(), any_thing()
        group, rollout = self.rolled_out(account, bad, slow)
        account.device_ran(bad, rollout["deployment_id"], status, reason="disk full")
        assert self.health(group, rollout) == {
            "state": "failed",
            "reasons": [f"{bad}: the deployment is {status} (disk full)"],
        }

    def test_fails_as_soon_as_one_device_failed_its_self_test(self, account: Account) -> None:
        thing = any_thing()
        group, rollout = self.rolled_out(account, thing)
        account.device_ran(thing, rollout["deployment_id"])
        account.device_reports(thing, self.version, "failed", reason="logits differ")
        assert self.health(group, rollout) == {
            "state": "refused",
            "reasons": [f"{thing}: the self-test of {self.version} failed (logits differ)"],
        }

    def test_a_self_test_that_failed_before_this_deployment_proves_nothing(self, account: Account) -> None:
        thing = any_thing()
        group, rollout = self.rolled_out(account, thing)
        account.device_ran(thing, rollout["deployment_id"], "IN_PROGRESS")
        account.device_reports(thing, self.version, "failed")
        effective = greengrassv2.backend(REGION).core(thing).effective[rollout["deployment_id"]]
        effective.created = datetime.now(UTC) + timedelta(minutes=1)
        assert self.health(group, rollout)["state"] == "waiting"

    def test_says_that_it_was_replaced_whatever_its_devices_say(self, account: Account) -> None:
        thing = any_thing()
        group, rollout = self.rolled_out(account, thing)
        account.device_ran(thing, rollout["deployment_id"], "CANCELED")
        later = deployed(account, group, "1.2.0")
        assert self.health(group, rollout) == {
            "state": "replaced",
            "reasons": [f"the deployment was replaced by {later['deployment_id']}"],
        }

    def test_fails_at_the_deadline_and_names_who_was_late(self, account: Account) -> None:
        thing = any_thing()
        group, rollout = self.rolled_out(account, thing)
        late = self.health(group, rollout, deadline="2020-01-01T00:00:00+00:00")
        assert late["state"] == "failed"
        [reason] = late["reasons"]
        assert reason.startswith(f"{thing}: the deployment is not there yet; it reports no model yet")
        assert reason.endswith("it was due by 2020-01-01T00:00:00+00:00")

    def test_a_group_without_devices_passes_and_says_that_nothing_was_proven(self, account: Account) -> None:
        group, rollout = self.rolled_out(account)
        assert self.health(group, rollout) == {
            "state": "passed",
            "reasons": ["the group has no devices: nothing was proven"],
        }

    def test_waits_for_a_thing_that_no_greengrass_core_has_registered_for_yet(self, account: Account) -> None:
        group, rollout = self.rolled_out(account)
        thing = any_thing()
        account.iot.create_thing(thingName=thing)
        account.iot.add_thing_to_thing_group(thingName=thing, thingGroupName="canary")
        assert self.health(group, rollout) == {
            "state": "waiting",
            "reasons": [f"{thing}: the deployment is not there yet; it reports no model yet"],
        }

    def test_says_only_so_much_about_a_large_group(self, account: Account) -> None:
        group, rollout = self.rolled_out(account, *(any_thing() for _ in range(22)))
        reasons = self.health(group, rollout)["reasons"]
        assert len(reasons) == 21
        assert reasons[-1] == "and 2 more"


def test_a_model_travels_from_publishing_to_the_way_back(account: Account) -> None:
    canary, fleet = account.group("canary"), account.group("fleet")
    models = [deployable(account, "linux-x86_64") for _ in range(2)]
    made: list[Component] = [publish.handler(model, None) for model in models]
    for item in made:
        account.await_deployable(item["component_arn"])
    good, bad = (item["component_version"] for item in made)
    for group, version in ((canary, good), (fleet, good), (canary, bad)):
        deploy.handler({"component_version": version, "group_arn": group}, None)
    roll_back.handler(
        {
            "model_version": models[-1]["model_version"],
            "component_version": bad,
            "group_arn": canary,
            "fleet_arn": fleet,
            "health": {"state": "failed", "reasons": []},
        },
        None,
    )
    assert account.components(canary) == {MODEL: good} == {MODEL: "1.1.0"}
