"""Workers of the campaigns here are warm, unless a test asks for cold ones."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.campaign import warm_workers


@pytest.fixture(autouse=True)
def warm() -> Iterator[None]:
    with warm_workers():
        yield
