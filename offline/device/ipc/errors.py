"""Errors that the nucleus answers an operation with."""


class OperationError(Exception):
    """An answer of type error. `name` is one that the SDK knows: ServiceError, UnauthorizedError, ..."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name


class UnknownOperation(Exception):
    """An operation that this nucleus does not have."""
