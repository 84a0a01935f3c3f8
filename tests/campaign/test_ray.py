"""The Ray engine gives the rows of the local one. Runs where ray is installed."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.campaign.support import MODEL
from tests.cli.support import protoproof

CAMPAIGN = ("campaign", MODEL, "--data", "mnist5k", "--per-class", "1", "--json")


@pytest.mark.skipif(find_spec("ray") is None, reason="ray is an optional extra")
def test_ray_gives_the_same_rows(tmp_path: Path) -> None:
    ray = protoproof(*CAMPAIGN, "--out", tmp_path / "ray", "--engine", "ray", "--workers", "2")
    local = protoproof(*CAMPAIGN, "--out", tmp_path / "local", "--workers", "2")
    assert (ray.code, local.code) == (0, 0), ray.err
    files = [
        {
            path.relative_to(out): path.read_bytes()
            for path in [out / "summary.json", *(out / "certificates").iterdir()]
        }
        for out in (tmp_path / "ray", tmp_path / "local")
    ]
    assert len(files[0]) == 11
    assert files[0] == files[1]
    assert json.loads(ray.out)["run"]["computed"] == 10


@pytest.mark.skipif(find_spec("ray") is not None, reason="ray is installed")
def test_without_ray_one_line_says_what_to_install(tmp_path: Path) -> None:
    result = protoproof(*CAMPAIGN, "--out", tmp_path, "--engine", "ray")
    assert result.code == 2
    assert "protoproof[ray]" in result.err
