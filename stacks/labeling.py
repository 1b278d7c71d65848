from aws_cdk import Duration, Environment, Stack
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from reefloop import contracts as c
from reefloop.labeling.ground_truth import kinds_of
from settings import JobsSettings, LabelingSettings, OperationsSettings
from stacks.constructs.function import Function, FunctionTask
from stacks.constructs.labeling_team import EXPERTS, LABELERS, LabelingTeam
from stacks.constructs.machine import Machine, run
from stacks.constructs.objects import grant_objects
from stacks.constructs.paths import at, path
from stacks.constructs.processing import processing_job
from stacks.constructs.providers import GroundTruth, Provider, Station
from stacks.constructs.sagemaker import PROCESSING, JobRole, job_statements, job_tags
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
        self._task, self._settings, self._jobs_settings, self._operations = task, settings, jobs_settings, operations
        self._storage, self._jobs, self._bucket = storage, jobs, storage.data_bucket
        self._role = JobRole(self, "JobRole", repository=jobs.repository)
        grant_objects(
            self._role,
            self._bucket,
            read=["gold/*", "images/*", "rounds/*", "datasets/*", "models/*"],
            write=["rounds/*", "datasets/*"],
        )
        image = run(self, "Image", machine=jobs.machine, payload={})
        provider = self._provider()
        waiting_seconds = 2 * settings.chained_jobs * provider.job_seconds if provider else 0
        # Two teams, as often as they are asked, the processing jobs around them, and a day for all the rest.
        self.timeout = Duration.seconds(waiting_seconds + 4 * jobs_settings.max_runtime_seconds + 24 * 3600)
        self.machine = Machine(
            self,
            "Machine",
            definition=image.next(self._labeled_by(provider) if provider else self._imported()),
            operations=operations,
            statements=[*job_statements(self, PROCESSING, self._role), *(provider.statements if provider else ())],
            timeout=self.timeout,
        )
        if settings.provider == "station":
            StationLabeler(self, "StationLabeler", bucket=self._bucket, machine=self.machine)

    def _provider(self) -> Provider | None:
        """Who labels; nobody when labels are imported."""
        settings = self._settings
        review = settings.review if settings.provider == "ground-truth" else ""
        self._kinds = kinds_of(self._task, page=settings.page, review=review)
        if settings.provider == "station":
            return Station(
                self,
                kinds=self._kinds,
                task=self._task,
                bucket=self._bucket,
                settings=settings,
                operations=self._operations,
            )
        if settings.provider == "ground-truth":
            return GroundTruth(
                self,
                kinds=self._kinds,
                bucket=self._bucket,
                role=self._role,
                settings=settings,
                operations=self._operations,
                tags=job_tags("labeling", round_=True),
            )
        return None

    def _labeled_by(self, provider: Provider) -> sfn.IChainable:
        settings = self._settings
        list_pool = self._function("ListPool", "list_pool")
        self._storage.grant_registry(list_pool)
        about_tasks = {
            "CHUNK_OBJECTS": str(settings.chunk_objects),
            "LABELERS_TASK": self._kinds[c.LABELERS],
            "EXPERTS_TASK": self._kinds[c.EXPERTS],
            **provider.environment,
        }
        write = self._function("WriteTasks", "write_tasks", **about_tasks)
        collect = self._function(
            "CollectLabels",
            "collect_labels",
            CHAINED_JOBS=str(settings.chained_jobs),
            PROVIDER=settings.provider,
            **about_tasks,
        )
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
            done=self._consolidate("ConsolidateAgain", inputs).next(merge),
        )
        consolidated = self._consolidate("Consolidate", inputs).next(experts)
        labelers = LabelingTeam(
            self,
            "Labelers",
            states=LABELERS,
            write=write,
            collect=collect,
            job=provider.job(LABELERS),
            nobody=consolidated,
            done=consolidated,
        )
        nothing_new = sfn.Pass(
            self, "NothingNew", parameters={c.ROUND: at(c.ROUND), c.OBJECTS: 0, c.DATASET_VERSION: ""}
        )
        pool = FunctionTask(self, "ListPool", function=list_pool, event={c.ROUND: at(c.ROUND)}, result=c.POOL)
        round_ = pool.next(
            sfn.Choice(self, "AnythingNew")
            .when(sfn.Condition.number_equals(path(c.POOL, c.OBJECTS), 0), nothing_new)
            .otherwise(self._score().next(labelers))
        )
        return provider.begin(round_)

    def _imported(self) -> sfn.IChainable:
        check = self._function("CheckImport", "check_import")
        checked = FunctionTask(self, "CheckImport", function=check, event={c.ROUND: at(c.ROUND)}, result=c.POOL)
        inputs = path(c.POOL, c.PROCESSING_INPUTS)
        return checked.next(self._consolidate("Consolidate", inputs)).next(self._merge(inputs))

    def _score(self) -> sfn.CustomState:
        settings = self._settings
        return self._processing(
            "Score",
            verb="score",
            inputs=path(c.POOL, c.PROCESSING_INPUTS),
            options={
                "error-budget": str(settings.error_budget),
                "bound": settings.bound,
                "audit-share": str(settings.audit_share),
                "honeypot-share": str(settings.honeypot_share),
            },
            output=("routing", c.round_key("{}", c.ROUTING_FOLDER)),
            instances=self._jobs_settings.instance_count,
        )

    def _consolidate(self, name: str, inputs: str) -> sfn.CustomState:
        settings = self._settings
        return self._processing(
            name,
            verb="consolidate",
            inputs=inputs,
            options={
                "posterior-target": str(settings.posterior_target),
                "error-budget": str(settings.error_budget),
                "minimum-worker-accuracy": str(settings.minimum_worker_accuracy),
            },
            output=("round", c.round_key("{}")),
        )

    def _merge(self, inputs: str) -> sfn.Chain:
        merge = self._processing(
            "Merge",
            verb="merge",
            inputs=inputs,
            options={"dataset-version": at(c.ROUND), "audit-share": str(self._settings.audit_share)},
            output=("dataset", c.dataset_key("{}")),
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
        return merge.next(dataset)

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
            # Tasks and pools are written to a file first; a line may have 100,000 characters.
            scratch_mib=2048,
            operations=self._operations,
        )
        grant_objects(function, self._bucket, read=["gold/*", "rounds/*", "datasets/*"], write=["rounds/*"])
        return function

    def _processing(
        self,
        name: str,
        *,
        verb: str,
        inputs: str,
        options: dict[str, str],
        output: tuple[str, str],
        instances: int = 1,
    ) -> sfn.CustomState:
        """`output` is the output's name and the prefix that it is uploaded to, with the round in place of {}."""
        output_name, prefix = output
        # Without the prefix's last slash: SageMaker adds one to it.
        folder = sfn.JsonPath.format(self._bucket.s3_url_for_object(prefix.removesuffix("/")), at(c.ROUND))
        return processing_job(
            self,
            name,
            verb=verb,
            options={"label-attribute": c.LABEL_ATTRIBUTE, "task": self._task, **options},
            inputs=inputs,
            outputs={output_name: folder},
            image_uri=self._jobs.image_uri,
            role=self._role,
            settings=self._jobs_settings,
            instances=instances,
            tags=job_tags("labeling", round_=True),
            result=c.JOB,
        )
