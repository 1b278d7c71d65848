from aws_cdk import Duration, Environment, Stack
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from reefloop import contracts as c
from settings import JobsSettings, LabelingSettings, OperationsSettings
from stacks.constructs.function import Function, FunctionTask
from stacks.constructs.ground_truth import LabelingJobs
from stacks.constructs.machine import Machine, run
from stacks.constructs.objects import grant_objects
from stacks.constructs.paths import at, path
from stacks.constructs.processing import processing_job
from stacks.constructs.sagemaker import LABELING, PROCESSING, JobRole, job_statements, job_tags
from stacks.constructs.workforce import Workforce
from stacks.jobs import JobsStack
from stacks.storage import StorageStack


class LabelingStack(Stack):
    """One round of labels: the machine's where it is sure, people's where it is not, consolidated into a dataset.

    `settings.provider` decides who the people are; nothing outside this stack knows.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        env: Environment,
        settings: LabelingSettings,
        jobs_settings: JobsSettings,
        operations: OperationsSettings,
        storage: StorageStack,
        jobs: JobsStack,
    ) -> None:
        super().__init__(scope, construct_id, env=env)
        self._settings, self._jobs_settings, self._operations = settings, jobs_settings, operations
        self._storage, self._jobs = storage, jobs
        self._bucket = storage.data_bucket
        self._role = JobRole(self, "JobRole", repository=jobs.repository)
        grant_objects(
            self._role,
            self._bucket,
            read=["gold/*", "images/*", "rounds/*", "datasets/*", "models/*"],
            write=["rounds/*", "datasets/*"],
        )
        self._tags = job_tags("labeling", round_=True)
        self._statements = job_statements(self, PROCESSING, self._role)

        image = run(self, "Image", machine=jobs.machine, payload={})
        people = self._ground_truth() if settings.provider == "ground-truth" else self._import()
        self.machine = Machine(
            self,
            "Machine",
            definition=image.next(people),
            operations=operations,
            statements=self._statements,
        )

    def _ground_truth(self) -> sfn.Chain:
        workforce = Workforce(self, "Workforce", existing=self._settings.workforce)
        self._statements += job_statements(self, LABELING, self._role)
        list_pool = self._task("ListPool", "list_pool", result=c.POOL)
        self._storage.grant_registry(list_pool.function)
        score = self._processing(
            "Score",
            verb="score",
            inputs=path(c.POOL, c.PROCESSING_INPUTS),
            options={
                "label-attribute": c.LABEL_ATTRIBUTE,
                "error-budget": str(self._settings.error_budget),
                "audit-share": str(self._settings.audit_share),
                "honeypot-share": str(self._settings.honeypot_share),
            },
            outputs={"round": self._folder(c.round_key("{}"))},
        )
        write_tasks = self._task(
            "WriteTasks", "write_tasks", result=c.TASKS, CHUNK_OBJECTS=str(self._settings.chunk_objects)
        )
        label = LabelingJobs(
            self,
            "Label",
            bucket=self._bucket,
            team=workforce.teams["labelers"],
            role=self._role,
            settings=self._settings,
            tags=self._tags,
        )
        label_and_merge = (
            score.next(write_tasks).next(label).next(self._consolidate(path(c.TASKS, c.PROCESSING_INPUTS)))
        )
        nothing_new = sfn.Pass(
            self, "NothingNew", parameters={c.ROUND: at(c.ROUND), c.OBJECTS: 0, c.DATASET_VERSION: ""}
        )
        round_ = list_pool.next(
            sfn.Choice(self, "AnythingNew")
            .when(sfn.Condition.number_equals(path(c.POOL, c.OBJECTS), 0), nothing_new)
            .otherwise(label_and_merge)
        )
        return round_ if self._settings.workforce else workforce.open_page(self._operations).next(round_)

    def _import(self) -> sfn.Chain:
        check = self._task("CheckImport", "check_import", result=c.POOL)
        return check.next(self._consolidate(path(c.POOL, c.PROCESSING_INPUTS)))

    def _consolidate(self, inputs: str) -> sfn.Chain:
        consolidate = self._processing(
            "Consolidate",
            verb="consolidate",
            inputs=inputs,
            options={
                "label-attribute": c.LABEL_ATTRIBUTE,
                "dataset-version": at(c.ROUND),
                "posterior-target": str(self._settings.posterior_target),
            },
            outputs={"round": self._folder(c.round_key("{}")), "dataset": self._folder(c.dataset_key("{}"))},
        )
        dataset = sfn.Pass(
            self,
            "Dataset",
            parameters={
                c.ROUND: at(c.ROUND),
                c.OBJECTS: sfn.JsonPath.number_at(path(c.POOL, c.OBJECTS)),
                c.DATASET_VERSION: at(c.ROUND),
            },
        )
        return consolidate.next(dataset)

    def _task(self, name: str, handler: str, *, result: str, **environment: str) -> FunctionTask:
        function = Function(
            self,
            f"{name}Function",
            handler=f"labeling.{handler}",
            environment={"DATA_BUCKET": self._bucket.bucket_name, **environment},
            # A round may have a million objects, read line by line: 1,769 MiB come with one whole processor.
            # https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html
            timeout=Duration.minutes(15),
            memory_mib=1769,
            operations=self._operations,
        )
        grant_objects(function, self._bucket, read=["gold/*", "rounds/*", "datasets/*"], write=["rounds/*"])
        return FunctionTask(self, name, function=function, event={c.ROUND: at(c.ROUND)}, result=result)

    def _processing(
        self, name: str, *, verb: str, inputs: str, options: dict[str, str], outputs: dict[str, str]
    ) -> sfn.CustomState:
        return processing_job(
            self,
            name,
            verb=verb,
            options=options,
            inputs=inputs,
            outputs=outputs,
            image_uri=self._jobs.image_uri,
            role=self._role,
            settings=self._jobs_settings,
            tags=self._tags,
            result=c.JOB,
        )

    def _folder(self, prefix: str) -> str:
        """The S3 URI of a folder with the round in place of {}, without its last slash: SageMaker adds one to it."""
        return sfn.JsonPath.format(self._bucket.s3_url_for_object(prefix.removesuffix("/")), at(c.ROUND))
