"""Lambda functions run as they were deployed: their own zip, handler and environment, in a warm process of their own."""

from offline.state import State


def install(state: State) -> None:
    """Replace moto's invocation."""
