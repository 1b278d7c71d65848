"""How a command ends badly: one sentence, and an exit code that says whose move it is."""


class Refusal(Exception):
    """What was asked cannot be done as asked; nothing was started. Exit code 2."""


class Failure(Exception):
    """Something that was started did not succeed. Exit code 1."""
