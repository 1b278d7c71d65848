from aws_cdk import Duration, Environment, Stack
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from reefloop import contracts as c
from settings import JobsSettings, OperationsSettings, TrainingSettings
from stacks.constructs.approval import Approval
from stacks.constructs.evaluation import evaluation_job
from stacks.constructs.machine import Machine, run
from stacks.constructs.objects import grant_objects
from stacks.constructs.paths import at, path
from stacks.constructs.sagemaker import PROCESSING, TRAINING, JobRole, job_statements
from stacks.constructs.training_functions import TrainingFunctions
from stacks.constructs.training_job import training_job
from stacks.jobs import JobsStack
from stacks.storage import StorageStack


class TrainingStack(Stack):
    """A dataset becomes a model in the registry, with a verdict: accepted, or not and why."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        env: Environment,
        settings: TrainingSettings,
        jobs_settings: JobsSettings,
        operations: OperationsSettings,
        storage: StorageStack,
        jobs: JobsStack,
    ) -> None:
        super().__init__(scope, construct_id, env=env)
        bucket = storage.data_bucket
        role = JobRole(self, "JobRole", repository=jobs.repository)
        checkpoints = c.model_key("*", "checkpoints/*")
        grant_objects(
            role,
            bucket,
            read=["datasets/*", "images/*", checkpoints],
            write=["models/*"],
            delete=[checkpoints],  # a checkpoint that the job deletes is deleted in the bucket too
        )
        evaluation_role = JobRole(self, "EvaluationJobRole", repository=jobs.repository)
        grant_objects(
            evaluation_role,
            bucket,
            read=["datasets/*", "images/*", c.model_key("*", "model.tar.gz")],
            write=["models/*"],
        )
        functions = TrainingFunctions(self, settings=settings, operations=operations, storage=storage, jobs=jobs)

        image = run(self, "Image", machine=jobs.machine, payload={})
        train = training_job(
            self,
            "Train",
            settings=settings,
            jobs_settings=jobs_settings,
            bucket=bucket,
            image_uri=jobs.image_uri,
            role=role,
        )
        next_attempt = functions.next_attempt()
        evaluate = evaluation_job(
            self,
            "Evaluate",
            settings=settings,
            jobs_settings=jobs_settings,
            bucket=bucket,
            image_uri=jobs.image_uri,
            role=evaluation_role,
        )
        register = functions.register()
        answer = sfn.Pass(
            self,
            "Model",
            parameters={
                c.MODEL_VERSION: at(c.PLAN, c.MODEL_VERSION),
                c.ACCEPTED: sfn.JsonPath.object_at(path(c.VERDICT, c.ACCEPTED)),
                c.REASONS: sfn.JsonPath.list_at(path(c.VERDICT, c.REASONS)),
            },
        )
        # It is not documented whether a job that was Stopped, as one that waited too long for spot, fails its state.
        trained = (
            sfn.Choice(self, "Trained")
            .when(
                sfn.Condition.string_equals(path(c.JOB, "TrainingJobStatus"), "Completed"),
                functions.find_champion().next(evaluate).next(register),
            )
            .otherwise(next_attempt)
        )
        train.add_catch(next_attempt, result_path=path(c.JOB))
        next_attempt.next(train)
        approval = None
        if settings.approval == "manual":
            approval = Approval(
                self,
                "Approval",
                bucket=bucket,
                group_name=storage.model_package_group.model_package_group_name,
                seconds=settings.approval_seconds,
                operations=operations,
            )
            undecided = sfn.Condition.string_equals(path(c.VERDICT, c.APPROVAL), "PendingManualApproval")
            register.next(sfn.Choice(self, "Undecided").when(undecided, approval.next(answer)).otherwise(answer))
        else:
            register.next(answer)
        self.machine = Machine(
            self,
            "Machine",
            definition=image.next(functions.prepare()).next(train).next(trained),
            operations=operations,
            statements=[*job_statements(self, TRAINING, role), *job_statements(self, PROCESSING, evaluation_role)],
            # Every attempt, and the person, has a time of its own: this is all that an execution may take.
            timeout=Duration.days(365),
        )
        if approval:
            approval.grant_answer(self.machine)
