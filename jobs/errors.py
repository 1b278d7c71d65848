"""How a job ends when it cannot do what it was asked."""


class JobError(Exception):
    """What was wrong, with which value, and what to do: one sentence, which becomes the job's failure reason."""


class Interrupted(Exception):
    """The job was told to stop, and what it had done is safe in a checkpoint."""
