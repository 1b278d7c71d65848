from aws_cdk import Duration, Environment, Stack
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from reefloop import contracts as c
from settings import JobsSettings, LabelingSettings, OperationsSettings
from stacks.constructs.function import Function, FunctionTask
from stacks.constructs.labeling_team import EXPERTS, LABELERS, LabelingTeam
from stacks.constructs.machine import Machine, run
from stacks.constructs.objects import grant_objects
from stacks.constructs.paths import at, path
from stacks.constructs.providers import Provider, provider_of
from stacks.constructs.round_jobs import RoundJobs
from stacks.constructs.sagemaker import PROCESSING, JobRole, job_statements
from stacks.constructs.station import StationLabeler
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
        task: str,
        settings: LabelingSettings,
        jobs_settings: JobsSettings,
        operations: OperationsSettings,
        storage: StorageStack,
        jobs: JobsStack,
    ) -> None:
        super().__init__(scope, construct_id, env=env)
        self._task, self._settings, self._operations = task, settings, operations
        self._storage, self._bucket = storage, storage.data_bucket
        role = JobRole(self, "JobRole", repository=jobs.repository)
        grant_objects(
            role,
            self._bucket,
            read=["gold/*", "images/*", "rounds/*", "datasets/*", "models/*"],
            write=["rounds/*", "datasets/*"],
        )
        self._jobs = RoundJobs(
            self,
            task=task,
            bucket=self._bucket,
            image_uri=jobs.image_uri,
            role=role,
            labeling=settings,
            settings=jobs_settings,
        )
        image = run(self, "Image", machine=jobs.machine, payload={})
        provider = provider_of(
            self, task=task, bucket=self._bucket, role=role, settings=settings, operations=operations
        )
        waiting_seconds = 2 * settings.chained_jobs * provider.job_seconds if provider else 0
        # Two teams, as often as they are asked, the processing jobs around them, and a day for all the rest.
        longest = Duration.seconds(waiting_seconds + 4 * jobs_settings.max_runtime_seconds + 24 * 3600)
        self.machine = Machine(
            self,
            "Machine",
            definition=image.next(self._labeled_by(provider) if provider else self._imported()),
            operations=operations,
            statements=[*job_statements(self, PROCESSING, role), *(provider.statements if provider else ())],
            timeout=longest,
        )
        if settings.provider == "station":
            StationLabeler(self, "StationLabeler", bucket=self._bucket, machine=self.machine)

    def _labeled_by(self, provider: Provider) -> sfn.IChainable:
        list_pool = self._function("ListPool", "list_pool")
        self._storage.grant_registry(list_pool)
        about = {"CHUNK_OBJECTS": str(self._settings.chunk_objects), **provider.environment}
        write = self._function("WriteTasks", "write_tasks", **about)
        about |= {"CHAINED_JOBS": str(self._settings.chained_jobs), "PROVIDER": self._settings.provider}
        collect = self._function("CollectLabels", "collect_labels", **about)

        inputs = path(c.TASKS, c.PROCESSING_INPUTS)
        merge = self._merge(inputs)
        experts = LabelingTeam(
            self,
            "Experts",
            states=EXPERTS,
            write=write,
            collect=collect,
            job=provider.job(EXPERTS),
            nobody=merge,
            done=self._jobs.consolidate("ConsolidateAgain", inputs=inputs).next(merge),
        )
        consolidate = self._jobs.consolidate("Consolidate", inputs=inputs).next(experts)
        labelers = LabelingTeam(
            self,
            "Labelers",
            states=LABELERS,
            write=write,
            collect=collect,
            job=provider.job(LABELERS),
            nobody=consolidate,
            done=consolidate,
        )
        nothing_new = sfn.Pass(
            self, "NothingNew", parameters={c.ROUND: at(c.ROUND), c.OBJECTS: 0, c.DATASET_VERSION: ""}
        )
        pool = FunctionTask(self, "ListPool", function=list_pool, event={c.ROUND: at(c.ROUND)}, result=c.POOL)
        return provider.begin(
            pool.next(
                sfn.Choice(self, "AnythingNew")
                .when(sfn.Condition.number_equals(path(c.POOL, c.OBJECTS), 0), nothing_new)
                .otherwise(self._jobs.score().next(labelers))
            )
        )

    def _imported(self) -> sfn.IChainable:
        function = self._function("CheckImport", "check_import")
        check = FunctionTask(self, "CheckImport", function=function, event={c.ROUND: at(c.ROUND)}, result=c.POOL)
        inputs = path(c.POOL, c.PROCESSING_INPUTS)
        return check.next(self._jobs.consolidate("Consolidate", inputs=inputs)).next(self._merge(inputs))

    def _merge(self, inputs: str) -> sfn.Chain:
        dataset = sfn.Pass(
            self,
            "Dataset",
            parameters={
                c.ROUND: at(c.ROUND),
                c.OBJECTS: sfn.JsonPath.number_at(path(c.POOL, c.OBJECTS)),
                c.DATASET_VERSION: at(c.ROUND),
            },
        )
        return self._jobs.merge(inputs=inputs).next(dataset)

    def _function(self, name: str, handler: str, **environment: str) -> Function:
        function = Function(
            self,
            f"{name}Function",
            handler=f"labeling.{handler}",
            environment={"DATA_BUCKET": self._bucket.bucket_name, "TASK": self._task, **environment},
            # A round may have a million objects, read line by line: 1,769 MiB come with one whole processor.
            # https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html
            timeout=Duration.minutes(15),
            memory_mib=1769,
            # Pools and tasks become a file first: a million lines are some 200 MiB.
            scratch_mib=2048,
            operations=self._operations,
        )
        grant_objects(function, self._bucket, read=["gold/*", "rounds/*", "datasets/*"], write=["rounds/*"])
        return function
