import pytest


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whole rounds first: they take minutes, and no process is to be left with them at the end."""
    items.sort(key=lambda item: "/workflow/" not in item.path.as_posix())
