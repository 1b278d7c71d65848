from aws_cdk import Duration, Environment, Stack
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from reefloop import contracts as c
from reefloop import payloads
from settings import OperationsSettings
from stacks.compilation import CompilationStack
from stacks.constructs.machine import Machine, run
from stacks.constructs.paths import at, path
from stacks.deployment import DeploymentStack
from stacks.labeling import LabelingStack
from stacks.training import TrainingStack


class LoopStack(Stack):
    """One turn of the loop: new images become labels, a model, packages, and what the devices serve."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        env: Environment,
        operations: OperationsSettings,
        labeling: LabelingStack,
        training: TrainingStack,
        compilation: CompilationStack,
        deployment: DeploymentStack,
    ) -> None:
        super().__init__(scope, construct_id, env=env)

        label = run(
            self,
            "Labeling",
            machine=labeling.machine,
            payload={c.ROUND: at(c.ROUND)},
            output=payloads.LabelingOutput,
            result=c.LABELING,
        )
        train = run(
            self,
            "Training",
            machine=training.machine,
            payload={c.DATASET_VERSION: at(c.LABELING, c.DATASET_VERSION)},
            output=payloads.TrainingOutput,
            result=c.TRAINING,
        )
        compile_ = run(
            self,
            "Compilation",
            machine=compilation.machine,
            payload={c.MODEL_VERSION: at(c.TRAINING, c.MODEL_VERSION)},
            output=payloads.CompilationOutput,
            result=c.COMPILATION,
        )
        deploy = run(
            self,
            "Deployment",
            machine=deployment.machine,
            payload={
                c.MODEL_VERSION: at(c.TRAINING, c.MODEL_VERSION),
                c.PACKAGES: sfn.JsonPath.list_at(path(c.COMPILATION, c.PACKAGES)),
            },
            output=payloads.DeploymentOutput,
            result=c.DEPLOYMENT,
        )
        nothing_new = sfn.Succeed(self, "NothingNew", comment="No image that an earlier round has not seen")
        champion_stays = sfn.Succeed(self, "ChampionStays", comment="The new model is not better than the one in use")

        definition = label.next(
            sfn.Choice(self, "AnythingNew")
            .when(sfn.Condition.number_equals(path(c.LABELING, c.OBJECTS), 0), nothing_new)
            .otherwise(
                train.next(
                    sfn.Choice(self, "Accepted")
                    .when(sfn.Condition.boolean_equals(path(c.TRAINING, c.ACCEPTED), False), champion_stays)
                    .otherwise(compile_.next(deploy))
                )
            )
        )
        self.machine = Machine(
            self,
            "Machine",
            definition=definition,
            operations=operations,
            # Labeling waits for people, as long as its own machine says: this one takes all that an execution may.
            timeout=Duration.days(365),
        )
