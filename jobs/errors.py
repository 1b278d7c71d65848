"""How a job ends when it cannot do what it was asked."""

from typing import Final

STOPPED: Final = 143
"""The exit code of an interrupted job, 128 + SIGTERM: not 0, so that nobody takes its work for finished."""


class JobError(Exception):
    """What was wrong, with which value, and what to do: one sentence, which becomes the job's failure reason."""


class Interrupted(BaseException):
    """The job was told to stop, and what it had done is safe in a checkpoint.

    Like KeyboardInterrupt it comes at any moment, so it must pass where any exception of a library is expected.
    """
