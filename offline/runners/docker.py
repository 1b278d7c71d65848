"""What a build's `docker` and `aws` commands do here: on files what Docker does with images, and push to the account.

A command, an option or a form of it that is not in the tables below fails, and says so.
"""

import argparse
import base64
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple, NoReturn

from botocore.exceptions import ClientError

from offline.runners import Job, JobFailed, base_images
from offline.runners.built import MANIFEST, Built, configuration, keep, manifest
from offline.runners.images import Dockerfile, DockerfileError, folder_of
from offline.runners.layers import CommandError, lay_out, names, packed, tar


class Answer(NamedTuple):
    """What a command leaves behind: its exit status and what it prints."""

    status: int = 0
    output: bytes = b""
    error: str = ""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise CommandError(f"{self.prog}: {message}; this account knows {self.format_usage().strip()}")


@dataclass
class Docker:
    """The images of one build, as the Docker daemon of its machine has them. `runs` is False without privileges."""

    job: Job
    runs: bool
    _images: dict[str, Built] = field(default_factory=dict)
    _logged_in: set[str] = field(default_factory=set)

    def run(self, words: Sequence[str], folder: Path, given: str) -> Answer:
        """Run a command that was called in `folder` with `given` on its standard input."""
        if words[0] == "docker" and not self.runs:
            return Answer(
                1, error="Cannot connect to the Docker daemon: set privilegedMode in the project's environment"
            )
        for count in (3, 2):
            if command := _COMMANDS.get(" ".join(words[:count])):
                break
        else:
            return Answer(1, error=f"{' '.join(words)}: this account knows {', '.join(_COMMANDS)}, and nothing else")
        parser = _Parser(" ".join(words[:count]), add_help=False, allow_abbrev=False)
        for option, about in command.options.items():
            parser.add_argument(option, **about)
        try:
            return command.run(self, parser.parse_args(list(words[count:])), folder, given)
        except (CommandError, DockerfileError, LookupError) as error:
            return Answer(1, error=str(error))
        except ClientError as error:
            return Answer(1, error=f"denied: {error.response['Error']['Message']}")

    # ---- Commands ----------------------------------------------------------------------------------------------------

    def _password(self, _: argparse.Namespace, __: Path, ___: str) -> Answer:
        [data] = self._ecr().get_authorization_token()["authorizationData"]
        return Answer(output=base64.b64decode(data["authorizationToken"]).partition(b":")[2] + b"\n")

    def _login(self, asked: argparse.Namespace, _: Path, given: str) -> Answer:
        if not given.strip():
            raise CommandError("the password on standard input is empty")
        self._logged_in.add(asked.registry)
        return Answer(output=b"Login Succeeded\n")

    def _pull(self, asked: argparse.Namespace, _: Path, __: str) -> Answer:
        self._base(asked.reference)
        return Answer(output=f"{asked.reference}\n".encode())

    def _inspect(self, asked: argparse.Namespace, _: Path, __: str) -> Answer:
        found = self._local(asked.reference)
        digests = [found.digest] if found.digest else []
        if asked.format == "{{index .RepoDigests 0}}":
            return Answer(output=f"{digests[0]}\n".encode())
        if asked.format:
            raise CommandError(f"the format {asked.format!r} is not known here")
        document = {
            "RepoDigests": digests,
            "Architecture": found.config["architecture"],
            "Os": found.config["os"],
            "Config": found.config["config"],
            "RootFS": {"Type": "layers", "Layers": found.config["rootfs"]["diff_ids"]},
        }
        return Answer(output=json.dumps([document], indent=1).encode())

    def _build(self, asked: argparse.Namespace, folder: Path, _: str) -> Answer:
        context = folder / asked.context
        path = context / "Dockerfile"
        if not path.is_file():
            raise CommandError(f"failed to read dockerfile: open Dockerfile: no such file; there is {names(context)}")
        arguments = dict(pair.partition("=")[::2] for pair in asked.build_arg)
        dockerfile = Dockerfile.parse(path.read_text(), arguments)
        base = self._base(dockerfile.base)
        rootfs = self.job.folder / "images" / hashlib.sha256(asked.tag.encode()).hexdigest()
        lay_out(dockerfile, context, rootfs)
        layers = [*base.layers, packed(rootfs)]
        environment = dict(one.partition("=")[::2] for one in base.config["config"]["Env"]) | dockerfile.environment
        config = configuration(
            layers,
            environment,
            Entrypoint=dockerfile.entrypoint,
            Cmd=dockerfile.command,
            WorkingDir=dockerfile.workdir,
            Labels=dockerfile.labels | dict(pair.partition("=")[::2] for pair in asked.label),
        )
        self._images[asked.tag] = Built(config, layers, dockerfile=dockerfile, rootfs=rootfs)
        return Answer(error=f"naming to {asked.tag}\n")

    def _save(self, asked: argparse.Namespace, _: Path, __: str) -> Answer:
        found = self._local(asked.reference)
        blobs = [json.dumps(found.config).encode(), *found.layers]
        names = [f"blobs/sha256/{hashlib.sha256(blob).hexdigest()}" for blob in blobs]
        manifest = json.dumps([{"Config": names[0], "RepoTags": [asked.reference], "Layers": names[1:]}]).encode()
        members = dict(zip(names, blobs, strict=True)) | {"manifest.json": manifest}
        return Answer(output=tar({name: (blob, 0o644) for name, blob in members.items()}))

    def _push(self, asked: argparse.Namespace, _: Path, __: str) -> Answer:
        found = self._local(asked.reference)
        if (registry := asked.reference.partition("/")[0]) not in self._logged_in:
            raise CommandError(f"no basic auth credentials: log in to {registry} first")
        try:
            folder, repository, tag = folder_of(self.job.state.folder / "images", asked.reference)
        except JobFailed as error:
            raise CommandError(str(error)) from None
        self._check(repository, tag)
        self._ecr().put_image(
            repositoryName=repository,
            imageTag=tag,
            imageManifest=json.dumps(manifest(found)),
            imageManifestMediaType=MANIFEST,
        )
        keep(found, folder)
        return Answer(output=f"{asked.reference}\n".encode())

    def _manifest_inspect(self, asked: argparse.Namespace, _: Path, __: str) -> Answer:
        repository, _, tag = asked.reference.partition("/")[2].rpartition(":")
        found = self._ecr().batch_get_image(repositoryName=repository, imageIds=[{"imageTag": tag}])["images"]
        if not found:
            raise CommandError(f"no such manifest: {asked.reference}")
        return Answer(output=found[0]["imageManifest"].encode())

    # ---- Images ------------------------------------------------------------------------------------------------------

    def _ecr(self) -> Any:
        return self.job.state.client("ecr", **self.job.credentials)

    def _local(self, reference: str) -> Built:
        if reference not in self._images:
            raise CommandError(f"No such image: {reference}")
        return self._images[reference]

    def _base(self, reference: str) -> Built:
        if reference not in self._images:
            base = base_images.find(reference)
            layers = [tar({name: (b"", 0o755) for name in base.files})]
            config = configuration(layers, base.environment)
            self._images[reference] = Built(config, layers, f"{base.name}@{base.digest}")
        return self._images[reference]

    def _check(self, repository: str, tag: str) -> None:
        """Without this moto breaks where ECR refuses, and overwrites what may not change."""
        [about] = self.job.state.client("ecr").describe_repositories(repositoryNames=[repository])["repositories"]
        held = self._ecr().batch_get_image(repositoryName=repository, imageIds=[{"imageTag": tag}])["images"]
        if held and about.get("imageTagMutability") == "IMMUTABLE":
            raise CommandError(
                f"tag invalid: The image tag '{tag}' already exists in the '{repository}' repository and cannot be "
                "overwritten because the repository is immutable."
            )


class _Command(NamedTuple):
    run: Callable[[Docker, argparse.Namespace, Path, str], Answer]
    options: Mapping[str, dict[str, Any]]


_REFERENCE: Final[Mapping[str, dict[str, Any]]] = {"reference": {}}
_QUIET: Final[Mapping[str, dict[str, Any]]] = {"--quiet": {"action": "store_true"}}
_COMMANDS: Final[Mapping[str, _Command]] = {
    "aws ecr get-login-password": _Command(Docker._password, {}),
    "docker login": _Command(
        Docker._login,
        {
            "--username": {"required": True},
            "--password-stdin": {"required": True, "action": "store_true"},
            "registry": {},
        },
    ),
    "docker pull": _Command(Docker._pull, {**_QUIET, **_REFERENCE}),
    "docker image inspect": _Command(Docker._inspect, {"--format": {"default": ""}, **_REFERENCE}),
    "docker image save": _Command(Docker._save, _REFERENCE),
    "docker build": _Command(
        Docker._build,
        {
            "--build-arg": {"action": "append", "default": []},
            "--label": {"action": "append", "default": []},
            "--tag": {"required": True},
            "context": {},
        },
    ),
    "docker push": _Command(Docker._push, {**_QUIET, **_REFERENCE}),
    "docker manifest inspect": _Command(Docker._manifest_inspect, _REFERENCE),
}
