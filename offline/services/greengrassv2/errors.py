"""The errors of Greengrass V2 in the service's own shape.

https://docs.aws.amazon.com/greengrass/v2/APIReference/CommonErrors.html and the errors of each operation.
"""

from moto.core.exceptions import ServiceException


class InvalidRequest(ServiceException):
    code = "ValidationException"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.reason = "OTHER"


class NotFound(ServiceException):
    code = "ResourceNotFoundException"

    def __init__(self, kind: str, name: str) -> None:
        super().__init__(f"{kind} [{name}] cannot be found in account")
        self.resourceType = kind
        self.resourceId = name


class Conflict(ServiceException):
    code = "ConflictException"

    def __init__(self, kind: str, name: str, message: str) -> None:
        super().__init__(message)
        self.resourceType = kind
        self.resourceId = name
