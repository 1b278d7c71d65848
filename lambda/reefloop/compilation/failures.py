"""Why a target was not compiled, in kinds that a person can act on.

Neo gives a failed job one sentence. Those that AWS lists:
https://docs.aws.amazon.com/sagemaker/latest/dg/neo-troubleshooting-compilation.html; those that people reported:
https://github.com/aws/amazon-sagemaker-examples/issues/2784 (shape), /986 (file), /2664 (operator), /1284 (service),
/3239 (version).
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from reefloop.payloads import Failure

# The reasons of all targets travel together through state machines, whose payloads end at 256 KiB.
# https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
REASON_BYTES: Final = 1000
# Of a longer reason the rest is not looked at: a model can make the compiler say as much as it likes.
_READ_CHARACTERS: Final = 10_000


@dataclass(frozen=True)
class Kind:
    """`pattern` finds it in the words of the compiler or the service: none where only this project can tell."""

    advice: str
    pattern: str | None = None


# In the order in which they are tried: a sentence about an operator names the framework too, and so on.
KINDS: Final[Mapping[str, Kind]] = MappingProxyType(
    {
        "rule": Kind(
            "Neo has no such combination: choose another target, or give the model in another framework; "
            "docs/devices.md says what goes with what"
        ),
        "parity": Kind(
            "read comparison.json below models/<version>/comparisons/<target>/: it compares the compiled model with "
            "its source; if you can live with the loss, raise compilation.max_accuracy_loss"
        ),
        "endpoint": Kind(
            "read the endpoint's log in /aws/sagemaker/Endpoints: whether the container started and what it answered"
        ),
        "limit": Kind(
            "lower compilation.max_concurrency, or ask Service Quotas for more compilation jobs at a time, and start "
            "the stage again",
            r"ResourceLimitExceeded|service limit|Throttling|rate exceeded|quota.{0,20}exceed|too ?many ?requests",
        ),
        "operator": Kind(
            "the compiler lacks an operator of the model: replace it in the network, or export with an older operator "
            "set, and train again",
            r"not implemented|NotImplemented|implement \w+::|unsupported op|operators? .{0,80}not supported",
        ),
        "region": Kind(
            "keep the model in a bucket of the stage's own region, and choose targets that Neo offers there",
            r"is in region|different from .{0,40}region|in (this|the) region|PermanentRedirect",
        ),
        "permissions": Kind(
            "let the role of the compilation jobs read and write below models/ of the data bucket: a bucket policy, a "
            "key or a service control policy denies it",
            r"access ?denied|not authorized|forbidden|status code: 403|assume .{0,20}role",
        ),
        "timeout": Kind(
            "raise compilation.max_runtime_seconds, or compile a smaller model",
            r"MaxRuntime|maximum run ?time|timed out|States\.Timeout|time limit",
        ),
        "options": Kind(
            "correct the target's compiler options, device, platform or framework version: docs/devices.md has what "
            "Neo takes",
            r"OutputConfig|CompilerOptions|compiler option|framework version|gpu-code|trt-ver|cuda-ver"
            r"|ANDROID_PLATFORM|TargetDevice|TargetPlatform|validation error|ValidationException",
        ),
        "input": Kind(
            "name every input with its static shape as the model has it, in the layout of its framework: NCHW, or "
            "NHWC for TensorFlow and TensorFlow Lite",
            r"wrong shape|shapes? mismatch|-shape mismatch|DataInputConfig|input shape|TensorShape|\bN(CHW|HWC)\b",
        ),
        "source": Kind(
            "put exactly the files into the tarball that its framework and target need, saved by a version that Neo "
            "reads: docs/devices.md lists them",
            r"untar|tar\.gz|exactly one|only one|when only one|\bno [.\w]+ files?\b|no valid .{0,20}model"
            r"|load error|unable to load|cannot load|incompatible .{0,20}model|object does not exist|NoSuchKey"
            r"|ArchiveInvalid|SourceInvalid|ModelInvalid|ObjectMissing",
        ),
        "stopped": Kind(
            "somebody stopped the job, or its compilation.max_runtime_seconds were over: start the stage again, with "
            "more of them if the job needs more",
            r"^STOPPED\b",
        ),
        "service": Kind(
            "start the stage again; if it fails again, ask AWS Support and name the job",
            r"server ?error|internal ?(failure|error)|service ?unavailable|status code: 50\d",
        ),
        "unknown": Kind("read the job's log in /aws/sagemaker/CompilationJobs: the reason alone does not say enough"),
    }
)


def explain(reason: str) -> Failure:
    """The kind of a failure, its reason in one line, and what to do about it.

    A reason that starts with "<kind>: " is of that kind: so do those that this project itself gives. What a function
    or a service raised comes as "<error>: <cause>", where the cause of a function is JSON.
    """
    name, _, rest = reason.partition(": ")
    if name in KINDS:
        return _failure(name, rest)
    words = (f"{name}: {_message(rest)}" if rest else reason)[:_READ_CHARACTERS]
    return _failure(next(kind for kind in KINDS if _is(kind, words)), words)


def _is(kind: str, words: str) -> bool:
    pattern = KINDS[kind].pattern
    return kind == "unknown" or bool(pattern and re.search(pattern, words, re.IGNORECASE))


def _failure(kind: str, words: str) -> Failure:
    # Nothing that would do something to a terminal or a log: the words may be a stranger's, as names in a model are.
    line = " ".join("".join(sign if sign.isprintable() else " " for sign in words).split())
    # That the job failed is known by now, and a job that was stopped has little else to say.
    said = line.removeprefix("FAILED:").strip()
    return Failure(kind=kind, reason=cut(said) or "no reason was given", advice=KINDS[kind].advice)


def cut(text: str) -> str:
    """The text, or as much of it as fits REASON_BYTES of UTF-8 with "…" behind it."""
    encoded = text.encode(errors="replace")
    if len(encoded) <= REASON_BYTES:
        return encoded.decode()
    return encoded[: REASON_BYTES - len("…".encode())].decode(errors="ignore") + "…"


def _message(cause: str) -> str:
    """https://docs.aws.amazon.com/lambda/latest/dg/python-exceptions.html"""
    try:
        parsed = json.loads(cause)
    except (ValueError, RecursionError):
        return cause
    return str(parsed["errorMessage"]) if isinstance(parsed, dict) and "errorMessage" in parsed else cause
