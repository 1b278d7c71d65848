"""What the audit can find, why it matters and what to do about it: one table that all checks take their words from."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Final, NamedTuple

SHOWN: Final = 5
"""Places of a finding that a person is shown; the JSON report has all of them."""


class Rule(NamedTuple):
    """Why what was found breaks a job, and what to do."""

    why: str
    todo: str


_GPU = "https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/latest/docker-specialized.html"
_SAGEMAKER = "https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo-dockerfile.html"

RULES: Final = {
    "driver": Rule(
        "the host mounts its own NVIDIA driver into the container; a second one is loaded in its place or beside it, "
        f"and CUDA fails wherever the versions differ ({_SAGEMAKER})",
        "install the CUDA toolkit only: cuda-toolkit-* or cuda-cudart-*, never cuda, cuda-drivers or nvidia-driver-*; "
        "build without the NVIDIA runtime as Docker's default, which leaves the host's files behind",
    ),
    "driver-package": Rule(
        "the host mounts its own NVIDIA driver, and an update of this package brings the driver's files back",
        "remove the package in the layer that installs it, or install what pulled it in without its recommendations",
    ),
    "no-cuda": Rule(
        "without libcudart the container computes on the processor at the price of a GPU",
        "build from an AWS Deep Learning Container or an nvidia/cuda image, or install nvidia-cuda-runtime",
    ),
    "visible-devices": Rule(
        f"the NVIDIA runtime gives a container only the GPUs that this variable names ({_GPU})",
        "ENV NVIDIA_VISIBLE_DEVICES=all",
    ),
    "capabilities": Rule(
        f"compute brings CUDA's libraries into the container and utility nvidia-smi; without them there is no GPU "
        f"to be seen ({_GPU})",
        "ENV NVIDIA_DRIVER_CAPABILITIES=compute,utility",
    ),
    "require": Rule(
        f"the NVIDIA runtime starts no container whose NVIDIA_REQUIRE_* the host's driver does not meet ({_GPU})",
        "leave NVIDIA_REQUIRE_CUDA as the CUDA base image sets it",
    ),
    "library-path": Rule(
        "a stub has the names of the driver's functions and does nothing, and compat is right only on hosts whose "
        "driver is older: whatever stands on the library path goes before what the host mounts",
        "take stubs and compat off the path; put compat on it at start, when the host's driver is older "
        "(https://docs.aws.amazon.com/sagemaker/latest/dg/container-nvidia-compliance.html)",
    ),
    "entry-point": Rule(
        f"SageMaker runs `docker run IMAGE train` and sends SIGTERM to the first process ({_SAGEMAKER}): a shell in "
        "its place swallows both, and the job is killed before it saved a checkpoint",
        'ENTRYPOINT ["python", "-m", "jobs"], in brackets; a start script ends with exec "$@"',
    ),
    "init": Rule(
        f"SageMaker asks for no tini: the first process has to be the one that trains ({_SAGEMAKER})",
        "name the program itself as the entry point",
    ),
    "opt-ml": Rule(
        f"/opt/ml is SageMaker's: what an image has there is hidden by what SageMaker mounts ({_SAGEMAKER})",
        "put the files elsewhere, such as /opt/reefloop",
    ),
    "user": Rule(
        "SageMaker mounts /opt/ml for root: another user cannot write results there "
        "(https://github.com/aws/sagemaker-python-sdk/issues/4764)",
        "leave USER out, and give a user where the container is run by hand: docker run --user",
    ),
    "platform": Rule(
        "the GPU instances run another kind of processor or system: no process of this image starts there",
        "docker build --platform linux/amd64",
    ),
    "credentials": Rule(
        "whoever may pull the image can read every layer of it",
        "revoke it now; keep it out of the build context; hand it to the build as a secret (RUN --mount=type=secret) "
        "or to the job as a role",
    ),
    "unreadable": Rule(
        "what cannot be read was not looked at",
        "run the audit as a user who may read all of it",
    ),
}


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong: `where` are paths in the image, variables, or words of its configuration."""

    rule: str
    what: str
    where: tuple[str, ...]

    @property
    def why(self) -> str:
        return RULES[self.rule].why

    @property
    def todo(self) -> str:
        return RULES[self.rule].todo

    @property
    def sentence(self) -> str:
        """What and where, for places with little room."""
        more = f" and {len(self.where) - 1} more" if len(self.where) > 1 else ""
        return f"{self.what}: {self.where[0]}{more}"

    def paragraph(self) -> str:
        """Everything, for a person who reads the build's log."""
        places = [f"    {place}" for place in self.where[:SHOWN]]
        if len(self.where) > SHOWN:
            places.append(f"    and {len(self.where) - SHOWN} more")
        return "\n".join((f"{self.what}", *places, f"  why: {self.why}", f"  do:  {self.todo}"))

    def document(self) -> dict[str, Any]:
        return {**asdict(self), "why": self.why, "todo": self.todo}


def finding(rule: str, what: str, where: Iterable[str]) -> Finding:
    """A finding in the words of its rule; a place that is named twice counts once."""
    # Names of files are bytes: what is no text is shown as \\udcff.
    places = (place.encode(errors="backslashreplace").decode() for place in where)
    return Finding(rule, what, tuple(dict.fromkeys(places)))
