"""Nothing is written into the user's home: no identity of the machine, no queue of events."""

from __future__ import annotations

from pathlib import Path

import pytest

from protoproof.resources import digit_path, zoo_path
from tests.support.blocked import verbs
from tests.support.campaign import small_file
from tests.support.home import left_in, new_user

MODEL = zoo_path("mnist-certified")


@pytest.mark.trust(53)
def test_nothing_appears_in_the_users_home(tmp_path: Path) -> None:
    environment, data = new_user(tmp_path / "home"), small_file(tmp_path, 10)
    digit = ("--input", digit_path())
    commands = (
        ("explain", MODEL, *digit, "--out", tmp_path / "x.cert.json"),
        ("certify", MODEL, *digit, "--region", "linf:0.01", "--out", tmp_path / "r.cert.json"),
        ("campaign", MODEL, "--data", data, "--out", tmp_path / "campaign", "--workers", "2"),
    )
    answers, modules = verbs(commands, (), tmp_path, environment)
    assert [answer[0] for answer in answers] == [0, 0, 0], answers
    assert "onnxruntime" in modules
    assert left_in(tmp_path / "home") == []
