"""The command line as a person meets it: one sentence, and an exit code that says whose move it is."""

import subprocess
import sys
from pathlib import Path

import pytest

from console.cli import main
from console.errors import Refusal
from console.executions import check_round

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(autouse=True)
def no_account(monkeypatch: pytest.MonkeyPatch) -> None:
    """No way to any account but what a test gives."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "the following arguments are required: COMMAND"),
        (["swim"], "invalid choice: 'swim'"),
        (["demo", "--seed", "-1"], "'-1' is not a whole number from 0 up"),
        (["demo", "--seed", "one"], "'one' is not a whole number from 0 up"),
        (["start"], "the following arguments are required: --round"),
        (["start", "--round", "a b"], "round 'a b' is not a name"),
        (["start", "--round", "1", "--images", "nowhere"], "nowhere is not a folder"),
        (["compile", "--model", "m"], "the following arguments are required: --framework, --targets"),
        (["report"], "one of the arguments --round --model --devices is required"),
        (["watch", "--round", "1", "--model", "own-1"], "argument --model: not allowed with argument --round"),
        (["watch", "--stage", "swamp"], "stage is 'swamp'; allowed are laptop, sandbox, production"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_one_sentence(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        code = main(arguments)
    except SystemExit as end:
        code = end.code
    said = capsys.readouterr().err
    assert code == 2
    assert sentence in said
    assert said.count("\n") == 1


def test_on_a_system_without_hangups_the_command_line_works_too() -> None:
    windows = (
        "import signal, sys; del signal.SIGHUP; sys.path.insert(1, 'lambda'); "
        "from console.cli import main; sys.exit(main(['watch', '--stage', 'swamp']))"
    )
    ended = subprocess.run([sys.executable, "-c", windows], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr.splitlines()[-1][:23]) == (2, "error: stage is 'swamp'")


def test_a_demo_without_its_folder_is_refused_before_anything_starts(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "console", "demo", "--images", str(tmp_path / "nowhere")]
    demo = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert demo.returncode == 2
    assert (
        demo.stderr
        == f"error: {tmp_path}/nowhere is not a folder: name a folder that has one subfolder of photographs per class\n"
    )


@pytest.mark.parametrize("round_", ["1", "2026-11-22", "a" * 40])
def test_a_round_may_be_named_like_this(round_: str) -> None:
    assert check_round(round_) == round_


@pytest.mark.parametrize("round_", ["", "-1", "1-", "a--b", "a_b", "ä", "a/b", "a" * 41])
def test_a_round_may_not_be_named_like_this(round_: str) -> None:
    with pytest.raises(Refusal, match="is not a name"):
        check_round(round_)
