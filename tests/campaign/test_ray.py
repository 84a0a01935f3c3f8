"""The Ray engine gives the rows of the local one. Runs where ray is installed."""

from __future__ import annotations

import json
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from protoproof.campaign.executor_ray import RayEngine
from protoproof.errors import UsageError
from tests.support.campaign import MODEL, small_file
from tests.support.cli import process, protoproof
from tests.support.home import left_in, new_user

CAMPAIGN = ("campaign", MODEL, "--json", "--data")


def _answer(path: Path) -> object:
    """What a file says but for when and how it came about."""
    document = json.loads(path.read_bytes())
    return document.get("core", document)


@pytest.mark.skipif(find_spec("ray") is None, reason="ray is an optional extra")
@pytest.mark.skipif(" " in sys.executable, reason="Ray cannot start a path with a space")
def test_ray_gives_the_same_rows(tmp_path: Path) -> None:
    data, two, user = small_file(tmp_path, 10), ("--workers", "2"), new_user(tmp_path / "home")
    with_ray = (*CAMPAIGN, data, "--out", tmp_path / "ray", "--engine", "ray", *two)
    ray = process(*with_ray, environment=user)
    local = protoproof(*CAMPAIGN, data, "--out", tmp_path / "local", *two)
    assert (ray.code, local.code) == (0, 0), ray.err
    files = [
        {
            path.relative_to(out): _answer(path)
            for path in [out / "summary.json", *(out / "certificates").iterdir()]
        }
        for out in (tmp_path / "ray", tmp_path / "local")
    ]
    assert len(files[0]) == 11
    assert files[0] == files[1]
    assert json.loads(ray.out)["run"]["computed"] == 10
    assert left_in(tmp_path / "home") == []


@pytest.mark.skipif(find_spec("ray") is not None, reason="ray is installed")
def test_without_ray_one_line_says_what_to_install(tmp_path: Path) -> None:
    data = small_file(tmp_path, 10)
    result = protoproof(*CAMPAIGN, data, "--out", tmp_path, "--engine", "ray")
    assert result.code == 2
    assert "protoproof[ray]" in result.err


@pytest.mark.skipif(find_spec("ray") is None, reason="ray is an optional extra")
def test_a_python_that_ray_cannot_start_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/a path/python")
    with pytest.raises(UsageError, match="--engine ray: Ray cannot start '/a path/python'"):
        RayEngine(lambda: None, None, None)  # type: ignore[arg-type,return-value]
