"""What others wrote is shown on a terminal and not obeyed by it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from console.cli import main
from console.screen import Row, Screen
from console.tables import plain
from console.text import printable

MARKUP = "[red]x[/red] [link=s3://a]b[/link] :fish: [/]"


@given(st.text())
def test_no_text_has_anything_but_lines_of_printable_characters(text: str) -> None:
    shown = printable(text)
    assert len(shown) == len(text)
    assert all(line.isprintable() for line in shown.split("\n"))


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126)))
def test_what_can_be_printed_stays_as_it_is(text: str) -> None:
    assert printable(text) == text
    assert plain(text).plain == text


def test_the_screen_shows_markup_as_text() -> None:
    screen = Screen(Console(width=200, force_terminal=False))
    with screen.terminal.capture() as capture:
        screen.say(f"{MARKUP}\x1b[2J")
        screen.show([Row(MARKUP, "FAILED", MARKUP)])
    said = capture.get()
    assert said.count(MARKUP) == 3
    assert "\x1b" not in said


def test_an_error_reaches_the_terminal_without_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    what = ["--framework", "XGBOOST", "--targets", "android-arm64", "--stage", "laptop"]
    assert main(["compile", "--model", "\x1b[31mnowhere", *what]) == 2
    said = capsys.readouterr().err
    assert "[31mnowhere is not a file" in said
    assert "\x1b" not in said
