"""The CDK app: settings, then one stack per box of the picture, in the order the data flows."""

import sys
from pathlib import Path

ROOT = Path(__file__).parent

LABELS_ONLY = (
    "task is 'detection': boxes are labeled, consolidated and merged into datasets; nothing trains on them here, so "
    "there are no stacks for training, compilation, deployment and the loop"
)

# The state machines and the functions that they run share their names: reefloop.contracts.
sys.path.insert(0, str(ROOT / "lambda"))

from aws_cdk import Annotations, App, Environment, Tags, Validations
from cdk_nag import AwsSolutionsChecks

from settings import Settings, SettingsError
from stacks.compilation import CompilationStack
from stacks.constructs.wildcards import ExplainedWildcards
from stacks.deployment import DeploymentStack
from stacks.jobs import JobsStack
from stacks.labeling import LabelingStack
from stacks.loop import LoopStack
from stacks.storage import StorageStack
from stacks.training import TrainingStack
from stacks.workstation import WorkstationStack


def build(app: App, settings: Settings) -> None:
    """Put the stacks of one deployment into the app."""
    # What the CDK CLI asks for too: the explanations of wildcards find their constructs by these paths.
    app.node.set_context("aws:cdk:enable-path-metadata", True)
    env, operations = Environment(region=settings.region), settings.operations
    storage = StorageStack(app, "reefloop-storage", env=env, settings=settings.storage)
    jobs = JobsStack(app, "reefloop-jobs", env=env, settings=settings.jobs, operations=operations)
    labeling = LabelingStack(
        app,
        "reefloop-labeling",
        env=env,
        task=settings.task,
        settings=settings.labeling,
        jobs_settings=settings.jobs,
        operations=operations,
        storage=storage,
        jobs=jobs,
    )
    if settings.task == "classification":
        _models(app, settings, env=env, storage=storage, jobs=jobs, labeling=labeling)
    else:
        Annotations.of(labeling).add_info_v2("reefloop:labels-only", LABELS_ONLY)
    if settings.workstation.enabled:
        WorkstationStack(
            app, "reefloop-workstation", env=env, settings=settings.workstation, storage=storage, jobs=jobs
        )
    Tags.of(app).add("project", "reefloop")
    Tags.of(app).add("stage", settings.stage)
    Validations.of(app).add_plugins(ExplainedWildcards(app), AwsSolutionsChecks(app))


def _models(
    app: App,
    settings: Settings,
    *,
    env: Environment,
    storage: StorageStack,
    jobs: JobsStack,
    labeling: LabelingStack,
) -> None:
    """What is made of the labels: a model, its compiled forms, and their way to the devices."""
    operations = settings.operations
    training = TrainingStack(
        app,
        "reefloop-training",
        env=env,
        settings=settings.training,
        jobs_settings=settings.jobs,
        operations=operations,
        storage=storage,
        jobs=jobs,
    )
    compilation = CompilationStack(
        app,
        "reefloop-compilation",
        env=env,
        settings=settings.compilation,
        jobs_settings=settings.jobs,
        operations=operations,
        storage=storage,
        jobs=jobs,
    )
    deployment = DeploymentStack(
        app, "reefloop-deployment", env=env, settings=settings.deployment, operations=operations, storage=storage
    )
    LoopStack(
        app,
        "reefloop-loop",
        env=env,
        operations=operations,
        labeling=labeling,
        training=training,
        compilation=compilation,
        deployment=deployment,
    )


def main() -> None:
    app = App(analytics_reporting=False)
    context = {key: app.node.try_get_context(key) for key in ("stage", "stages", "provider")}
    try:
        settings = Settings.load(context=context)
    except SettingsError as error:
        sys.exit(str(error))
    build(app, settings)
    app.synth()


if __name__ == "__main__":
    main()
