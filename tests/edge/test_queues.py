"""Queues between stages are bounded, and lose only what they may."""

import threading
import time

from classifier.pipeline.queues import Latest, Queue


def test_a_full_queue_gives_up_its_oldest_item() -> None:
    queue: Queue[int] = Queue(2)
    assert [queue.push(number) for number in (1, 2, 3, 4)] == [None, None, 1, 2]
    assert [queue.take(wait_seconds=0) for _ in range(3)] == [3, 4, None]


def test_a_full_queue_makes_the_one_who_offers_wait() -> None:
    queue: Queue[int] = Queue(1)
    assert queue.offer(1, wait_seconds=0)
    assert not queue.offer(2, wait_seconds=0.001)
    offered: list[bool] = []
    thread = threading.Thread(target=lambda: offered.append(queue.offer(2, wait_seconds=5)))
    thread.start()
    assert queue.take(wait_seconds=0) == 1
    thread.join(5)
    assert offered == [True]
    assert queue.take(wait_seconds=0) == 2


def test_a_reader_gets_an_item_as_soon_as_it_comes() -> None:
    queue: Queue[int] = Queue(1)
    got: list[object] = []
    thread = threading.Thread(target=lambda: got.append(queue.take(wait_seconds=5)))
    thread.start()
    queue.push(7)
    thread.join(5)
    assert got == [7]


def test_a_writer_that_had_to_wait_goes_on_once_half_of_the_queue_is_free() -> None:
    queue: Queue[int] = Queue(4)
    for number in range(4):
        assert queue.offer(number, wait_seconds=0)
    queue.take(wait_seconds=0)
    assert queue.offer(4, wait_seconds=0), "there is room, and nobody had to wait for it"
    offered: list[bool] = []
    thread = threading.Thread(target=lambda: offered.append(queue.offer(5, wait_seconds=5)))
    thread.start()
    while not queue._went._waiters:  # type: ignore[attr-defined]  # a Condition does not tell who waits
        time.sleep(0.001)
    queue.take(wait_seconds=0)
    time.sleep(0.01)
    assert offered == []
    queue.take(wait_seconds=0)
    thread.join(5)
    assert offered == [True]


def test_a_reader_of_all_waits_until_something_is_urgent_or_much_has_come() -> None:
    queue: Queue[str] = Queue(4)
    assert queue.offer("a", wait_seconds=0, urgent=False)
    got: list[tuple[str, ...]] = []

    def read() -> None:
        got.append(queue.waiting(wait_seconds=5))
        queue.drop(got[-1])

    for more, expected in ((("b", False), ("a", "b")), (("c", True), ("c",))):
        thread = threading.Thread(target=read)
        thread.start()
        time.sleep(0.01)
        assert expected not in got
        assert queue.offer(more[0], wait_seconds=0, urgent=more[1])
        thread.join(5)
        assert got[-1] == expected
    queue.offer("d", wait_seconds=0, urgent=False)
    assert queue.waiting(wait_seconds=0.001) == ("d",), "nor does anything wait for ever"
    thread = threading.Thread(target=read)
    thread.start()
    assert queue.emptied(wait_seconds=5)
    thread.join(5)


def test_a_queue_can_be_told_to_hold_less() -> None:
    queue: Queue[int] = Queue(9)
    assert [queue.push(number, limit=2) for number in range(4)] == [None, None, 0, 1]


def test_what_was_looked_at_stays_until_it_is_dropped() -> None:
    queue: Queue[str] = Queue(4)
    for word in ("a", "b", "c"):
        queue.push(word)
    seen = queue.waiting(wait_seconds=0)
    assert seen == ("a", "b", "c")
    assert queue.waiting(wait_seconds=0) == seen
    queue.push("d")
    queue.drop(seen)
    assert queue.waiting(wait_seconds=0) == ("d",)


def test_a_reader_that_was_replaced_drops_nothing_of_its_successor() -> None:
    queue: Queue[str] = Queue(4)
    queue.push("a")
    old = queue.waiting(wait_seconds=0)
    queue.drop(queue.waiting(wait_seconds=0))
    queue.push("b")
    queue.drop(old)
    assert queue.waiting(wait_seconds=0) == ("b",)
    assert len(queue) == 1


def test_of_several_items_only_the_latest_is_taken_and_that_once() -> None:
    latest: Latest[str] = Latest()
    assert latest.take() is None
    latest.put("a")
    latest.put("b")
    assert (latest.take(), latest.take()) == ("b", None)
