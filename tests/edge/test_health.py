"""What the device measures of itself is right, whatever the device is like."""

import random
from pathlib import Path

import pytest
from classifier.clock import ManualClock
from classifier.pipeline.health import Health, Jumps, Latencies, disk_free_mib, memory_mib, temperature_c
from hypothesis import given
from hypothesis import strategies as st

YEAR_SECONDS = 365 * 86_400


@given(st.lists(st.floats(0.1, 500_000), min_size=1, max_size=200), st.sampled_from([1, 50, 90, 99, 100]))
def test_a_percentile_is_at_most_5_percent_too_high_and_never_too_low(values: list[float], percent: float) -> None:
    latencies = Latencies()
    for value in values:
        latencies.add(value)
    exact = sorted(values)[max(1, -(-len(values) * percent // 100)) - 1]
    assert exact * (1 - 1e-9) <= latencies.percentile(percent) <= exact * 1.05 * (1 + 1e-9)


def test_the_largest_latency_is_exact_and_the_memory_does_not_grow() -> None:
    latencies, source = Latencies(), random.Random(1)
    size = len(latencies._counts)
    for _ in range(10_000):
        latencies.add(source.expovariate(1 / 50))
    latencies.add(1e9)
    assert latencies.largest == 1e9
    assert len(latencies._counts) == size
    assert latencies.percentile(100) == pytest.approx(600_000, rel=0.05)


def test_without_frames_there_are_no_latencies() -> None:
    assert Latencies().told() == {"p50": 0.0, "p99": 0.0, "max": 0.0}


def test_a_clock_that_is_set_is_a_jump_and_one_that_runs_is_none() -> None:
    clock = ManualClock()
    jumps = Jumps(clock)
    for _ in range(100):
        clock.advance(3600)
        jumps.look()
    assert jumps.count == 0
    clock.set_wall(clock.wall() - YEAR_SECONDS)
    jumps.look()
    jumps.look()
    assert jumps.count == 1


@pytest.mark.parametrize(
    ("zones", "hottest"),
    [
        ({"0": "41200", "1": "55700"}, 55.7),
        ({"0": "0", "1": "-274000", "2": "41200"}, 41.2),
        ({"0": "?"}, None),
        ({}, None),
    ],
)
def test_the_temperature_is_that_of_the_hottest_zone_that_makes_sense(
    tmp_path: Path, zones: dict[str, str], hottest: float | None
) -> None:
    for name, content in zones.items():
        (tmp_path / f"thermal_zone{name}").mkdir()
        (tmp_path / f"thermal_zone{name}" / "temp").write_text(content + "\n")
    assert temperature_c(tmp_path) == hottest


def test_a_disk_and_a_kernel_that_do_not_answer_are_no_error(tmp_path: Path) -> None:
    assert disk_free_mib(tmp_path) > 0
    assert disk_free_mib(tmp_path / "gone") == 0
    assert memory_mib() > 1
    assert memory_mib(tmp_path / "gone") == 0


def test_a_record_tells_the_time_since_the_one_before(tmp_path: Path) -> None:
    clock = ManualClock()
    health = Health(clock=clock, work=tmp_path)
    for _ in range(20):
        health.frame(10)
    clock.advance(10)
    first = health.body(queue=3)
    assert (first["frames_per_second"], first["queue"], first["uptime_seconds"]) == (2.0, 3, 10)
    assert first["latency_ms"]["max"] == 10
    clock.advance(5)
    second = health.body()
    assert (second["frames_per_second"], second["latency_ms"]["max"], second["uptime_seconds"]) == (0, 0, 15)
