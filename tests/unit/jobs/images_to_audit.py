"""Images for the audit: a clean one, the faults that can be planted in it, and the tarballs that hold them."""

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

Files = Mapping[str, str | bytes]
LINK = "-> "
"""What the content of a symbolic link begins with."""

ENVIRONMENT = {
    "PATH": "/opt/venv/bin:/usr/local/cuda/bin:/usr/bin:/bin",
    "LD_LIBRARY_PATH": "/opt/venv/lib/python3.12/site-packages/nvidia/cudnn/lib:/usr/local/cuda/lib64",
    "NVIDIA_VISIBLE_DEVICES": "all",
    "NVIDIA_DRIVER_CAPABILITIES": "compute,utility",
    "NVIDIA_REQUIRE_CUDA": "cuda>=13.3 brand=unknown,driver>=535,driver<536 brand=tesla,driver>=535,driver<536",
    "TOKENIZERS_PARALLELISM": "false",
}
# A CUDA layout as NVIDIA's packages make it, with what the audit must not take for a driver.
CLEAN: Files = {
    "bin": LINK + "usr/bin",
    "usr/bin/bash": b"\x7fELF",
    "usr/bin/python3.12": b"\x7fELF",
    "opt/venv/bin/python": LINK + "./python3",
    "opt/venv/bin/python3": LINK + "../../../usr/bin/python3.12",
    "usr/local/cuda": LINK + "/etc/alternatives/cuda",
    "etc/alternatives/cuda": LINK + "/usr/local/cuda-13.3",
    "etc/ld.so.conf.d/988_cuda-13.conf": "/usr/local/cuda-13/targets/x86_64-linux/lib\n",
    "usr/local/cuda-13.3/compat/libcuda.so.1": LINK + "libcuda.so.610.43.02",
    "usr/local/cuda-13.3/compat/libcuda.so.610.43.02": b"\x7fELF",
    "usr/local/cuda-13.3/compat/libnvidia-ptxjitcompiler.so.610.43.02": b"\x7fELF",
    "usr/local/cuda-13.3/compat/libcudadebugger.so.1": b"\x7fELF",
    "usr/local/cuda-13.3/targets/x86_64-linux/lib/libcudart.so.13": LINK + "libcudart.so.13.3.5",
    "usr/local/cuda-13.3/targets/x86_64-linux/lib/libcudart.so.13.3.5": b"\x7fELF",
    "usr/local/cuda-13.3/targets/x86_64-linux/lib/stubs/libcuda.so": b"\x7fELF",
    "usr/local/cuda-13.3/targets/x86_64-linux/lib/stubs/libnvidia-ml.so": b"\x7fELF",
    "usr/lib64/libnvidia-container.so.1": b"\x7fELF",
    "opt/venv/lib/python3.12/site-packages/pynvml.py": "def nvmlInit(): ...",
    "opt/venv/lib/python3.12/site-packages/tornado/test/test.key": "-----BEGIN PRIVATE KEY-----\nMIIEvQIB\n",
    "opt/reefloop/example.txt": "aws_access_key_id = AKIAIOSFODNN7EXAMPLE",
    "usr/share/man/man1/nvidia-smi.1.gz": b"\x1f\x8b",
    "var/lib/dpkg/status": "Package: cuda-cudart-13-3\nStatus: install ok installed\n\n"
    "Package: libnvidia-container1\nStatus: install ok installed\n\n"
    "Package: nvidia-driver-580\nStatus: deinstall ok config-files\n",
}


class Setup(NamedTuple):
    """An image's files and what is said of it."""

    files: Files
    config: dict[str, Any]


def clean(files: Files | None = None, *, without: Sequence[str] = (), **changes: Any) -> Setup:
    """The clean image with other files on top, and changes to its configuration.

    `environment` changes variables, with None for one that is not set; other names are those of `docker inspect`.
    """
    environment = {**ENVIRONMENT, **changes.pop("environment", {})}
    config = {
        "Env": [f"{name}={value}" for name, value in environment.items() if value is not None],
        "Entrypoint": ["python", "-m", "jobs"],
        "WorkingDir": "/opt/reefloop",
        **changes.pop("config", {}),
    }
    kept = {name: content for name, content in CLEAN.items() if not name.startswith(tuple(without) or "\0")}
    document = {"architecture": "amd64", "os": "linux", "config": config, "history": [], **changes}
    return Setup({**kept, **(files or {})}, document)


def lay(root: Path, files: Files) -> Path:
    """The files below a folder; scripts are executable."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        data = _bytes(content)
        if data.startswith(LINK.encode()):
            path.symlink_to(data.removeprefix(LINK.encode()).decode())
            continue
        path.write_bytes(data)
        if data.startswith(b"#!"):
            path.chmod(0o755)
    return root


def layer(files: Files) -> bytes:
    """A layer's tar. Names that begin with .wh. hide what is below."""
    return tar({name: _bytes(content) for name, content in files.items()})


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def saved(layers: Sequence[Files], config: Mapping[str, Any], *, compressed: bool = False) -> bytes:
    """What `docker image save` writes: blobs, an OCI index and manifest.json."""
    blobs, manifest = _blobs(layers, config, compressed)
    names = [f"blobs/{described['digest'].replace(':', '/')}" for described in manifest["layers"]]
    described = [
        {"Config": f"blobs/{manifest['config']['digest'].replace(':', '/')}", "RepoTags": None, "Layers": names}
    ]
    return tar({**blobs, "manifest.json": json.dumps(described).encode()})


def layout(layers: Sequence[Files], config: Mapping[str, Any]) -> bytes:
    """An OCI layout in a tarball, as builders write it: an index below an index, an attestation beside the image."""
    blobs, manifest = _blobs(layers, config, True)
    image = json.dumps(manifest).encode()
    attestation = json.dumps({"schemaVersion": 2, "config": {}, "layers": []}).encode()
    below = json.dumps(
        {
            "manifests": [
                {"digest": digest(image), "platform": {"os": "linux", "architecture": "amd64"}},
                {"digest": digest(attestation), "platform": {"os": "unknown", "architecture": "unknown"}},
            ]
        }
    ).encode()
    for document in (image, attestation, below):
        blobs[_blob(document)] = document
    blobs["index.json"] = json.dumps({"manifests": [{"digest": digest(below)}]}).encode()
    return tar(blobs)


def _blobs(layers: Sequence[Files], config: Mapping[str, Any], compressed: bool) -> tuple[dict[str, bytes], Any]:
    plain = [layer(files) for files in layers]
    document = json.dumps({**config, "rootfs": {"type": "layers", "diff_ids": [digest(one) for one in plain]}}).encode()
    stored = [gzip.compress(one, 1) for one in plain] if compressed else plain
    blobs = {"oci-layout": b'{"imageLayoutVersion": "1.0.0"}'}
    blobs |= {_blob(one): one for one in (*stored, document)}
    return blobs, {"config": {"digest": digest(document)}, "layers": [{"digest": digest(one)} for one in stored]}


def _blob(data: bytes) -> str:
    return "blobs/" + digest(data).replace(":", "/")


def tar(members: Mapping[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            if data.startswith(LINK.encode()):
                member.type, member.linkname = tarfile.SYMTYPE, data.removeprefix(LINK.encode()).decode()
            else:
                member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return packed.getvalue()


def _bytes(content: str | bytes) -> bytes:
    return content.encode() if isinstance(content, str) else content
