"""The audit finds each fault that is planted in a clean image, and nothing in the clean image."""

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from jobs import audit
from jobs.paths import Root
from tests.unit.jobs.images_to_audit import LINK, Setup, clean, lay

REPOSITORY = Path(__file__).resolve().parents[3]
KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAA\n"


def rpm_names(*names: str) -> bytes:
    """What rpm keeps of the names of installed packages."""
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE Name (key TEXT NOT NULL, hnum INTEGER NOT NULL, idx INTEGER NOT NULL)")
    connection.executemany("INSERT INTO Name VALUES (?, 1, 0)", [(name,) for name in names])
    connection.commit()
    return connection.serialize()


def rpm_header(name: str) -> bytes:
    return b"\0\0\0\x3f" * 8 + b"C\0" + name.encode() + b"\x00580.65.06\x001.amzn2023\0NVIDIA driver\0"


# What is planted, the rule that finds it, and a place that the finding names.
FAULTS: dict[str, tuple[Setup, str, str]] = {
    "a kernel module": (
        clean({"lib/modules/6.1.0/updates/dkms/nvidia-uvm.ko.xz": b"\x7fELF"}),
        "driver",
        "lib/modules/6.1.0/updates/dkms/nvidia-uvm.ko.xz",
    ),
    "the source of a kernel module": (
        clean({"usr/src/nvidia-580.65.06/dkms.conf": 'PACKAGE_NAME="nvidia"'}),
        "driver",
        "usr/src/nvidia-580.65.06/dkms.conf",
    ),
    "settings of a kernel module": (
        clean({"etc/modprobe.d/nvidia-options.conf": "options nvidia NVreg_EnableGpuFirmware=1"}),
        "driver",
        "etc/modprobe.d/nvidia-options.conf",
    ),
    "firmware": (
        clean({"lib/firmware/nvidia/580.65.06/gsp_ga10x.bin": b"\0"}),
        "driver",
        "lib/firmware/nvidia/580.65.06/gsp_ga10x.bin",
    ),
    "an installer": (
        clean({"tmp/NVIDIA-Linux-x86_64-580.65.06.run": "#!/bin/sh"}),
        "driver",
        "tmp/NVIDIA-Linux-x86_64-580.65.06.run",
    ),
    "nvidia-smi": (clean({"usr/bin/nvidia-smi": b"\x7fELF"}), "driver", "usr/bin/nvidia-smi"),
    "libcuda": (
        clean({"usr/lib/x86_64-linux-gnu/libcuda.so.580.65.06": b"\x7fELF"}),
        "driver",
        "usr/lib/x86_64-linux-gnu/libcuda.so.580.65.06",
    ),
    "what a build under the NVIDIA runtime leaves behind": (
        clean({"usr/lib64/libnvidia-ml.so.1": b""}),
        "driver",
        "usr/lib64/libnvidia-ml.so.1",
    ),
    "a library in a folder that is called compat and is not CUDA's": (
        clean({"opt/compat/libcuda.so.1": LINK + "libcuda.so.470"}),
        "driver",
        "opt/compat/libcuda.so.1",
    ),
    "a video library": (clean({"usr/lib/libnvcuvid.so.1": b"\x7fELF"}), "driver", "usr/lib/libnvcuvid.so.1"),
    "a graphics library": (clean({"usr/lib/libGLX_nvidia.so.0": b"\x7fELF"}), "driver", "usr/lib/libGLX_nvidia.so.0"),
    "a package of dpkg": (
        clean({"var/lib/dpkg/status": "Package: libnvidia-compute-580\nStatus: install ok installed\n"}),
        "driver-package",
        "libnvidia-compute-580 (in var/lib/dpkg/status)",
    ),
    "a package of an image without dpkg": (
        clean({"var/lib/dpkg/status.d/libcuda1": "Package: libcuda1\nVersion: 535.261.03-1\n"}),
        "driver-package",
        "libcuda1 (in var/lib/dpkg/status.d/libcuda1)",
    ),
    "a package of rpm": (
        clean({"var/lib/rpm/rpmdb.sqlite": rpm_names("cuda-cudart-13-3", "kmod-nvidia-latest-dkms")}),
        "driver-package",
        "kmod-nvidia-latest-dkms (in var/lib/rpm/rpmdb.sqlite)",
    ),
    "a package of an older rpm": (
        clean({"var/lib/rpm/Packages": b"\0" * 4096 + rpm_header("glibc") + rpm_header("nvidia-driver-cuda-libs")}),
        "driver-package",
        "nvidia-driver-cuda-libs (in var/lib/rpm/Packages)",
    ),
    "a package of SUSE's rpm": (
        clean({"usr/lib/sysimage/rpm/Packages.db": b"RpmP" + rpm_header("nvidia-compute-G06")}),
        "driver-package",
        "nvidia-compute-G06 (in usr/lib/sysimage/rpm/Packages.db)",
    ),
    "no CUDA": (clean(without=["usr/local/cuda-13.3"]), "no-cuda", "libcudart.so.* is nowhere"),
    "no NVIDIA_VISIBLE_DEVICES": (clean(environment={"NVIDIA_VISIBLE_DEVICES": None}), "visible-devices", "ENV"),
    "NVIDIA_VISIBLE_DEVICES=void": (clean(environment={"NVIDIA_VISIBLE_DEVICES": "void"}), "visible-devices", "ENV"),
    "NVIDIA_VISIBLE_DEVICES=": (clean(environment={"NVIDIA_VISIBLE_DEVICES": ""}), "visible-devices", "ENV"),
    "one machine's GPU": (clean(environment={"NVIDIA_VISIBLE_DEVICES": "GPU-1f"}), "visible-devices", "ENV GPU-1f"),
    "no compute": (
        clean(environment={"NVIDIA_DRIVER_CAPABILITIES": "graphics,utility"}),
        "capabilities",
        "ENV graphics,utility",
    ),
    "no NVIDIA_DRIVER_CAPABILITIES": (clean(environment={"NVIDIA_DRIVER_CAPABILITIES": None}), "capabilities", "ENV"),
    "a newer CUDA asked for than there is": (
        clean(environment={"NVIDIA_REQUIRE_CUDA": "cuda>=14.0"}),
        "require",
        "ENV cuda>=14.0",
    ),
    "newer drivers refused": (
        clean(environment={"NVIDIA_REQUIRE_CUDA": "cuda>=13.0,driver<590"}),
        "require",
        "ENV cuda>=13.0,driver<590",
    ),
    "stubs on the library path": (
        clean(environment={"LD_LIBRARY_PATH": "/usr/local/cuda/lib64/stubs:/usr/local/cuda/lib64"}),
        "library-path",
        "LD_LIBRARY_PATH: /usr/local/cuda/lib64/stubs",
    ),
    "compat on the library path, whatever the host": (
        clean(environment={"LD_LIBRARY_PATH": "/usr/local/cuda/compat"}),
        "library-path",
        "LD_LIBRARY_PATH: /usr/local/cuda/compat",
    ),
    "compat in the loader's configuration": (
        clean({"etc/ld.so.conf.d/000_cuda.conf": "/usr/local/cuda/compat\n"}),
        "library-path",
        "etc/ld.so.conf.d/000_cuda.conf: /usr/local/cuda/compat",
    ),
    "the shell form": (
        clean(config={"Entrypoint": ["/bin/bash", "-c", "python -m jobs"]}),
        "entry-point",
        'ENTRYPOINT ["/bin/bash", "-c", "python -m jobs"]',
    ),
    "a start script that does not exec": (
        clean({"start.sh": '#!/bin/bash\nexec >/tmp/log\npython -m jobs "$@"\n'}, config={"Entrypoint": ["/start.sh"]}),
        "entry-point",
        "/start.sh",
    ),
    "a start script that a shell runs": (
        clean({"opt/start.sh": "python -m jobs train\n"}, config={"Entrypoint": ["/bin/bash", "-e", "/opt/start.sh"]}),
        "entry-point",
        "/opt/start.sh",
    ),
    "a start script that is not there": (
        clean(config={"Entrypoint": ["bash", "-m", "start.sh"]}),
        "entry-point",
        'ENTRYPOINT ["bash", "-m", "start.sh"]',
    ),
    "tini": (
        clean({"usr/bin/tini": b"\x7fELF"}, config={"Entrypoint": ["/usr/bin/tini", "--", "python", "-m", "jobs"]}),
        "init",
        'ENTRYPOINT ["/usr/bin/tini", "--", "python", "-m", "jobs"]',
    ),
    "no entry point": (clean(config={"Entrypoint": None, "Cmd": ["bash"]}), "entry-point", 'CMD ["bash"]'),
    "an entry point that is not there": (
        clean(config={"Entrypoint": ["/opt/venv/bin/python3"]}),
        "entry-point",
        'ENTRYPOINT ["/opt/venv/bin/python3"]',
    ),
    "a file under /opt/ml": (clean({"opt/ml/code/train.py": "import torch"}), "opt-ml", "opt/ml/code/train.py"),
    "a volume at /opt/ml": (clean(config={"Volumes": {"/opt/ml": {}}}), "opt-ml", "VOLUME /opt/ml"),
    "another user": (clean(config={"User": "1000:1000"}), "user", "USER 1000:1000"),
    "another processor": (clean(architecture="arm64"), "platform", "linux/arm64"),
    "another system": (clean(os="windows"), "platform", "windows/amd64"),
    "AWS credentials": (
        clean({"root/.aws/credentials": "[default]\naws_secret_access_key = x\n"}),
        "credentials",
        "root/.aws/credentials",
    ),
    "an access key in a script": (
        clean({"opt/reefloop/fetch.sh": "export AWS_ACCESS_KEY_ID=AKIA" + "Q3EGZ2T7KJ4LMN5P"}),
        "credentials",
        "opt/reefloop/fetch.sh",
    ),
    "a private key": (clean({"root/.ssh/id_ed25519": KEY}), "credentials", "root/.ssh/id_ed25519"),
    "a password of netrc": (
        clean({"root/.netrc": "machine example.com login me password hunter2"}),
        "credentials",
        "root/.netrc",
    ),
    "a registry login": (
        clean({"root/.docker/config.json": '{"auths": {"registry": {"auth": "bWU6aHVudGVyMg=="}}}'}),
        "credentials",
        "root/.docker/config.json",
    ),
    "a token of Hugging Face": (
        clean({"root/.cache/huggingface/token": "hf_" + "a" * 34}),
        "credentials",
        "root/.cache/huggingface/token",
    ),
    "a secret in a variable": (clean(environment={"WANDB_API_KEY": "0123"}), "credentials", "ENV WANDB_API_KEY"),
    "a token in a variable of another name": (clean(environment={"X": "hf_" + "b" * 34}), "credentials", "ENV X"),
    "a build argument in the history": (
        clean(history=[{"created_by": "COPY . ."}, {"created_by": "|1 T=ghp_" + "c" * 36 + " /bin/sh -c pip install"}]),
        "credentials",
        "step 2 of the image's history",
    ),
}


def audited(folder: Path, setup: Setup, *options: str) -> tuple[int, list[dict[str, Any]], str]:
    """Exit status, findings and summary of an audit of the image as a folder with its configuration beside it."""
    root = lay(folder / "root", setup.files)
    (folder / "root.json").write_text(json.dumps([{**setup.config, "Config": setup.config["config"]}]))
    report, summary = folder / "report.json", folder / "summary.txt"
    try:
        audit.run(Root(folder), [str(root), "--json", str(report), "--summary", str(summary), *options])
        status = 0
    except SystemExit as end:
        status = int(end.code or 0)
    return status, json.loads(report.read_text()), summary.read_text()


def test_a_clean_image_with_compat_and_stubs_passes(tmp_path: Path) -> None:
    status, findings, summary = audited(tmp_path, clean())

    assert (status, findings) == (0, [])
    assert summary.startswith(audit.CLEAN)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found_and_nothing_else(tmp_path: Path, fault: str) -> None:
    setup, rule, place = FAULTS[fault]

    status, findings, summary = audited(tmp_path, setup)

    assert status == audit.FOUND
    assert [found["rule"] for found in findings] == [rule]
    assert place in findings[0]["where"]
    assert findings[0]["why"]
    assert findings[0]["todo"] in summary
    assert findings[0]["what"] in summary


@pytest.mark.parametrize(
    "setup",
    [
        clean({"start.sh": '#!/bin/bash\nset -e\nexec "$@"\n'}, config={"Entrypoint": ["/start.sh", "python"]}),
        clean({"opt/reefloop/start.sh": "ready && exec python -m jobs\n"}, config={"Entrypoint": ["bash", "start.sh"]}),
        clean(
            {"opt/program/train": "#!/usr/bin/env python\n"},
            config={"Entrypoint": None},
            environment={"PATH": "/opt/program"},
        ),
        clean(environment={"NVIDIA_DRIVER_CAPABILITIES": "all", "NVIDIA_REQUIRE_CUDA": None}),
        clean(
            {"opt/venv/lib/python3.12/site-packages/nvidia/cu13/lib/libcudart.so.13": b"\x7fELF"},
            without=["usr/local/cuda-13.3"],
        ),
        clean(environment={"HF_TOKEN_PATH": "/tmp/token", "LIBRARY_PATH": "/usr/local/cuda/lib64/stubs"}),
        clean(config={"User": "root"}),
    ],
    ids=["execs its arguments", "execs", "train on the path", "all", "CUDA of pip", "names of files", "root"],
)
def test_what_only_resembles_a_fault_passes(tmp_path: Path, setup: Setup) -> None:
    assert audited(tmp_path, setup)[:2] == (0, [])


def test_a_folder_that_nothing_describes_is_looked_at_by_its_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = lay(tmp_path / "root", clean({"usr/bin/nvidia-smi": b"\x7fELF"}).files)

    with pytest.raises(SystemExit) as end:
        audit.run(Root(tmp_path), [str(root)])

    assert end.value.code == audit.FOUND
    said = capsys.readouterr().out
    assert "usr/bin/nvidia-smi" in said
    assert "were not looked at" in said


def test_what_cannot_be_looked_at_is_no_clean_image(tmp_path: Path) -> None:
    summary = tmp_path / "summary.txt"
    (tmp_path / "empty").mkdir()
    for root in ("empty", "absent"):
        with pytest.raises(SystemExit) as end:
            audit.run(Root(tmp_path), [str(tmp_path / root), "--summary", str(summary)])
        assert end.value.code == audit.NOT_AUDITABLE
        assert summary.read_text().startswith("not audited: ")


def test_names_that_are_no_text_are_told_all_the_same(tmp_path: Path) -> None:
    setup = clean({os.fsdecode(b"usr/lib/\xff/libcuda.so"): b"\x7fELF"})

    status, findings, summary = audited(tmp_path, setup)

    assert (status, findings[0]["where"]) == (audit.FOUND, ["usr/lib/\\udcff/libcuda.so"])
    assert "usr/lib/\\udcff/libcuda.so" in summary


def test_a_summary_stays_within_what_a_build_can_export(tmp_path: Path) -> None:
    everything: dict[str, str | bytes] = {}
    for setup, _, _ in FAULTS.values():
        everything |= setup.files
    everything |= {f"usr/lib/libnvidia-{number}-{'x' * 90}.so": b"" for number in range(50)}

    status, findings, summary = audited(tmp_path, clean(everything, config={"User": "1000"}, architecture="arm64"))

    assert status == audit.FOUND
    assert len(findings) > 10
    assert 900 < len(summary) <= audit.SUMMARY_CHARACTERS


def test_the_audit_needs_nothing_but_python(tmp_path: Path) -> None:
    """As a build runs it: without the project's packages, under the name jobs in whatever folder the source is."""
    root = lay(tmp_path / "root", clean().files)
    (tmp_path / "path").mkdir()
    (tmp_path / "path" / "jobs").symlink_to(REPOSITORY / "jobs")

    done = subprocess.run(
        [sys.executable, "-S", "-P", "-m", "jobs", "audit", str(root)],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(tmp_path / "path"), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("0 findings")
