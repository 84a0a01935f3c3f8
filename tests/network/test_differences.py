"""Nearest less mean: when two pooled values are read as one, by the prover and by the checker."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from flint import fmpq

from protoproof.errors import DescriptionError, InternalError
from protoproof.explanation.certifiable import checkers_objection
from protoproof.kernel.latent.pooling import pooled_range
from protoproof.kernel.model.chain import Chain as KernelChain
from protoproof.kernel.model.chain import Step as KernelStep
from protoproof.kernel.model.head import Pooling as KernelPooling
from protoproof.network import load
from protoproof.network.head.chain import Chain
from protoproof.network.head.decision import Linear
from protoproof.network.head.head import Head
from protoproof.network.head.pooling import Pooling
from tests.support.heads import step
from tests.support.kernel.forms import FORMS
from tests.support.twins import twin

PAIRED = [name for name in FORMS if "less" in name or "weighed apart" in name or "focal" in name]
FALLING = Chain((step("mul", -1.0), step("exp")))


@pytest.mark.parametrize("name", PAIRED)
def test_both_readers_take_the_same_pairs_together(name: str, tmp_path: Path) -> None:
    small, path = FORMS[name], tmp_path / "net.onnx"
    path.write_bytes(small.model().SerializeToString())
    network = load(path, latent=["z"], output="y")
    head = network.head
    kinds = tuple(sorted(set(head.pooling_of.kinds)))
    assert (head.geometry, kinds, head.decision.kind) == small.expected
    assert checkers_objection(network) == ""
    session = onnxruntime.InferenceSession(path.read_bytes())
    z = np.random.default_rng(0).normal(0, 1, small.shape).astype(np.float32)
    latent = z.reshape(3, 4).T.astype(float)
    ours = head.logits(head.activation(head.measurement(latent)))
    np.testing.assert_allclose(ours, session.run(None, {"z": z})[0][0], rtol=1e-4, atol=1e-4)


def head(inner: Chain, common: Chain) -> Head:
    return Head(
        "euclidean", np.zeros((1, 2)), Chain(()), Linear(np.ones((2, 1)), np.zeros(2)), (1, 3),
        inner=inner, pooling=Pooling.all("nearest less mean", 1), common=common,
    )  # fmt: skip


@pytest.mark.parametrize("inner", [FALLING, Chain((step("mul", -1.0),))])
def test_what_falls_has_its_least_value_elsewhere(inner: Chain) -> None:
    with pytest.raises(InternalError, match="falls"):
        head(inner, Chain((step("mul", -1.0),)))


def test_a_difference_of_what_rises_could_be_negative() -> None:
    with pytest.raises(InternalError, match="rises"):
        head(Chain(()), Chain(()))


def test_the_checker_refuses_the_same() -> None:
    good = head(Chain(()), FALLING)
    assert twin(good).pooling[0].kind == "nearest less mean"
    for inner, common in ((FALLING, FALLING), (Chain(()), Chain(()))):
        for name, chain in (("inner", inner), ("common", common)):
            object.__setattr__(good, name, chain)
        with pytest.raises(DescriptionError, match=r"may fall|does not certainly fall"):
            twin(good)


@pytest.mark.parametrize("seed", range(5))
def test_the_checkers_bounds_hold_at_corners_and_inside(seed: int) -> None:
    rng = np.random.default_rng(seed)
    common = KernelChain([KernelStep("mul", (Fraction(-1),))])
    low = rng.integers(0, 8, 3)
    high = low + rng.integers(0, 5, 3)
    ends = [(fmpq(int(a)), fmpq(int(b))) for a, b in zip(low, high, strict=True)]
    pooling = KernelPooling("nearest less mean")
    least, most = pooled_range(pooling, ends, lambda a, b: common.range(0, a, b))
    assert least >= 0
    for number in range(200):
        share = rng.random(3) if number % 2 else rng.integers(0, 2, 3)
        values = low + share * (high - low)
        assert float(least) - 1e-12 <= values.mean() - values.min() <= float(most) + 1e-12
