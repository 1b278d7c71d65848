"""The audit finds each fault that is planted in a clean image, and nothing in the clean image."""

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from jobs import audit
from jobs.audit import reading
from jobs.paths import Root
from tests.unit.jobs.faults_to_plant import FAULTS
from tests.unit.jobs.images_to_audit import LINK, Setup, clean, lay

REPOSITORY = Path(__file__).resolve().parents[3]


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
        clean({"etc/ld.so.conf.d/cuda.conf": "# /usr/local/cuda/compat\n/usr/local/cuda/lib64  # not .../stubs\n"}),
    ],
    ids=[
        "execs its arguments",
        "execs",
        "train on the path",
        "all",
        "CUDA of pip",
        "names of files",
        "root",
        "comment",
    ],
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


def test_the_root_of_a_running_system_has_no_description_beside_it() -> None:
    assert audit._beside(Path("/")) is None


def test_a_description_that_lies_elsewhere_is_named(tmp_path: Path) -> None:
    root = lay(tmp_path / "root", clean().files)
    (tmp_path / "inspected").write_text(json.dumps([clean(config={"User": "1000"}).config]))
    (tmp_path / "broken").write_text("{")

    for name, status in (("inspected", audit.FOUND), ("broken", audit.NOT_AUDITABLE), ("absent", audit.NOT_AUDITABLE)):
        with pytest.raises(SystemExit) as end:
            audit.run(Root(tmp_path), [str(root), "--config", str(tmp_path / name)])
        assert end.value.code == status


def test_packages_that_rpm_has_only_logged_are_installed(tmp_path: Path) -> None:
    root = lay(tmp_path / "root", clean().files)
    place = root / "var/lib/rpm/rpmdb.sqlite"
    place.parent.mkdir(parents=True)
    with closing(sqlite3.connect(place)) as open_database:
        open_database.executescript("PRAGMA journal_mode=WAL; CREATE TABLE Name (key TEXT NOT NULL);")
        open_database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        open_database.execute("INSERT INTO Name VALUES ('nvidia-driver-cuda')")
        open_database.commit()
        assert b"nvidia-driver-cuda" not in place.read_bytes()

        with pytest.raises(SystemExit) as end:
            audit.run(Root(tmp_path), [str(root), "--summary", str(tmp_path / "summary")])

    assert end.value.code == audit.FOUND
    assert "nvidia-driver-cuda (in var/lib/rpm/rpmdb.sqlite)" in (tmp_path / "summary").read_text()


def test_what_cannot_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, mode: str) -> Any:
        raise PermissionError(path, mode)

    root = lay(tmp_path / "root", {"etc/shadow": "root:*", "etc/localtime": LINK + "/usr/share/zoneinfo/UTC"})
    monkeypatch.setattr(reading.Path, "open", refuse)

    image = reading.folder(root, reading.Reader(tmp_path))

    assert image.unreadable == ["etc/shadow"]
    assert [found.where for found in audit.audit(image) if found.rule == "unreadable"] == [("etc/shadow",)]


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
