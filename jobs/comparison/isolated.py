"""Work in a process of its own: machine code that was compiled for another machine may end or stop it, and only it."""

import multiprocessing
import pickle
import signal
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, Final, TypeVar

Result = TypeVar("Result")

Beat = Callable[[], None]
"""Called by work that goes on."""
_DONE: Final = "done"
_RAISED: Final = "raised"
_BEAT: Final = "beat"


class Ended(Exception):
    """The process ended, or went silent, before it had an answer; the message says how."""


def run(work: Callable[..., Result], *arguments: Any, silence_seconds: float) -> Result:
    """What `work(beat, *arguments)` gives, in a fresh process. Its exceptions are raised here.

    Args:
        work: a function of a module; its arguments and its result are pickled.
        silence_seconds: how long the process may go without a beat.

    Raises:
        Ended: it was ended by a signal, exited, or was silent for too long.
    """
    # A fork would carry this process's threads and libraries along.
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(there, work, arguments), daemon=True)
    process.start()
    there.close()
    try:
        while here.poll(silence_seconds):
            kind, value = here.recv()
            if kind == _DONE:
                return value  # type: ignore[no-any-return]
            if kind == _RAISED:
                raise value
        raise Ended(f"it did nothing for {silence_seconds:g} seconds")
    except EOFError:
        process.join()
        raise Ended(_how(process.exitcode)) from None
    finally:
        process.kill()
        process.join()
        here.close()


def _work(connection: Connection, work: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    try:
        connection.send((_DONE, work(lambda: connection.send((_BEAT, None)), *arguments)))
    except Exception as error:
        travelling = _that_travels(error)
        # Who prints the error prints where it happened too.
        travelling.add_note(traceback.format_exc())
        connection.send((_RAISED, travelling))


def _that_travels(error: Exception) -> Exception:
    """The error, or its text where it cannot be pickled and read again."""
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 (bytes of this very line)
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


def _how(code: int | None) -> str:
    if code is not None and code < 0:
        return f"it was ended by {signal.Signals(-code).name}"
    return f"it exited with the code {code}"
