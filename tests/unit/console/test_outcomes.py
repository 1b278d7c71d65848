"""What each target got, as tables: every number that was measured, every reason, and nothing that a terminal obeys."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console

from console import outcomes
from tests.any import any_package
from tests.unit.console.packages import PARITY, not_compiled


def shown(*packages: Mapping[str, Any], width: int = 120) -> str:
    console = Console(width=width, force_terminal=False)
    with console.capture() as capture:
        for table in outcomes.tables(packages):
            console.print(table)
    return capture.get()


def row(text: str, target: str) -> list[str]:
    (line,) = [line for line in text.splitlines() if line.startswith(target)]
    return [cell.strip() for cell in line.split("│")]


def test_a_measured_target_stands_beside_its_source_model() -> None:
    text = shown(any_package(bytes=2048, parity=PARITY))
    assert row(text, "linux-x86_64") == [
        "linux-x86_64",
        "compiled",
        "2",
        "100.0% of 16 golden, 99.88% of 812",
        "0.25 (0.5)",
        "1.5 (2)",
        "6.0",
    ]


def test_without_a_dataset_the_golden_images_alone_are_compared() -> None:
    text = shown(any_package(bytes=2048, parity={**PARITY, "agreement": None, "objects": 0}))
    assert row(text, "linux-x86_64")[3] == "100.0% of 16 golden"


def test_what_was_not_measured_is_a_dash() -> None:
    assert row(shown(any_package("qcs605", bytes=2048)), "qcs605") == ["qcs605", "compiled", "2", "-", "-", "-", "-"]


def test_every_target_without_a_compiled_model_says_why_and_what_to_do() -> None:
    text = shown(any_package(), not_compiled("qcs605"), not_compiled("ios", kind="limit", reason="too many jobs"))
    got, why = text[: text.index("not compiled")], text[text.index("not compiled") :]
    assert row(got, "qcs605")[:3] == ["qcs605", "refused", "-"]
    assert row(why, "qcs605") == ["qcs605", "operator", "TVM cannot convert FlipOp", "replace the operator"]
    assert row(why, "ios") == ["ios", "limit", "too many jobs", "replace the operator"]
    assert "linux-x86_64" not in why


def test_targets_that_failed_for_the_same_reason_share_a_row() -> None:
    text = shown(not_compiled("qcs605"), not_compiled("imx8mplus", outcome="portable"))
    assert text.count("FlipOp") == 1
    assert "qcs605, imx8mplus" in text


def test_without_failures_there_is_no_table_of_them() -> None:
    assert len(list(outcomes.tables([any_package()]))) == 1
    assert list(outcomes.tables([])) == []


def test_a_reason_is_shown_as_it_is_and_never_obeyed() -> None:
    reason = "[red]boom[/] [link=https://x.example]s3://b/:fish:[/link] \x1b]0;owned\x07 \u202eevil\nsecond line"
    text = " ".join(shown(not_compiled("qcs605", reason=reason), width=400).split())
    assert "[red]boom[/] [link=https://x.example]s3://b/:fish:[/link]" in text
    assert "second line" in text
    assert not {"\x1b", "\x07", "\u202e"} & set(text)


def test_a_narrow_terminal_cuts_no_word() -> None:
    text = shown(
        any_package("android-arm64", bytes=2048, parity=PARITY),
        not_compiled("windows-x86_64", reason="OperatorNotImplemented:'FlipOp'_in_a_word_that_is_long"),
        width=80,
    )
    assert "…" not in text
    assert row(text, "android-arm64")[:3] == ["android-arm64", "compiled", "2"]
    why = [line.split("│")[2].strip() for line in text[text.index("not compiled") :].splitlines() if "│" in line]
    assert "".join(why) == "OperatorNotImplemented:'FlipOp'_in_a_word_that_is_long"


def test_names_of_any_length_leave_room_for_the_rest() -> None:
    text = shown({**any_package(bytes=2048, parity=PARITY), "target": "q" * 40}, width=80)
    assert "…" not in text
    assert "compiled" in text
    assert text.count("q") == 40


def test_packages_of_before_this_table_are_shown_too() -> None:
    old = {"target": "imx8mplus", "outcome": "portable", "key": "k", "bytes": 1024, "failure_reason": "no operator"}
    assert row(shown(old), "imx8mplus")[:3] == ["imx8mplus", "portable", "1"]


def test_those_who_failed_are_named_with_their_kind() -> None:
    packages = [any_package(), not_compiled("qcs605"), not_compiled("imx8mplus", outcome="portable", kind="limit")]
    assert outcomes.failed(packages) == ["qcs605 is refused (operator)", "imx8mplus is portable (limit)"]
