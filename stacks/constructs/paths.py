"""JSONPaths of the state machines, built from the names in reefloop.contracts only."""

from aws_cdk import aws_stepfunctions as sfn


def path(*keys: str) -> str:
    """The reference path of a payload key: path("pool", "objects") is "$.pool.objects"."""
    return ".".join(("$", *keys))


def at(*keys: str) -> str:
    """The text at a payload key, for use in a request."""
    return sfn.JsonPath.string_at(path(*keys))


def job_name(stage: str, part: str = "0") -> str:
    """A SageMaker job name that is never used twice: 63 characters and no underscore are all that SageMaker takes.

    It is a hash of the execution, the state, the part of the work (`part` is a constant or a JSONPath value), the
    retry and the redrive, so that an 80-character execution name, a retried state and a redriven execution each
    get a name of their own.
    Context object: https://docs.aws.amazon.com/step-functions/latest/dg/input-output-contextobject.html
    """
    identity = sfn.JsonPath.format(
        "{} {} {} {} {}",
        sfn.JsonPath.string_at("$$.Execution.Id"),
        sfn.JsonPath.string_at("$$.State.Name"),
        part,
        sfn.JsonPath.string_at("$$.State.RetryCount"),
        sfn.JsonPath.string_at("$$.Execution.RedriveCount"),
    )
    return sfn.JsonPath.format(f"reefloop-{stage}-{{}}", sfn.JsonPath.hash(identity, "SHA-1"))
