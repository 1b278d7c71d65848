"""Numbers from recorded answers, small enough to check by eye."""

import pytest

from console.demo.measure import (
    Labels,
    Watched,
    accuracy,
    add_up,
    classified,
    count_labels,
    frames_per_second,
    read_lines,
    watched,
    weighted_median,
)

TRUTH = {"1.jpg": "crab", "2.jpg": "crab", "3.jpg": "squid", "4.jpg": "squid"}


def line(name: str, label: str, human: str) -> dict[str, object]:
    """A line of an augmented manifest, as Ground Truth writes it."""
    metadata = {
        "class-name": label,
        "confidence": 0.94,
        "type": "groundtruth/image-classification",
        "human-annotated": human,
        "creation-date": "2026-11-22T10:00:00.000000",
        "job-name": "labeling-job/reefloop-labeling-1",
    }
    return {"source-ref": f"s3://bucket/images/upload/{name}", "species": 0, "species-metadata": metadata}


def health(*, rate: float, uptime: float, p50: float, p99: float) -> dict[str, object]:
    """What a device says of itself."""
    return {"frames_per_second": rate, "uptime_seconds": uptime, "latency_ms": {"p50": p50, "p99": p99, "max": p99}}


def test_labels_are_counted_by_who_gave_them_and_held_against_the_truth() -> None:
    lines = [line("1.jpg", "crab", "no"), line("2.jpg", "squid", "no"), line("3.jpg", "squid", "yes")]
    labels = count_labels(lines, TRUTH)
    assert labels == Labels(machine=2, human=1, wrong=1)
    assert labels.error == pytest.approx(1 / 3)


def test_nothing_labeled_has_no_error() -> None:
    assert count_labels([], TRUTH).error is None


def test_an_object_of_unknown_truth_is_an_error_and_not_a_right_answer() -> None:
    with pytest.raises(KeyError):
        count_labels([line("9.jpg", "crab", "yes")], TRUTH)


def test_edge_accuracy_is_the_share_of_frames_that_devices_got_right() -> None:
    results = [{"frame": name, "label": "crab"} for name in TRUTH]
    assert accuracy(results, TRUTH) == 0.5
    assert accuracy([], TRUTH) is None


def test_summaries_add_up_over_devices() -> None:
    assert add_up([{"frames": 30}, {"frames": 10}], []).frames == 40


def test_a_health_record_is_about_the_frames_since_the_one_before() -> None:
    records = [health(rate=2, uptime=10, p50=1, p99=1), health(rate=3, uptime=14, p50=1, p99=1)]
    assert [frames for _, frames in classified(records)] == [20, 12]


def test_latencies_weigh_as_much_as_their_frames() -> None:
    north = [health(rate=30, uptime=10, p50=4, p99=9), health(rate=0, uptime=20, p50=0, p99=0)]
    south = [health(rate=1, uptime=10, p50=8, p99=20)]
    work = add_up([], [north, south])
    assert (work.p50_ms, work.p99_ms) == (4, 20)


def test_alerts_are_counted_by_device_and_species_with_the_surest() -> None:
    alerts = [{"species": "shark", "probability": share} for share in (0.7, 0.9)]
    assert watched({"south": alerts[:1], "north": alerts, "canary": []}) == [
        Watched("north", "shark", 2, 0.9),
        Watched("south", "shark", 1, 0.7),
    ]


def seen(*seconds: float) -> list[dict[str, object]]:
    """Lines of a device's log, at these seconds of a minute."""
    return [{"frame": "1.jpg", "at": f"2026-11-22T10:00:{second:06.3f}Z"} for second in seconds]


def test_the_rate_is_that_of_a_device_while_frames_were_waiting() -> None:
    assert frames_per_second([seen(0, 0.5, 1.0, 30.0, 30.5), seen(5.0, 5.5)]) == 2


def test_single_frames_have_no_rate() -> None:
    assert frames_per_second([seen(0), seen(0, 30)]) is None


def test_without_records_there_are_no_rates() -> None:
    work = add_up([], [])
    assert (work.frames, work.p50_ms, work.p99_ms) == (0, None, None)


@pytest.mark.parametrize(
    ("values", "median"),
    [([(1, 1), (2, 1), (3, 1)], 2), ([(1, 10), (9, 3)], 1), ([(9, 3), (1, 2)], 9), ([(5, 0)], None), ([], None)],
)
def test_the_weighted_median_is_where_half_of_the_weight_lies(
    values: list[tuple[float, int]], median: float | None
) -> None:
    assert weighted_median(values) == median


def test_blank_lines_of_a_manifest_are_no_objects() -> None:
    assert read_lines('{"a": 1}\n\n{"a": 2}\n') == [{"a": 1}, {"a": 2}]
