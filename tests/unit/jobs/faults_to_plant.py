"""The faults that the audit has to find, each planted in a clean image of its own."""

import sqlite3

from tests.unit.jobs.images_to_audit import LINK, Setup, clean

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
    "a program in a folder of stubs": (
        clean({"usr/local/cuda-13.3/targets/x86_64-linux/lib/stubs/nvidia-smi": b"\x7fELF"}),
        "driver",
        "usr/local/cuda-13.3/targets/x86_64-linux/lib/stubs/nvidia-smi",
    ),
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
        clean(config={"Entrypoint": ["/opt/venv/bin/python2"]}),
        "entry-point",
        'ENTRYPOINT ["/opt/venv/bin/python2"]',
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
