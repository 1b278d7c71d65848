"""RollBack: what the canaries get when a model did not pass on them, and what becomes of that model."""

from dataclasses import dataclass, field

import pytest

from reefloop import contracts, registry
from reefloop.deployment import deploy, deployments, roll_back
from reefloop.payloads import HealthState, Rollout
from tests.any import any_model_version
from tests.handlers.account import GROUP, Account

MODEL = contracts.MODEL_COMPONENT


@dataclass
class Groups:
    """Canaries and fleet, and what an operator or an execution does to them."""

    account: Account
    canary: str
    fleet: str
    published: set[str] = field(default_factory=set)

    def give(self, *versions: str, group: str) -> Rollout:
        """Deploy one version after the other; returns the last deployment."""
        for version in versions:
            if version not in self.published:
                self.account.component(MODEL, version)
                self.published.add(version)
            made = deploy.handler({"component_version": version, "group_arn": group}, None)
        return made

    def refuse(self, version: str, *, model: str = "unheard-of", state: HealthState = "failed") -> str:
        """Take a version off the canaries; returns what the execution says of them."""
        event: roll_back.Event = {
            "model_version": model,
            "component_version": version,
            "group_arn": self.canary,
            "fleet_arn": self.fleet,
            "health": {"state": state, "reasons": ["reef-1: the self-test failed (logits\ndiffer)"]},
        }
        return roll_back.handler(event, None)["outcome"]

    @property
    def canaries_get(self) -> str:
        return self.account.components(self.canary).get(MODEL, "")


@pytest.fixture
def groups(account: Account) -> Groups:
    return Groups(account, account.group("canary"), account.group("fleet"))


class TestRollBack:
    def test_gives_the_canaries_the_fleets_model_at_once(self, groups: Groups, account: Account) -> None:
        groups.give("1.1.0", group=groups.fleet)
        groups.give("1.1.0", "1.2.0", group=groups.canary)
        assert groups.refuse("1.2.0") == "go back to the fleet's: version 1.1.0"
        assert groups.canaries_get == "1.1.0"
        assert "iotJobConfiguration" not in account.deployment(groups.canary)

    def test_takes_the_first_model_off_and_leaves_what_else_the_group_has(
        self, groups: Groups, account: Account
    ) -> None:
        log_manager = {"aws.greengrass.LogManager": {"componentVersion": "2.3.13"}}
        account.greengrass.create_deployment(targetArn=groups.canary, components=log_manager)
        groups.give("1.1.0", group=groups.canary)
        assert groups.refuse("1.1.0") == "go back to the fleet's: no model"
        assert account.components(groups.canary) == {"aws.greengrass.LogManager": "2.3.13"}

    def test_a_retry_makes_no_second_deployment(self, groups: Groups, account: Account) -> None:
        groups.give("1.1.0", group=groups.fleet)
        groups.give("1.1.0", "1.2.0", group=groups.canary)
        said, first = groups.refuse("1.2.0"), account.deployment(groups.canary)
        assert groups.refuse("1.2.0") == said
        assert account.deployment(groups.canary)["deploymentId"] == first["deploymentId"]

    def test_a_refused_model_never_comes_back(self, groups: Groups, account: Account) -> None:
        groups.give("1.4.0", group=groups.fleet)
        groups.give("1.4.0", "1.6.0", group=groups.canary)
        groups.refuse("1.6.0")
        # An operator starts the machine with the good model once more, and one look at its canaries fails.
        deploy.handler({"component_version": "1.4.0", "group_arn": groups.canary}, None)
        groups.refuse("1.4.0")
        assert groups.canaries_get == "1.4.0"

    def test_leaves_alone_what_a_later_deployment_brought(self, groups: Groups) -> None:
        groups.give("1.1.0", group=groups.fleet)
        later = groups.give("1.1.0", "1.2.0", "1.3.0", group=groups.canary)
        assert groups.refuse("1.2.0", state="replaced") == "keep version 1.3.0, which replaced it"
        assert deployments.present_id(groups.canary) == later["deployment_id"]

    def test_takes_the_model_off_when_only_something_beside_it_was_deployed_anew(
        self, groups: Groups, account: Account
    ) -> None:
        groups.give("1.1.0", group=groups.fleet)
        groups.give("1.2.0", group=groups.canary)
        both = {
            **account.deployment(groups.canary)["components"],
            "aws.greengrass.LogManager": {"componentVersion": "2.3.13"},
        }
        account.greengrass.create_deployment(targetArn=groups.canary, components=both)
        groups.refuse("1.2.0", state="replaced")
        assert account.components(groups.canary) == {MODEL: "1.1.0", "aws.greengrass.LogManager": "2.3.13"}

    def test_goes_back_past_a_model_that_was_stopped_on_its_way_to_the_fleet(
        self, groups: Groups, account: Account
    ) -> None:
        stopped = groups.give("1.1.0", "1.2.0", group=groups.fleet)
        account.greengrass.cancel_deployment(deploymentId=stopped["deployment_id"])
        groups.give("1.1.0", "1.2.0", "1.3.0", group=groups.canary)
        groups.refuse("1.3.0")
        assert groups.canaries_get == "1.1.0"

    def test_goes_back_to_a_stopped_model_where_the_fleet_never_had_another(
        self, groups: Groups, account: Account
    ) -> None:
        stopped = groups.give("1.1.0", group=groups.fleet)
        account.greengrass.cancel_deployment(deploymentId=stopped["deployment_id"])
        groups.give("1.1.0", "1.2.0", group=groups.canary)
        groups.refuse("1.2.0")
        assert groups.canaries_get == "1.1.0"

    def test_a_fleet_that_was_rolled_back_takes_its_canaries_along(self, groups: Groups) -> None:
        groups.give("1.1.0", "1.2.0", "1.1.0", group=groups.fleet)
        groups.give("1.1.0", "1.2.0", "1.1.0", "1.3.0", group=groups.canary)
        groups.refuse("1.3.0")
        assert groups.canaries_get == "1.1.0"


class TestRejection:
    @pytest.fixture
    def models(self, account: Account, groups: Groups) -> tuple[str, str]:
        """A champion that the fleet has, and a newer model on the canaries."""
        good, bad = any_model_version(), any_model_version()
        for model in (good, bad):
            account.register(model)
        groups.give("1.1.0", group=groups.fleet)
        groups.give("1.1.0", "1.2.0", group=groups.canary)
        return good, bad

    def test_a_model_that_a_self_test_refused_is_no_champion_any_more(
        self, groups: Groups, models: tuple[str, str], account: Account
    ) -> None:
        good, bad = models
        groups.refuse("1.2.0", model=bad, state="refused")
        champion = registry.champion(GROUP)
        assert champion
        assert champion.model_version == good
        [package] = [one for one in account.packages() if one["ModelPackageDescription"] == bad]
        assert package["ApprovalDescription"] == (
            "refused on canary devices: reef-1: the self-test failed (logits differ)"
        )

    @pytest.mark.parametrize("state", ["failed", "replaced"])
    def test_a_model_that_nobody_refused_stays_approved(
        self, groups: Groups, models: tuple[str, str], state: HealthState
    ) -> None:
        _, unproven = models
        groups.refuse("1.2.0", model=unproven, state=state)
        champion = registry.champion(GROUP)
        assert champion
        assert champion.model_version == unproven

    def test_a_model_that_the_fleet_has_stays_approved_when_one_device_refuses_it(
        self, groups: Groups, models: tuple[str, str]
    ) -> None:
        good, _ = models
        groups.give("1.1.0", group=groups.canary)
        groups.refuse("1.1.0", model=good, state="refused")
        found = registry.find(GROUP, good)
        assert found
        assert found.approved

    def test_run_again_it_keeps_what_a_person_said_of_it_meanwhile(
        self, groups: Groups, models: tuple[str, str], account: Account
    ) -> None:
        _, bad = models
        [package] = [one for one in account.packages() if one["ModelPackageDescription"] == bad]
        groups.refuse("1.2.0", model=bad, state="refused")
        account.sagemaker.update_model_package(
            ModelPackageArn=package["ModelPackageArn"],
            ModelApprovalStatus="Rejected",
            ApprovalDescription="seen",
            CustomerMetadataProperties=package["CustomerMetadataProperties"],  # moto forgets what an update leaves out
        )
        groups.refuse("1.2.0", model=bad, state="refused")
        described = account.sagemaker.describe_model_package(ModelPackageName=package["ModelPackageArn"])
        assert described["ApprovalDescription"] == "seen"
