"""Interval bounds hold every sampled point, and are exact where they can be."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from models import intervals
from models.architecture import plan
from models.intervals import (
    Box,
    activation_bounds,
    certified,
    encoder_bounds,
    input_box,
    margin_bounds,
    measurement_bounds,
    worst_margins,
)
from models.protopnet import ProtoPNet

ROUNDING = 1e-9
"""Float64 rounding of sums of at most a few thousand terms of size about one."""


def _network(grid: int, certified_plan: bool) -> ProtoPNet:
    """A network whose batch norm has statistics that matter."""
    torch.manual_seed(grid)
    architecture = plan((1, 14, 14), grid, 6, certified_plan)
    model = ProtoPNet(architecture, 3, 2, [0.3], [0.4]).double()
    model.train()
    model(torch.rand(32, 1, 14, 14, dtype=torch.float64))
    return model.eval()


def _points(box: Box, count: int) -> Tensor:
    """Random points of a box, random corners, and its two extreme corners."""
    share = torch.rand(count, *box.lower.shape, dtype=box.lower.dtype)
    corners = share.round()
    share = torch.cat([share, corners, torch.zeros_like(share[:1]), torch.ones_like(share[:1])])
    return box.lower + share * (box.upper - box.lower)


def _inside(box: Box, value: Tensor) -> bool:
    return bool((value >= box.lower - ROUNDING).all() and (value <= box.upper + ROUNDING).all())


@pytest.mark.parametrize("radius", [0.0, 0.01, 0.3])
@pytest.mark.parametrize(("grid", "certified_plan"), [(1, True), (3, False), (4, True)])
def test_every_stage_holds_every_sample(grid: int, certified_plan: bool, radius: float) -> None:
    model = _network(grid, certified_plan)
    x = torch.rand(1, 1, 14, 14, dtype=torch.float64)
    region = input_box(x, radius)
    latent = encoder_bounds(model.encoder, region)
    measurement = measurement_bounds(latent, model.prototypes)
    activation = activation_bounds(measurement)
    labels = torch.tensor([1])
    margins = margin_bounds(activation, model.head.weight, labels)
    with torch.no_grad():
        for point in _points(region, 100):
            output = model(point)
            assert _inside(latent, output.latent)
            assert _inside(measurement, output.measurement)
            assert _inside(activation, output.activation)
            true = output.logits[:, labels] - output.logits
            assert (true >= margins - ROUNDING).all()


def test_measurement_bounds_are_attained() -> None:
    torch.manual_seed(0)
    model = _network(1, True)
    lower = torch.rand(1, 6, 1, 1, dtype=torch.float64)
    box = Box(lower, lower + torch.rand_like(lower) / 2)
    bounds = measurement_bounds(box, model.prototypes)
    for prototype in range(6):
        point = model.prototypes[prototype : prototype + 1]
        near = torch.minimum(torch.maximum(point, box.lower), box.upper)
        middle = (box.lower + box.upper) / 2
        far = torch.where(point > middle, box.lower, box.upper)
        torch.testing.assert_close((near - point).square().sum(), bounds.lower[0, prototype, 0, 0])
        torch.testing.assert_close((far - point).square().sum(), bounds.upper[0, prototype, 0, 0])


@torch.no_grad()
def test_radius_zero_is_a_forward_pass() -> None:
    model = _network(3, False)
    x, labels = torch.rand(7, 1, 14, 14, dtype=torch.float64), torch.arange(7) % 3
    logits = model(x).logits
    margins = worst_margins(model, x, labels, 0.0)
    true = logits.gather(1, labels[:, None]) - logits
    torch.testing.assert_close(margins, true, rtol=0, atol=1e-6)
    assert torch.equal(certified(model, x, labels, 0.0, batch=3), logits.argmax(dim=1) == labels)


@torch.no_grad()
def test_the_region_stays_inside_the_pixel_range() -> None:
    region = input_box(torch.tensor([0.0, 0.05, 0.5, 1.0]), 0.1)
    torch.testing.assert_close(region.lower, torch.tensor([0.0, 0.0, 0.4, 0.9]))
    torch.testing.assert_close(region.upper, torch.tensor([0.1, 0.15, 0.6, 1.0]))


@torch.no_grad()
def test_nothing_is_certified_when_a_weight_is_not_a_number() -> None:
    model = _network(1, True)
    model.head.weight[0, 0] = float("nan")
    x = torch.rand(4, 1, 14, 14, dtype=torch.float64)
    assert not certified(model, x, torch.zeros(4, dtype=torch.int64), 0.0).any()


def test_measurement_bounds_do_not_depend_on_the_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    model = _network(3, False)
    lower = torch.rand(4, 6, 3, 3, dtype=torch.float64, requires_grad=True)
    results = []
    for cells in (1 << 25, lower.numel() * 4, 1):
        monkeypatch.setattr(intervals, "CELLS", cells)
        bounds = measurement_bounds(Box(lower, lower + 0.1), model.prototypes)
        total = bounds.lower.sum() + 2 * bounds.upper.sum()
        results.append((*bounds, *torch.autograd.grad(total, (lower, model.prototypes))))
    for others in results[1:]:
        torch.testing.assert_close(others, results[0], rtol=0, atol=1e-12)
