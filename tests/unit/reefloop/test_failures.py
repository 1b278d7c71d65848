"""Failures of compilation in kinds: what Neo is known to say, what its API says, what this project says itself."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reefloop.compilation.failures import KINDS, REASON_BYTES, explain
from settings import CompilationSettings

# Neo's sentences: https://docs.aws.amazon.com/sagemaker/latest/dg/neo-troubleshooting-compilation.html and issues of
# https://github.com/aws/amazon-sagemaker-examples by their numbers.
TOLD = [
    (
        "operator",
        "FAILED: ClientError: InputConfiguration: TVM cannot convert MXNet model. Please make sure the framework you "
        "selected is correct. The following operators are not implemented: {'_contrib_Proposal'}",
    ),
    ("operator", "FAILED: ClientError: OperatorNotImplemented: Gelu"),
    (
        "operator",  # 2664
        "FAILED: ClientError: CompilationError: Unable to compile model for ml_inf1:', 'Please implement aten::alias "
        "in native_ops/aten.py')",
    ),
    (
        "input",  # 2784
        "FAILED: ClientError: InputConfiguration: TVM cannot convert the PyTorch model. Invalid model or input-shape "
        "mismatch. Make sure that inputs are lexically ordered and of the correct dimensionality. Traceback (most "
        "recent call last):\n [bt] (4) libtvm.so",
    ),
    (
        "input",
        "FAILED: ClientError: InputConfiguration: Input input has wrong shape in Input Shape dictionary. Input shapes "
        "should be provided in NCHW format.",
    ),
    (
        "input",  # 1322
        "FAILED: ClientError: InputConfiguration: Framework cannot load Tensorflow model: as_list() is not defined on "
        "an unknown TensorShape.",
    ),
    ("source", "FAILED: InputConfiguration: Exactly one .pb or .pbtxt file is allowed for TensorFlow models."),
    ("source", "FAILED: InputConfiguration: No h5 file provided in /tmp/models"),
    ("source", "FAILED: ClientError: InputConfiguration: No pth file found for PyTorch model. Please make sure the "),
    ("source", "FAILED: ClientError: InputConfiguration: Only one parameter file is allowed for MXNet model."),
    ("source", "FAILED: ClientError: InputConfiguration: Unable to untar input model. Please confirm the model is a "),
    ("source", "FAILED: ClientError: InputConfiguration: S3 object does not exist. Bucket: b, Key: region/quota.tgz"),
    ("source", "FAILED: ClientError: InputConfiguration: Unable to load provided Keras model. Error: 'sample_weight'"),
    ("source", "FAILED: ClientError: InputConfiguration: Incompatible ONNX model"),  # 846
    (
        "region",
        "FAILED: ClientError: InputConfiguration: Bucket b is in region eu-west-1 which is different from AWS "
        "Sagemaker service region us-east-1",
    ),
    (
        "service",  # 1284
        "FAILED: ServerError: There was an internal server error during the compilation job, please try again in a "
        "few minutes",
    ),
    ("service", "FAILED: InternalServerError: the compiler broke: Segmentation fault"),
    (
        "options",  # 3239
        "SageMaker.SageMakerException: Unsupported framework version field for target. Framework version is supported "
        "for Target Platform configuration and only part of target devices. (Service: SageMaker, Status Code: 400, "
        "Request ID: 3f0c403e-5002-4033-8500-50001a2b4030)",
    ),
    ("options", "FAILED: ClientError: OutputConfiguration: CompilerOptions must have gpu-code for NVIDIA"),
    ("options", "SageMaker.SageMakerException: 1 validation error detected: Value 'x' at 'outputConfig.targetDevice'"),
    (
        "limit",
        "SageMaker.ResourceLimitExceededException: The account-level service limit 'compilation jobs' is 5 Instances",
    ),
    (
        "limit",
        "SageMaker.ResourceLimitExceededException: You have exceeded the number of jobs allowed in this region",
    ),
    ("limit", "SageMaker.SageMakerException: Rate exceeded (Service: SageMaker, Status Code: 400, Request ID: 1)"),
    (
        "permissions",
        "SageMaker.SageMakerException: User: arn:aws:sts::1:assumed-role/r/s is not authorized to perform: "
        "sagemaker:CreateCompilationJob",
    ),
    ("permissions", "FAILED: ClientError: AccessDenied: Access Denied"),
    ("timeout", "STOPPED: ClientError: the job ran longer than its MaxRuntimeInSeconds"),
    ("timeout", "timeout: the job did not end within 1800 seconds"),
    ("stopped", "STOPPED: "),
    ("unknown", "FAILED: "),
    ("unknown", "FAILED: something that nobody has seen yet"),
    ("unknown", ""),
    ("source", "ArchiveInvalid: s3://b/k holds '../model.onnx'"),
    ("parity", "parity: the compiled model gives 2 of 4 golden images another label than its source: NCHW"),
    ("rule", "rule: for coreml Neo takes TENSORFLOW and PYTORCH, and not ONNX"),
    ("endpoint", "endpoint: it did not serve: not implemented"),
]


@pytest.mark.parametrize(("kind", "reason"), TOLD)
def test_a_reason_is_of_the_kind_that_says_what_to_do(kind: str, reason: str) -> None:
    explained = explain(reason)
    assert explained["kind"] == kind
    assert explained["advice"] == KINDS[kind].advice
    assert explained["reason"]


def test_every_kind_that_words_can_tell_is_told_by_some() -> None:
    assert {kind for kind, _ in TOLD} == set(KINDS)


def test_neos_own_words_are_kept() -> None:
    assert explain("FAILED: ClientError: no:\n such  thing")["reason"] == "ClientError: no: such thing"


def test_a_kind_given_by_ourselves_is_not_said_twice() -> None:
    assert explain("rule: no such thing: at all")["reason"] == "no such thing: at all"


def test_of_what_a_function_raised_the_message_is_shown() -> None:
    cause = json.dumps({"errorMessage": "s3://b/k is damaged", "errorType": "ArchiveInvalid", "stackTrace": ["…"]})
    assert explain(f"ArchiveInvalid: {cause}")["reason"] == "ArchiveInvalid: s3://b/k is damaged"


@given(st.text())
def test_any_reason_becomes_one_line_of_a_known_kind_that_fits(reason: str) -> None:
    explained = explain(reason)
    assert explained["kind"] in KINDS
    assert 0 < len(explained["reason"].encode()) <= REASON_BYTES
    assert explained["reason"].isprintable()


@given(st.integers(1, 10**5), st.sampled_from("xé海🐟"))
def test_a_reason_of_any_length_and_alphabet_is_cut_to_so_many_bytes(length: int, letter: str) -> None:
    told, size = explain(letter * length)["reason"], length * len(letter.encode())
    assert told.rstrip("…") == letter * len(told.rstrip("…"))
    assert min(size, REASON_BYTES - 6) <= len(told.encode()) <= min(size, REASON_BYTES)


def test_every_setting_that_advice_names_exists() -> None:
    named = {
        word.strip(".,:;") for kind in KINDS.values() for word in kind.advice.split() if word.startswith("compilation.")
    }
    assert named
    assert {name.removeprefix("compilation.") for name in named} <= set(CompilationSettings.model_fields)


def test_every_page_that_advice_names_exists() -> None:
    pages = {word.strip(".,:;") for kind in KINDS.values() for word in kind.advice.split() if word.startswith("docs/")}
    assert pages
    assert all(Path(__file__).parents[3].joinpath(page).exists() for page in pages)


def test_every_kind_is_told_in_the_docs() -> None:
    page = Path(__file__).parents[3].joinpath("docs", "compilation.md").read_text()
    assert [kind for kind in KINDS if f"| `{kind}` |" not in page] == []
