"""What makes an image run under the NVIDIA runtime and under SageMaker: CUDA, variables, entry point, platform."""

import json
import posixpath
import re
from collections.abc import Iterator, Sequence
from typing import Final

from jobs.audit.findings import Finding, finding
from jobs.audit.image import Config, Entry, Image

_CUDART: Final = re.compile(r"(^|/)libcudart\.so\.(\d+)[\d.]*$")
_TOOLKIT: Final = re.compile(r"^usr/local/cuda-(\d+)\.(\d+)/")
_SHELLS: Final = frozenset({"sh", "bash", "dash", "ash", "zsh", "ksh"})
_INITS: Final = frozenset({"tini", "tini-static", "dumb-init", "catatonit", "docker-init", "s6-init", "init"})
# A line that hands the process over: exec "$@" or exec python -m jobs. A redirection (exec >log) does not.
_EXEC: Final = re.compile(r'^\s*(.*(&&|;|\|\|)\s*)?exec\s+[\w/"$.-]', re.MULTILINE)
_NOT_ROOT: Final = re.compile(r"^(?!0+(:|$)|root(:|$)).+")
# https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/latest/docker-specialized.html
_NO_GPU: Final = {"": "is empty", "void": "is void", "none": "is none"}


def cuda(image: Image) -> Iterator[Finding]:
    """The CUDA runtime, of the toolkit or of its Python packages."""
    if not any(_CUDART.search(path) and "/stubs/" not in path for path in image.entries):
        yield finding("no-cuda", "the image has no CUDA runtime", ["libcudart.so.* is nowhere"])


def variables(image: Image) -> Iterator[Finding]:
    """What the NVIDIA runtime reads when it starts the container."""
    if image.config is None:
        return
    environment = image.config.environment
    devices = environment.get("NVIDIA_VISIBLE_DEVICES")
    if devices is None:
        yield finding("visible-devices", "NVIDIA_VISIBLE_DEVICES is not set", ["ENV"])
    elif devices in _NO_GPU:
        yield finding("visible-devices", f"NVIDIA_VISIBLE_DEVICES {_NO_GPU[devices]}", ["ENV"])
    elif devices != "all":
        yield finding("visible-devices", "NVIDIA_VISIBLE_DEVICES names the GPUs of one machine", [f"ENV {devices}"])
    given = environment.get("NVIDIA_DRIVER_CAPABILITIES")
    capabilities = set((given or "").split(","))
    if "all" not in capabilities and (missing := sorted({"compute", "utility"} - capabilities)):
        said = "is not set" if given is None else f"lacks {' and '.join(missing)}"
        yield finding("capabilities", f"NVIDIA_DRIVER_CAPABILITIES {said}", [f"ENV {given or ''}".strip()])
    if reason := _refused(environment.get("NVIDIA_REQUIRE_CUDA", ""), _newest(image)):
        yield finding("require", f"NVIDIA_REQUIRE_CUDA {reason}", [f"ENV {environment['NVIDIA_REQUIRE_CUDA']}"])


def _newest(image: Image) -> tuple[int, int]:
    """The CUDA of the image: (13, 3). Where only the runtime's major version is known, its last minor one."""
    toolkits = [(int(match[1]), int(match[2])) for path in image.entries if (match := _TOOLKIT.match(path))]
    runtimes = [(int(match[2]), 99) for path in image.entries if (match := _CUDART.search(path))]
    return max(toolkits or runtimes, default=(0, 0))


def _refused(requirement: str, cuda: tuple[int, int]) -> str | None:
    """Why no host that could run the image meets the requirement: words are alternatives, commas join conditions."""
    alternatives = [word.split(",") for word in requirement.split()]
    if alternatives and all(any(re.match(r"(cuda|driver)<", one) for one in some) for some in alternatives):
        return "refuses every driver that is newer than the ones it names"
    for some in alternatives:
        asked = [tuple(map(int, match.groups())) for one in some if (match := re.match(r"cuda>=?(\d+)\.(\d+)", one))]
        if not asked or max(asked) <= cuda:
            return None
    if alternatives and cuda != (0, 0):
        return f"asks for a newer CUDA than the image's own, {cuda[0]}"
    return None


def library_path(image: Image) -> Iterator[Finding]:
    """Folders that would hide the driver of the host."""
    places = []
    if image.config:
        value = image.config.environment.get("LD_LIBRARY_PATH", "")
        places += [f"LD_LIBRARY_PATH: {folder}" for folder in value.split(":") if _hides(folder)]
    for path, text in image.contents("etc/ld.so.conf"):
        lines = (line.partition("#")[0].strip() for line in text.decode(errors="replace").splitlines())
        places += [f"{path}: {line}" for line in lines if _hides(line)]
    if places:
        yield finding("library-path", "the libraries of stubs or compat always come before the host's driver", places)


def _hides(folder: str) -> bool:
    words = folder.strip().rstrip("/").split("/")
    return words[-1] == "stubs" or (words[-1] == "compat" and any(word.startswith("cuda") for word in words))


def entry_point(image: Image) -> Iterator[Finding]:
    """Whether the job's arguments and its signals reach the program."""
    config = image.config
    if config is None:
        return
    words = config.entrypoint
    if not words:
        if image.program("train") is None:
            yield finding("entry-point", "the image has no entry point", [f"CMD {json.dumps(list(config.command))}"])
        return
    shown = f"ENTRYPOINT {json.dumps(list(words))}"
    name = posixpath.basename(words[0])
    if name in _INITS:
        yield finding("init", f"{name} is the first process", [shown])
        return
    if name in _SHELLS and "-c" in words[1:2]:
        yield finding("entry-point", "the entry point is in shell form", [shown])
        return
    # A shell is there for the script that it is given.
    of_a_shell = [word for word in words[1:] if not word.startswith("-")][:1] if name in _SHELLS else []
    for word in (words[0], *of_a_shell):
        if image.program(word) is None:
            yield finding("entry-point", f"{word}, which the entry point names, is not in the image", [shown])
            return
    script = image.program((*of_a_shell, words[0])[0])
    if script and _keeps_the_process(script[1], of_a_shell=bool(of_a_shell)):
        yield finding("entry-point", "the entry point is a shell script that never execs", [shown, script[0]])


def _keeps_the_process(script: Entry, *, of_a_shell: bool) -> bool:
    """Whether a start script stays the first process. What is no shell script, or too large to judge, passes."""
    if not isinstance(script.content, bytes):
        return False
    text = script.content.decode(errors="replace")
    shebang = re.split(r"[/\s]+", text.partition("\n")[0])
    return (of_a_shell or bool(_SHELLS.intersection(shebang))) and not _EXEC.search(text)


def reserved(image: Image) -> Iterator[Finding]:
    """What the image has where SageMaker mounts. Empty folders do no harm."""
    places = [path for path in image.entries if path.startswith("opt/ml/")]
    places += [f"VOLUME {path}" for path in _volumes(image.config) if path.rstrip("/").startswith("/opt/ml")]
    if places:
        yield finding("opt-ml", "the image has files under /opt/ml", sorted(places))


def _volumes(config: Config | None) -> Sequence[str]:
    return config.volumes if config else ()


def platform(image: Image, *, architecture: str) -> Iterator[Finding]:
    config = image.config
    if config and (config.system, config.architecture) != ("linux", architecture):
        found = f"{config.system or '?'}/{config.architecture or '?'}"
        yield finding("platform", f"the image is not made for linux/{architecture}", [found])


def user(image: Image) -> Iterator[Finding]:
    if image.config and _NOT_ROOT.match(image.config.user):
        yield finding("user", "the image runs as another user than root", [f"USER {image.config.user}"])
