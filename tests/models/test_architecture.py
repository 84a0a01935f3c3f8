"""Plans: every allowed size leads to the asked grid, and the receptive field is the true one."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from models.architecture import plan
from models.protopnet import Encoder
from protoproof.errors import UsageError
from tests.support.examples import examples


@st.composite
def plans(draw: st.DrawFn) -> tuple[tuple[int, int, int], int, bool]:
    rows, columns = draw(st.integers(8, 64)), draw(st.integers(8, 64))
    grid = draw(st.integers(1, min(rows, columns, 16)))
    return (draw(st.sampled_from((1, 3))), rows, columns), grid, draw(st.booleans())


@given(plans())
@examples(50, 150)
def test_every_size_reaches_its_grid(case: tuple[tuple[int, int, int], int, bool]) -> None:
    shape, grid, certified = case
    architecture = plan(shape, grid, 16, certified)
    with torch.device("meta"):
        encoder = Encoder(architecture, [0.0] * shape[0], [1.0] * shape[0])
        latent = encoder(torch.zeros(2, *shape))
    assert latent.shape == (2, 16, grid, grid)


@pytest.mark.parametrize(
    ("shape", "grid", "certified"),
    [
        ((1, 28, 28), 7, False),
        ((1, 28, 28), 1, False),
        ((1, 28, 28), 1, True),
        ((3, 17, 40), 4, False),
        ((1, 9, 33), 7, True),
    ],
)
def test_a_location_sees_its_receptive_field_and_nothing_else(
    shape: tuple[int, int, int], grid: int, certified: bool
) -> None:
    torch.manual_seed(0)
    architecture = plan(shape, grid, 8, certified)
    encoder = Encoder(architecture, [0.0] * shape[0], [1.0] * shape[0]).eval().double()
    x = torch.rand(1, *shape, dtype=torch.float64, requires_grad=True)
    field = architecture.receptive_field()
    for location in {(0, 0), (grid // 2, grid // 3), (grid - 1, grid - 1)}:
        latent = encoder(x)[0, :, location[0], location[1]]
        (gradient,) = torch.autograd.grad(latent.sum(), x)
        seen = gradient[0].abs().amax(dim=0) > 0
        y0, x0, y1, x1 = field.box(location, shape[1:])
        assert seen[y0:y1, x0:x1].any()
        outside = seen.clone()
        outside[y0:y1, x0:x1] = False
        assert not outside.any()
        # Random weights use the edges too, so the box is not larger than it must be.
        rows, columns = seen.any(dim=1).nonzero(), seen.any(dim=0).nonzero()
        assert rows.max() - rows.min() >= (y1 - y0) - 3
        assert columns.max() - columns.min() >= (x1 - x0) - 3


@pytest.mark.parametrize(
    ("shape", "grid", "channels", "said"),
    [
        ((1, 7, 28), 7, 64, "images of 7x28 cannot be trained on"),
        ((1, 28, 65), 7, 64, "images of 28x65 cannot be trained on"),
        ((1, 28, 28), 0, 64, "choose 1 to 16"),
        ((1, 9, 28), 10, 64, "choose 1 to 9"),
        ((1, 28, 28), 7, 1, "choose 2 to 512"),
    ],
)
def test_what_cannot_be_built_is_refused(
    shape: tuple[int, int, int], grid: int, channels: int, said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        plan(shape, grid, channels)
