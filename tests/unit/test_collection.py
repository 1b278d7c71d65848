"""Every process that runs a part of the tests gives each test the same name; where they do not, none runs."""

import os

import pytest


@pytest.mark.parametrize("content", [os.urandom(8)])
def test_bytes_do_not_name_a_test(request: pytest.FixtureRequest, content: bytes) -> None:
    assert request.node.name == "test_bytes_do_not_name_a_test[content]"
