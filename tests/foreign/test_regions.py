"""Regions of inputs, whatever the latent looks like: decided, or refused in one true line."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from protoproof.certification.certify import Certifier
from protoproof.certification.options import CertifyOptions
from protoproof.certification.result import Certified
from protoproof.errors import InputError, ModelError, UsageError
from protoproof.network import Network, load
from protoproof.region.sets.region import LinfBall
from protoproof.verdict import Status
from tests.support.foreign.families import CERTIFIED
from tests.support.foreign.family import Family

Exported = Callable[[Family, str], Path]

# latents as grids with channels first, as vectors, with channels last, of one location, of windows
ALWAYS = ("protopnet-log", "raw-distances", "nearest-mean", "channels-last", "pixel",
          "protopnet-windows", "radial", "projection")  # fmt: skip
PROVED = set(ALWAYS) - {"radial", "projection"}
EVERY = [family for family, exporter in CERTIFIED if exporter == "legacy"]


def certified(network: Network, x: np.ndarray, method: str) -> Certified | str:
    """The answer, or the refusal."""
    try:
        region = LinfBall(x, (0.0, 1.0), Fraction(1, 100_000))
        return Certifier(network).certify(region, CertifyOptions(method=method, top=2))
    except (InputError, ModelError, UsageError) as error:
        return str(error)


@pytest.mark.parametrize(
    "family",
    [
        pytest.param(f, id=f.name, marks=() if f.name in ALWAYS else pytest.mark.sweep)
        for f in EVERY
    ],
)
@pytest.mark.parametrize("method", ["interval", "linear"])
def test_decided_or_refused(family: Family, method: str, exported: Exported) -> None:
    network = load(exported(family, "legacy"))
    x = np.random.default_rng(0).random(network.input_shape).astype(np.float32)
    found = certified(network, x, method)
    if isinstance(found, str):
        assert "\n" not in found
        assert family.name not in PROVED
        return
    if family.name in PROVED and (method, family.name) != ("linear", "protopnet-windows"):
        assert found.verdict.status is Status.PROVED, found.verdict
    assert all(check.accepted for check in found.checks)
    assert len(found.checks) == len(found.certificates) == (found.verdict.status is Status.PROVED)
