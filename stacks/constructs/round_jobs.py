from aws_cdk import aws_s3 as s3
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from reefloop import contracts as c
from settings import JobsSettings, LabelingSettings
from stacks.constructs.paths import at, path
from stacks.constructs.processing import processing_job
from stacks.constructs.sagemaker import JobRole, job_tags


class RoundJobs:
    """The processing jobs of a labeling round, as states: score the pool, consolidate answers, merge into a dataset."""

    def __init__(
        self,
        scope: Construct,
        *,
        task: str,
        bucket: s3.IBucket,
        image_uri: str,
        role: JobRole,
        labeling: LabelingSettings,
        settings: JobsSettings,
    ) -> None:
        self._scope, self._task, self._bucket, self._image_uri, self._role = scope, task, bucket, image_uri, role
        self._labeling, self._settings = labeling, settings

    def score(self) -> sfn.CustomState:
        return self._job(
            "Score",
            verb="score",
            inputs=path(c.POOL, c.PROCESSING_INPUTS),
            options={
                "pool-listed": at(c.POOL, c.LISTED),
                "error-budget": str(self._labeling.error_budget),
                "bound": self._labeling.bound,
                "audit-share": str(self._labeling.audit_share),
                "honeypot-share": str(self._labeling.honeypot_share),
            },
            output=("routing", c.round_key("{}", c.ROUTING_FOLDER)),
            instances=self._settings.instance_count,
        )

    def consolidate(self, name: str, *, inputs: str) -> sfn.CustomState:
        return self._job(
            name,
            verb="consolidate",
            inputs=inputs,
            options={
                "round": at(c.ROUND),
                "provider": self._labeling.provider,
                "posterior-target": str(self._labeling.posterior_target),
                "error-budget": str(self._labeling.error_budget),
                "minimum-worker-accuracy": str(self._labeling.minimum_worker_accuracy),
                "baseline-objects": str(self._labeling.baseline_objects),
            },
            output=("round", c.round_key("{}")),
        )

    def merge(self, *, inputs: str) -> sfn.CustomState:
        return self._job(
            "Merge",
            verb="merge",
            inputs=inputs,
            options={"dataset-version": at(c.ROUND), "audit-share": str(self._labeling.audit_share)},
            output=("dataset", c.dataset_key("{}")),
        )

    def _job(
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
            self._scope,
            name,
            stage="labeling",
            verb=verb,
            options={"label-attribute": c.LABEL_ATTRIBUTE, "task": self._task, **options},
            inputs=inputs,
            outputs={output_name: folder},
            image_uri=self._image_uri,
            role=self._role,
            settings=self._settings,
            instances=instances,
            tags=job_tags("labeling", round_=True),
            result=c.JOB,
        )
