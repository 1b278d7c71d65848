"""What is shown of an execution while it runs."""

from botocore.exceptions import ClientError

from console.following import keep_last
from console.screen import Row


def test_what_is_shown_beside_an_execution_stays_when_the_account_does_not_answer() -> None:
    error = ClientError({"Error": {"Code": "ThrottlingException", "Message": "slow down"}}, "Query")
    answers: list[list[Row] | Exception] = [[Row("device reef-1", "HEALTHY", "")], error, []]

    def read() -> list[Row]:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    rows = keep_last("devices", read)
    (before,) = rows()
    stayed, told = rows()
    assert stayed == before
    assert (told.what, told.status) == ("devices", "not read")
    assert "slow down" in told.detail
    assert rows() == []
