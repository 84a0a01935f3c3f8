"""One set of files for all tests here."""

from __future__ import annotations

import pytest

from tests.support.attestation import Given, written


@pytest.fixture(scope="session")
def given(tmp_path_factory: pytest.TempPathFactory) -> Given:
    return written(tmp_path_factory.mktemp("attested"))
