"""The NVIDIA driver, by its files and by the packages that bring it.

The names are those of NVIDIA's own installer and packages and of Debian's, Ubuntu's, Fedora's and SUSE's:
https://download.nvidia.com/XFree86/Linux-x86_64/580.65.06/README/installedcomponents.html
"""

import re
from collections.abc import Iterator
from typing import Final

from jobs.audit import packages
from jobs.audit.findings import Finding, finding
from jobs.audit.image import Image

# Every path that a rule matches has one of these in it.
_HINT: Final = re.compile(r"nv|NV|cuda")
_FILES: Final = (
    ("a kernel module of the NVIDIA driver", r"(^|/)nvidia[\w-]*\.ko(\.(gz|xz|zst))?$"),
    ("the source of the NVIDIA driver's kernel modules", r"^usr/src/nvidia-[^/]*\d[^/]*/"),
    ("settings of the NVIDIA driver's kernel modules", r"^etc/(nvidia|modprobe\.d)/(.+/)?nvidia[\w-]*\.conf$"),
    ("firmware of the NVIDIA driver", r"(^|/)firmware/nvidia/\d[\d.]+/"),
    ("the installer of the NVIDIA driver", r"(^|/)NVIDIA-Linux-[\w.-]+\.run$"),
    (
        "a program of the NVIDIA driver",
        r"(^|/)(nvidia-(smi|debugdump|modprobe|persistenced|powerd|xconfig|settings|bug-report\.sh|installer|uninstall"
        r"|cuda-mps-(control|server))|nv-fabricmanager)$",
    ),
    (
        "a library of the NVIDIA driver",
        r"(^|/)(lib(cuda|cudadebugger|nvcuvid|nvoptix|vdpau_nvidia|glxserver_nvidia|(EGL|GLX|GLESv1_CM|GLESv2)_nvidia"
        # The container toolkit and the open EGL platform libraries are made apart from the driver.
        r"|nvidia-(?!container|egl-)[\w-]+)\.so(\.[\d.]+)?|nvidia_drv\.so)$",
    ),
)
_RULES: Final = tuple((what, re.compile(pattern)) for what, pattern in _FILES)
# CUDA's own libraries: stubs to link against, and the user half of a newer driver for older hosts.
# https://docs.nvidia.com/deploy/cuda-compatibility/forward-compatibility.html
_OF_THE_TOOLKIT: Final = re.compile(r"(^|/)(stubs|cuda[^/]*/(.+/)?compat)/[^/]+\.so(\.[\d.]+)?$")
_DOCUMENTATION: Final = re.compile(r"^usr/share/(bash-completion|bug|doc|lintian|man)/")

_PACKAGES: Final = re.compile(
    r"""
    ( nvidia-( driver | kernel | kmod | dkms | smi | utils | compute | video | gfx | headless | persistenced | modprobe
             | xconfig | settings | fabric | firmware | open | tesla | legacy | graphics | vdpau | powerd | cuda-mps
             | x11 | (opencl|egl|vulkan)-icd | \d )
    | (firmware|dkms|kmod|akmod|xserver-xorg-video|xorg-x11-drv)-nvidia
    | linux-(modules|objects|signatures)-nvidia
    | cuda-drivers
    | lib(cuda1|cudadebugger1|nvcuvid1|nvoptix1)
    | libnvidia-(?! container | egl- )
    | lib(egl|gl1|glx|gles1|gles2)-nvidia
    )
    """,
    re.VERBOSE,
)


def check(image: Image) -> Iterator[Finding]:
    found: dict[str, list[str]] = {}
    for path in image.entries:
        if _HINT.search(path) and (what := _of_the_driver(path)):
            found.setdefault(what, []).append(path)
    for what, places in found.items():
        yield finding("driver", f"the image has {what}", sorted(places))
    installed = [f"{name} (in {source})" for name, source in packages.installed(image) if _PACKAGES.match(name)]
    if installed:
        yield finding("driver-package", "the image has a package of the NVIDIA driver installed", sorted(installed))


def _of_the_driver(path: str) -> str | None:
    for what, rule in _RULES:
        if rule.search(path):
            return None if _OF_THE_TOOLKIT.search(path) or _DOCUMENTATION.match(path) else what
    return None
