"""The benchmarks run, on tiny sizes, and the baseline is what its description says."""

from __future__ import annotations

from itertools import combinations
from math import dist
from pathlib import Path

import numpy as np
import pytest

from protoproof.kernel import check
from protoproof.prover.latent.domain import Free
from protoproof.prover.latent.instance import Instance
from tests.benchmarks import baseline, full_networks, full_size
from tests.benchmarks.cub import cub_size, prove
from tests.benchmarks.measure import Settings
from tests.benchmarks.mnist import workload
from tests.benchmarks.necessity import row
from tests.benchmarks.sweep import one
from tests.benchmarks.synthetic import Shape, make_head, make_instance
from tests.benchmarks.table import markdown
from tests.benchmarks.ways import ways
from tests.support.importing import encoders
from tests.support.strategies import random_instance

TINY = Shape(prototypes=40, channels=8, classes=5, grid=(2, 3))
FEW = Settings(1, lowest=1, random=1, grid=1, baseline=1, slow=1, synthetic=1, sweep=1)


def triangle_proves(instance: Instance, pairs: list[tuple[int, int]]) -> bool:
    """The triangle paradigm in plain loops over numbers."""
    points = instance.head.prototypes
    least, most = [], []
    for j, point in enumerate(points):
        lows, highs = [], []
        for location, latent in enumerate(instance.latent):
            low, high = 0.0, float("inf")
            for where, i in pairs:
                if where != location:
                    continue
                if i == j:
                    low = high = dist(latent, point)
                    break
                side, known = dist(points[i], point), dist(latent, points[i])
                low, high = max(low, abs(side - known)), min(high, side + known)
            lows.append(low)
            highs.append(high)
        most.append(float(instance.similarity(np.array([min(lows) ** 2]))[0]))
        least.append(float(instance.similarity(np.array([min(highs) ** 2]))[0]))
    for rival in instance.rivals:
        margin = 0.0
        for j in range(len(points)):
            weight = instance.head.weight[instance.predicted, j] - instance.head.weight[rival, j]
            margin += weight * (least[j] if weight > 0 else most[j])
        if not margin > 0:
            return False
    return True


def by_the_book(instance: Instance) -> tuple[list[tuple[int, int]], int]:
    """The published algorithm in plain loops: kept pairs, and how many before deletion."""
    locations, prototypes = instance.measurement.shape
    closest = [
        sorted(range(prototypes), key=lambda j, z=z: dist(z, instance.head.prototypes[j]))
        for z in instance.latent
    ]
    chosen = [(location, closest[location][0]) for location in range(locations)]
    waiting = [
        (loc, closest[loc][rank]) for rank in range(1, prototypes) for loc in range(locations)
    ]
    while not triangle_proves(instance, chosen):
        chosen.append(waiting.pop(0))
    forward = len(chosen)
    for pair in reversed(chosen.copy()):
        rest = [other for other in chosen if other != pair]
        if triangle_proves(instance, rest):
            chosen = rest
    return chosen, forward


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_baseline_agrees_with_plain_loops(seed: int) -> None:
    instance = random_instance(seed, prototypes=6, channels=3, grid=(1, 2), near=0.05)
    outcome = baseline.pairs(instance, "triangle")
    kept, forward = by_the_book(instance)
    assert outcome.proved
    assert (list(outcome.pairs), outcome.forward) == (kept, forward)
    # every proper subset, all of them: none is proved
    for size in range(len(kept)):
        assert not any(triangle_proves(instance, list(some)) for some in combinations(kept, size))


def test_the_hypersphere_baseline_ends_with_verified_pairs() -> None:
    instance = random_instance(3, prototypes=6, channels=3, grid=(1, 2), near=0.05)
    outcome = baseline.pairs(instance, "hypersphere")
    assert outcome.proved
    state = baseline.PARADIGMS["hypersphere"].prepare(instance, baseline.Free())
    chosen = [[j for loc, j in outcome.pairs if loc == place] for place in range(2)]
    assert baseline.Verifier(state, afresh=True).verified(chosen)


def test_the_published_topk_names_no_more_than_it_needs() -> None:
    instance = random_instance(4, prototypes=12, channels=3)
    size = baseline.topk(instance.activation, instance.atoms)
    assert size is not None
    ranking = sorted(instance.activation, reverse=True)
    order = np.argsort(-instance.activation, kind="stable")

    def proves(k: int) -> bool:
        low = np.zeros(12)
        high = np.full(12, ranking[k - 1])
        low[order[:k]] = high[order[:k]] = instance.activation[order[:k]]
        corner = [np.where(w > 0, low, high) @ w for w in instance.margin_weights]
        return min(corner) > 0

    assert proves(size - 1)
    assert not any(proves(k) for k in range(1, size - 1))


def test_the_synthetic_head_is_reproducible() -> None:
    first, second = make_head(TINY), make_head(TINY)
    np.testing.assert_array_equal(first.prototypes, second.prototypes)
    assert prove(make_instance(first, 1)).facts == prove(make_instance(second, 1)).facts
    ranks = np.linalg.svd(make_head(Shape(400, 64, 40)).prototypes - 0.5, compute_uv=False)
    assert ranks[23] > 2 * ranks[24]  # rank 24 plus noise


def test_workloads_run_on_tiny_sizes() -> None:
    results = [cub_size(FEW, TINY)]
    assert results[0]["proved"] == 1
    assert results[0]["certified"]["pairs"]["verdict"] == "proved"
    results += [workload("mnist-1x1, lowest margins", "mnist-1x1", [0], FEW, 1, 1)]
    text = markdown(results)
    assert "published pairs, triangle" in text
    assert "## Targets" in text


def test_a_sweep_counts_accepted_certificates() -> None:
    row = one("mnist-1x1", ways(("topk",))[0], 2)
    assert row["proved"] == 2
    assert row["open"] == {}


def test_full_size_in_small(tmp_path: Path) -> None:
    state = full_networks.checkpoint(encoders.ResNet, classes=3)
    plain = full_networks.written(state, tmp_path / "plain.onnx", size="64")
    known = full_networks.projected(plain, tmp_path / "known.onnx", 64)
    np.save(tmp_path / "x.npy", full_networks.picture(0, 7, 64))
    found = full_size._explained(known, tmp_path / "x.npy", "topk", False)
    assert (found["verdict"], found["vocabulary"]) == ("proved", "topk")
    assert check(Path(found["certificate"]), known).accepted
    assert full_size.batched(known, 64, 2)["images"] == 2


def test_necessity_counts_each_fact_once() -> None:
    """Facts with a witness, facts that can be left out alone, and open ones are all of them."""
    instance = random_instance(4, prototypes=10, grid=(2, 2))
    found = row("tiny", "topk", [(instance, Free())])
    assert found["images"] == 1
    assert found["necessary"] + found["superfluous"] + found["open"] == found["facts"]
    assert found["facts"] - found["superfluous"] > found["necessary"] > 0
    assert row("tiny", "topk", [])["necessary_share"] is None
