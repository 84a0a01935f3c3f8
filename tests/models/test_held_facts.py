"""One fact over a region: true of every image there, and it forces what its bound says."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from models.absorbing import absorb, chosen_ramp
from models.architecture import plan
from models.checkpoint import load_checkpoint
from models.evaluate import certified_accuracy, explained_accuracy
from models.held_facts import fact_bounds, held, held_fact, implied_activations
from models.intervals import Box, encoder_bounds, input_box, margin_bounds, measurement_bounds
from models.protopnet import ProtoPNet, similarity
from models.train import TrainResult, train_model
from protoproof.certification.certify import Certifier
from protoproof.data.dataset import load_data
from protoproof.errors import UsageError
from protoproof.explanation.explainer import Explainer
from protoproof.network import load
from protoproof.region.sets.region import LinfBall
from protoproof.verdict import Status
from tests.support.training import SMALL

ROUNDING = 1e-9


def _network(channels: int = 6) -> ProtoPNet:
    torch.manual_seed(channels)
    architecture = plan((1, 14, 14), 1, channels, certified=True)
    return ProtoPNet(architecture, 3, 2, [0.3], [0.4]).double().eval()


def _measurement(model: ProtoPNet, x: Tensor, radius: float) -> Box:
    return measurement_bounds(encoder_bounds(model.encoder, input_box(x, radius)), model.prototypes)


@torch.no_grad()
@pytest.mark.parametrize("radius", [0.0, 0.05, 0.3])
def test_every_image_of_the_ball_meets_the_fact(radius: float) -> None:
    model, labels = _network(), torch.tensor([0, 1, 2])
    x = torch.rand(3, 1, 14, 14, dtype=torch.float64)
    fact = held_fact(_measurement(model, x, radius), model.own_class(), labels)
    assert torch.equal(model.prototype_class[fact.prototype], labels)
    for turn in range(50):
        move = torch.rand_like(x) * 2 - 1
        moved = (x + radius * (move.sign() if turn % 2 else move)).clamp(0, 1)
        apart = model(moved).nearest.gather(1, fact.prototype[:, None]).squeeze(1).sqrt()
        assert (apart <= fact.distance + ROUNDING + 1e-6 * (radius == 0)).all()


@torch.no_grad()
def test_every_latent_that_meets_the_fact_is_within_its_bounds() -> None:
    """Also the hardest: on the line to another prototype, where the bounds are attained."""
    model, labels = _network(), torch.tensor([0, 1, 2])
    x = torch.rand(3, 1, 14, 14, dtype=torch.float64)
    measurement = _measurement(model, x, 0.05)
    fact = held_fact(measurement, model.own_class(), labels)
    bounds = fact_bounds(model, measurement, labels)
    margins = margin_bounds(bounds, model.head.weight, labels)
    points = model.prototypes.flatten(1)
    centre = points[fact.prototype]
    for to in range(60):
        way = torch.randn_like(centre) if to >= 6 else points[to] - centre
        length = way.norm(dim=1, keepdim=True).clamp(min=1e-9)
        for sign in (-1.0, 1.0):
            latent = centre + sign * way / length * fact.distance[:, None]
            activation = similarity((latent[:, None] - points).square().sum(dim=2))
            assert (activation >= bounds.lower - 1e-6).all()
            assert (activation <= bounds.upper + 1e-6).all()
            logits = activation @ model.head.weight.T
            assert (logits.gather(1, labels[:, None]) - logits >= margins - 1e-6).all()
            if to < 6:  # at that prototype one of the two ends is reached
                reached = bounds.lower if sign < 0 else bounds.upper
                beyond = fact.distance > length.squeeze(1)
                same = (activation[:, to] - reached[:, to]).abs() < 1e-6
                assert (same | beyond | (fact.prototype == to)).all()


def test_a_wider_fact_says_less() -> None:
    model, labels = _network(), torch.tensor([0, 1, 2])
    fact = held_fact(
        _measurement(model, torch.rand(3, 1, 14, 14).double(), 0.02), model.own_class(), labels
    )
    narrow = implied_activations(fact, model.prototypes)
    wide = implied_activations(fact._replace(distance=fact.distance + 0.1), model.prototypes)
    assert (wide.lower <= narrow.lower).all()
    assert (wide.upper >= narrow.upper).all()


def test_the_loss_has_finite_gradients_that_widen_the_margin() -> None:
    """A step against the gradient raises the least margin; at radius 0 nothing is infinite."""
    model, labels = _network(), torch.tensor([0, 1, 2])
    x = torch.rand(3, 1, 14, 14, dtype=torch.float64)
    with torch.no_grad():  # an image exactly at its prototype: the root has no derivative there
        model.prototypes[0] = model.encoder(x[:1])[0]
    parameters = [*model.encoder.parameters(), model.prototypes]

    def loss(radius: float) -> Tensor:
        bounds = fact_bounds(model, _measurement(model, x, radius), labels)
        margins = margin_bounds(bounds, model.head.weight, labels)
        return torch.nn.functional.cross_entropy(-margins, labels)

    for radius in (0.0, 0.05):
        before = loss(radius)
        gradients = torch.autograd.grad(before, parameters)
        assert all(bool(gradient.isfinite().all()) for gradient in gradients)
        assert any(bool(gradient.any()) for gradient in gradients)
    with torch.no_grad():
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter -= 1e-4 * gradient
    assert loss(0.05) < before


@torch.no_grad()
def test_nothing_is_held_when_a_weight_is_not_a_number() -> None:
    model = _network()
    model.head.weight[0, 0] = float("nan")
    x = torch.rand(4, 1, 14, 14, dtype=torch.float64)
    assert not held(model, x, torch.zeros(4, dtype=torch.int64), 0.0).any()


@torch.no_grad()
@pytest.mark.parametrize("colours", [1, 3])
def test_a_ramp_absorbs_what_moves_a_pixel(colours: int) -> None:
    torch.manual_seed(colours)
    architecture = plan((colours, 14, 14), 1, 6, certified=True, absorbing=True)
    mean, std = [0.2, 0.3, 0.4][:colours], [0.5, 0.4, 0.3][:colours]
    encoder = ProtoPNet(architecture, 3, 2, mean, std).double().encoder
    absorb(encoder, 0.25, 0.65)
    x = torch.rand(5, colours, 14, 14, dtype=torch.float64)
    after = (x - encoder.mean) / encoder.std
    for block in encoder.blocks[:2]:
        after = block(after)
    torch.testing.assert_close(after, ((x - 0.25) / 0.4).clamp(0, 1), rtol=0, atol=1e-6)
    # a picture of pixels that stay at their end yields a latent without width
    ends = encoder_bounds(encoder, input_box(x.round(), 0.2))
    assert (ends.upper - ends.lower).abs().max() < 1e-6
    assert not any(p.requires_grad for block in encoder.blocks[:2] for p in block.parameters())


def test_the_ramp_fits_the_images() -> None:
    state = np.random.RandomState(0)
    dark = state.rand(50, 1, 8, 8).astype(np.float32) ** 8
    two = (dark > 0.2).astype(np.float32)
    for radius in (0.05, 0.2):
        low, high = chosen_ramp(two, radius)
        assert radius <= low < high <= 1 - radius  # nothing is lost of black and white
    assert chosen_ramp(dark, 0.05)[0] < chosen_ramp(dark, 0.05)[1]
    assert chosen_ramp(np.zeros((2, 1, 8, 8), np.float32), 0.1) == (0.0, 1.0)


@pytest.fixture(scope="module")
def explained(colour_file: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    out = tmp_path_factory.mktemp("explained")
    options: dict[str, Any] = SMALL | {"epochs": 6, "certified_eps": 0.15, "certify_facts": True}
    return train_model("protopnet", str(colour_file), out, grid=1, **options)


def test_training_makes_facts_hold(explained: TrainResult, colour_file: Path) -> None:
    """Where training for the class alone leaves hardly any image with such a fact."""
    data = load_data(str(colour_file))
    record, model = load_checkpoint(explained.checkpoint)
    assert "--certified-eps 0.15 --certify-facts --seed 0" in record.command
    assert explained.accuracy["explained"] >= 0.8
    assert explained.accuracy["explained"] <= explained.accuracy["test"]
    unseen = data.x_test, data.y_test
    assert explained_accuracy(model, *unseen, 0.15) == pytest.approx(
        explained.accuracy["explained"], abs=0.05
    )
    untrained = record.untrained().eval()
    assert explained_accuracy(untrained, *unseen, 0.15) < 0.5
    assert certified_accuracy(model, *unseen, 0.15) >= 0.8


def test_the_verifier_proves_what_training_counted(
    explained: TrainResult, colour_file: Path
) -> None:
    """Every image with a held fact has an explanation that the checker accepts over the ball."""
    data = load_data(str(colour_file))
    _, model = load_checkpoint(explained.checkpoint)
    known = Explainer(load(explained.export.model))
    x, y = data.x_test[:3], data.y_test[:3]
    sure = held(model, torch.from_numpy(x), torch.from_numpy(y), 0.15)
    assert sure.any()
    certifier = Certifier(known)
    for image, label in zip(x[sure.numpy()], y[sure.numpy()], strict=True):
        ball = LinfBall(image, known.network.input_range, Fraction(3, 20))
        answer = certifier.certify(ball, explanation="region", falsify=False)
        assert answer.verdict.status is Status.PROVED
        assert answer.predicted == label


REFUSED = [
    ({"grid": 1}, "needs --certified-eps"),
    ({"grid": 3, "certified_eps": 0.1}, "needs --grid 1, not 3"),
]


@pytest.mark.parametrize(("options", "said"), REFUSED)
def test_what_does_not_go_with_it_is_refused(
    tmp_path: Path, colour_file: Path, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        train_model("protopnet", str(colour_file), tmp_path / "out", certify_facts=True, **options)
    assert not (tmp_path / "out").exists()
