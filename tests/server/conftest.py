"""Fixtures of the tests in a real browser."""

from collections.abc import Iterator
from typing import Any

import pytest

from support.browser import page_of
from support.web import served


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server that runs as a user starts it."""
    with served(tmp_path_factory.mktemp("served") / "data") as address:
        yield address


@pytest.fixture
def page(server: str) -> Iterator[Any]:
    """A page of a browser beside the server."""
    with page_of(viewport={"width": 1280, "height": 800}) as page:
        yield page
