"""Regions: covers contain, inside means inside, samples are members, nonsense is one line."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protoproof.arithmetic.rounding import add_down, add_up, float_above, float_below
from protoproof.errors import InputError, UsageError
from protoproof.region.sets.occlusion import Occlusion
from protoproof.region.sets.region import BoxRegion, InputBox, L2Ball, LinfBall, Region
from protoproof.region.sets.syntax import parse_number, parse_region
from protoproof.region.sets.transformations import Brightness, Shifts, hull

DOMAIN = (0.0, 1.0)
SHAPE = (2, 5, 4)
CENTRE = np.random.default_rng(3).random(SHAPE).astype(np.float32)
TENTH = Fraction(1, 10)


def regions(radius: Fraction) -> list[Region]:
    box = LinfBall(CENTRE, DOMAIN, radius).cover()[0]
    wide = InputBox(np.maximum(box.lower, 0), np.minimum(box.upper, 1))
    return [
        LinfBall(CENTRE, DOMAIN, radius),
        L2Ball(CENTRE, DOMAIN, radius),
        BoxRegion(CENTRE, DOMAIN, wide),
        Occlusion(CENTRE, DOMAIN, (1, 1, 2, 9)),
        Occlusion(CENTRE, DOMAIN, (2, 2, 1)),
        Brightness(CENTRE, DOMAIN, radius),
        Brightness(CENTRE, DOMAIN, radius, radius, parts=3),
        Brightness(CENTRE, DOMAIN, Fraction(0), radius),
        Shifts(CENTRE, DOMAIN, 2),
    ]


numbers = st.floats(-1e6, 1e6, allow_subnormal=True)


@given(numbers, numbers)
def test_directed_sums_are_the_nearest_ones(a: float, b: float) -> None:
    exact = Fraction(a) + Fraction(b)
    assert float(add_down(np.array(a), b)) == float_below(exact)
    assert float(add_up(np.array(a), b)) == float_above(exact)


@pytest.mark.parametrize("region", regions(TENTH), ids=str)
def test_samples_are_members_and_covered(region: Region) -> None:
    rng = np.random.default_rng(0)
    boxes = region.cover()
    # a member of a brightness family, rounded to float32, is half a unit away from a member
    slack = 2.0**-24 if isinstance(region, Brightness) else 0.0
    for x in region.sample(rng, 200):
        assert x.dtype == np.float32
        assert slack or region.inside(x)
        assert any(((b.lower - slack <= x) & (x <= b.upper + slack)).all() for b in boxes)
        assert 0 <= x.min() <= x.max() <= 1


@pytest.mark.parametrize("region", regions(Fraction(0)), ids=str)
def test_radius_zero_is_the_centre_alone(region: Region) -> None:
    assert region.inside(region.centre)
    if isinstance(region, Occlusion | Shifts):
        return
    for box in region.cover():
        assert np.array_equal(box.lower, CENTRE)
        assert np.array_equal(box.upper, CENTRE)
    moved = CENTRE.copy()
    moved[0, 0, 0] = np.nextafter(moved[0, 0, 0], np.float32(1))
    assert not region.inside(moved)


def test_a_ball_s_ends_are_exact() -> None:
    """The cover is not above c - r, not a unit below it either; inside agrees with rationals."""
    ball = LinfBall(CENTRE, DOMAIN, TENTH)
    box, (low, high) = ball.cover()[0], ball.inner()
    for c, a, b, d, e in zip(
        *(v.ravel().tolist() for v in (CENTRE, box.lower, low, high, box.upper)), strict=True
    ):
        least, most = max(Fraction(c) - TENTH, Fraction(0)), min(Fraction(c) + TENTH, Fraction(1))
        assert Fraction(a) <= least <= Fraction(b)
        assert Fraction(d) <= most <= Fraction(e)
        assert b - a <= 2.0**-51
        assert e - d <= 2.0**-51


def test_l2_membership_is_exact() -> None:
    centre = np.zeros((1, 1, 2), dtype=np.float32)
    ball = L2Ball(centre, DOMAIN, Fraction(5, 8))
    x = np.array([[[0.375, 0.5]]], dtype=np.float32)  # 3/8, 4/8, 5/8: on the sphere
    assert ball.inside(x)
    x[0, 0, 1] = np.nextafter(x[0, 0, 1], np.float32(1))
    assert not ball.inside(x)


def test_nearest_draws_into_the_ball() -> None:
    ball = L2Ball(CENTRE, DOMAIN, TENTH)
    assert ball.inside(ball.nearest(CENTRE.astype(np.float64) + 1))
    assert np.array_equal(ball.nearest(CENTRE.astype(np.float64)), CENTRE)


def test_brightness_pieces_are_smaller_and_still_cover() -> None:
    region = Brightness(CENTRE, DOMAIN, TENTH, TENTH)
    fine = Brightness(CENTRE, DOMAIN, TENTH, TENTH, parts=4)
    whole, pieces = region.cover()[0], fine.cover()
    assert len(pieces) == 16
    around = hull(pieces)
    assert np.abs(around.lower - whole.lower).max() < 1e-15
    assert np.abs(around.upper - whole.upper).max() < 1e-15
    assert all((p.upper - p.lower).max() < (whole.upper - whole.lower).max() for p in pieces)
    for s, t in np.random.default_rng(1).uniform(-0.1, 0.1, (50, 2)):
        exact = np.clip((1 + t) * CENTRE.astype(np.float64) + s, 0, 1)
        near = [
            p for p in pieces if ((p.lower - 1e-15 <= exact) & (exact <= p.upper + 1e-15)).all()
        ]
        assert near


def test_brightness_membership_solves_for_the_parameters() -> None:
    centre = np.array([[[0.25, 0.5, 1.0]]], dtype=np.float32)
    region = Brightness(centre, DOMAIN, Fraction(1, 4), Fraction(1, 2))
    assert region.inside(np.array([[[0.5, 0.875, 1.0]]], dtype=np.float32))  # s = 1/8, t = 1/2
    assert not region.inside(np.array([[[0.5, 0.875, 0.875]]], dtype=np.float32))
    assert not region.inside(np.array([[[0.0, 0.875, 1.0]]], dtype=np.float32))


def test_shifts_are_all_there() -> None:
    region = Shifts(CENTRE, DOMAIN, 1)
    images = region.images()
    assert len(images) == 9
    assert np.array_equal(images[0], CENTRE)
    down = region.moved(1, 0)
    assert np.array_equal(down[:, 1:], CENTRE[:, :-1])
    assert (down[:, 0] == 0).all()
    assert (region.moved(0, -4) == 0).all()
    assert np.array_equal(region.moved(-2, 1)[:, :-2, 1:], CENTRE[:, 2:, :-1])


def test_occlusion_is_cut_off_at_the_edge() -> None:
    corner = Occlusion(CENTRE, DOMAIN, (4, 3, 5, 5))
    assert int(corner.mask.sum()) == 1
    disc = Occlusion(CENTRE, DOMAIN, (2, 2, 1))
    assert int(disc.mask.sum()) == 5


@pytest.mark.parametrize("text", ["occlude:1,2,3,2", "occlude:3,1,1", "shift:1"])
def test_rows_and_columns_are_where_the_network_has_them(text: str) -> None:
    """A network that takes its channels last is asked about the same pixels."""
    first = np.random.default_rng(3).random((3, 5, 4)).astype(np.float32)
    last = np.ascontiguousarray(np.moveaxis(first, 0, 2))
    ours = parse_region(text, last, last.shape, DOMAIN).cover()
    theirs = parse_region(text, first, first.shape, DOMAIN).cover()
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        assert np.array_equal(a.lower, np.moveaxis(b.lower, 0, 2))
        assert np.array_equal(a.upper, np.moveaxis(b.upper, 0, 2))
    with pytest.raises(InputError, match="reaches beyond the image of 5 rows and 4 columns"):
        parse_region("occlude:1,2,3,3", last, last.shape, DOMAIN)


@pytest.mark.parametrize("text", ["occlude:0,0,2,2", "occlude:0,0,1", "shift:1"])
def test_where_nobody_knows_rows_and_columns_they_are_not_guessed(text: str) -> None:
    shape = (3, 5, 3)
    with pytest.raises(InputError, match="which axes are its rows and columns; use linf:R"):
        parse_region(text, np.zeros(shape, np.float32), shape, DOMAIN).cover()


@pytest.mark.parametrize("shape", [(6, 160), (9,)], ids=str)
@pytest.mark.parametrize("text", ["occlude:0,0,2,2", "shift:1", "linf:0.1", "l2:0.1", "contrast:1"])
def test_inputs_that_are_no_pictures_are_in_no_region(shape: tuple[int, ...], text: str) -> None:
    with pytest.raises(InputError, match="with three axes, as pictures have"):
        parse_region(text, np.zeros(shape, np.float32), shape, DOMAIN)


@pytest.mark.parametrize(
    ("text", "value"), [("2/255", Fraction(2, 255)), ("0.1", TENTH), ("1e-3", Fraction(1, 1000))]
)
def test_numbers_are_exact(text: str, value: Fraction) -> None:
    assert parse_number(text, "here") == value


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("linf", "unknown"),
        ("ball:1", "unknown"),
        ("linf:nan", "no number"),
        ("linf:-0.1", "no number"),
        ("linf:inf", "no number"),
        ("linf:1/0", "divides by zero"),
        ("linf:1e999", "no number"),
        ("linf:", "no number"),
        ("l2:0.1,0.2", "no number"),
        ("occlude:1,2", "occlude"),
        ("occlude:0,0,0,0", "frees no pixel"),
        ("occlude:90,90,2,2", "frees no pixel"),
        ("occlude:3,2,90,2", "reaches beyond"),
        ("occlude:0,1,1", "the largest circle there that lies inside is occlude:0,1,0"),
        ("occlude:2,2,40", "the largest circle there that lies inside is occlude:2,2,"),
        ("occlude:1,2,3,x", "whole pixels"),
        ("brightness:1,2,3", "BRIGHTNESS"),
        ("shift:-1", "whole pixels"),
        ("shift:99", "use 0 to"),
        ("box:nowhere.npz", "no such file"),
        ("vnnlib:nowhere", "no such file"),
    ],
)
def test_nonsense_is_refused_in_one_line(text: str, problem: str) -> None:
    with pytest.raises((InputError, UsageError), match=problem) as caught:
        parse_region(text, CENTRE, SHAPE, DOMAIN)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    ["linf:2/255", "l2:0.5", "occlude:1,1,2,2", "occlude:2,2,1", "brightness:0.1", "contrast:0.2",
     "brightness:0.1,0.2", "shift:2"],
)  # fmt: skip
def test_regions_lie_around_an_input(text: str) -> None:
    assert parse_region(text, CENTRE, SHAPE, DOMAIN).inside(CENTRE)
    with pytest.raises(InputError, match="give one"):
        parse_region(text, None, SHAPE, DOMAIN)


def test_boxes_from_files(tmp_path: Path) -> None:
    low, high = CENTRE * 0.5, np.minimum(CENTRE * 1.5, 1)
    path = tmp_path / "box.npz"
    np.savez(path, lower=low, upper=high)
    region = parse_region(f"box:{path}", None, SHAPE, DOMAIN)
    assert str(region) == f"box:{path.name}"
    assert region.inside(region.centre)
    assert region.inside(CENTRE)
    np.savez(path, lower=high, upper=low)
    with pytest.raises(InputError, match="empty"):
        parse_region(f"box:{path}", CENTRE, SHAPE, DOMAIN)
    np.savez(path, lower=low, upper=high + 1)
    with pytest.raises(InputError, match="leaves the domain"):
        parse_region(f"box:{path}", CENTRE, SHAPE, DOMAIN)
    np.savez(path, lower=low * np.nan, upper=high)
    with pytest.raises(InputError, match="NaN"):
        parse_region(f"box:{path}", CENTRE, SHAPE, DOMAIN)
    np.savez(path, lower=low)
    with pytest.raises(InputError, match="lower and upper"):
        parse_region(f"box:{path}", CENTRE, SHAPE, DOMAIN)
    np.savez(path, lower=low[0], upper=high[0])
    with pytest.raises(InputError, match="shape"):
        parse_region(f"box:{path}", CENTRE, SHAPE, DOMAIN)
    np.savez(path, lower=low, upper=low)
    with pytest.raises(InputError, match="outside the box"):
        parse_region(f"box:{path}", CENTRE, SHAPE, DOMAIN)
    # a decimal that is no float32 number
    fixed = np.full(SHAPE, 0.5)
    fixed[0, 1, 2] = 0.1
    np.savez(path, lower=fixed, upper=fixed)
    for centre in (None, CENTRE):
        with pytest.raises(InputError, match=r"at \[0, 1, 2\], between 0.1 and 0.1, there is no"):
            parse_region(f"box:{path}", centre, SHAPE, DOMAIN)
    fixed[0, 1, 2] = np.float32(0.1)
    np.savez(path, lower=fixed, upper=fixed)
    assert np.array_equal(parse_region(f"box:{path}", None, SHAPE, DOMAIN).centre, fixed)
    path.write_bytes(b"PK\x03\x04 no archive")
    with pytest.raises(InputError, match="not a readable"):
        parse_region(f"box:{path}", CENTRE, SHAPE, DOMAIN)


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1.5, -0.01])
def test_centres_outside_the_domain_are_refused(bad: float) -> None:
    centre = CENTRE.copy()
    centre[0, 0, 0] = bad
    with pytest.raises(InputError, match="centre"):
        LinfBall(centre, DOMAIN, TENTH)
