"""Which tiles of an input have to stay: the search, its proof, and what the checker refuses."""

from __future__ import annotations

import base64
from fractions import Fraction
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from protoproof.certificate.input_region import KeptRegion
from protoproof.certificate.schema import About, Core, ReachDomain, Released
from protoproof.certification.keeping import Keeping
from protoproof.certification.result import Certified
from protoproof.errors import CertificateError, UsageError
from protoproof.kernel.claims import MinimalTiles, NecessaryTile, words
from protoproof.kernel.encoder.input_region import Inputs, describe
from protoproof.region.bounds.sketch import Sketch
from protoproof.region.sets.kept import Kept
from protoproof.region.sets.region import LinfBall
from protoproof.region.sets.statement import statement
from protoproof.report.files.region_files import region_page
from protoproof.report.page.kept import kept_words, veiled
from protoproof.report.page.stated import claimed_words, region_name
from protoproof.report.page.words import limits_words
from protoproof.verdict import Status
from tests.support.certification import ADAPTER, certifier, examine, forged, image

TILE = 14


def region(kept: tuple[int, ...], radius: str = "1", tile: int = TILE) -> Kept:
    return Kept(image(), (0.0, 1.0), Fraction(radius), tile, kept)


@cache
def answered() -> Certified:
    """Four tiles, and anything for the rest: all have to stay, and inputs show it of some."""
    ball = LinfBall(image(), (0.0, 1.0), Fraction(1))
    return certifier().certify(ball, keep=TILE)


@cache
def proved() -> Core:
    return answered().certificates[0].core


def stored(x: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(x, dtype="<f4").tobytes()).decode()


@pytest.mark.parametrize("shape", [(1, 7, 5), (3, 4, 6), (7, 5, 3)])
@pytest.mark.parametrize("tile", [1, 2, 3, 9])
def test_checker_and_prover_mean_the_same_tiles(shape: tuple[int, ...], tile: int) -> None:
    rng = np.random.default_rng(tile)
    x = rng.random(shape).astype(np.float32)
    every = Kept(x, (0.0, 1.0), Fraction(1, 7), tile, ())
    kept = tuple(k for k in range(every.count) if rng.random() < 0.5)
    here = every.keeping(kept)
    known = ADAPTER.validate_python(dict(statement(here) or {}))
    assert isinstance(known, KeptRegion)
    (box,) = Inputs(known).boxes()
    (cover,) = here.cover()
    # by the definition, pixel by pixel
    last = shape[2] == 3
    columns = -(-(shape[1] if last else shape[2]) // tile)
    for place in np.ndindex(*shape):
        row, column = place[:2] if last else place[1:]
        stays = row // tile * columns + column // tile in kept
        low, high = box.low[0][place], box.high[0][place]
        value = float(x[place])
        if stays:
            assert low == high == value == cover.lower[place] == cover.upper[place]
        else:
            assert low <= max(0.0, value - 1 / 7) <= min(1.0, value + 1 / 7) <= high
            assert high - low < 2 / 7 + 1e-12
            assert (low, high) == pytest.approx((cover.lower[place], cover.upper[place]))
    for member in here.sample(rng, 20):
        assert here.inside(member)
        assert ((box.low[0] <= member) & (member <= box.high[0])).all()


@pytest.mark.parametrize("kept", [(1, 0), (0, 0), (4,)])
def test_the_checker_refuses_what_are_no_tiles(kept: tuple[int, ...]) -> None:
    known = ADAPTER.validate_python(dict(statement(region(())) or {}) | {"kept": kept})
    with pytest.raises(CertificateError, match="each once, in order"):
        next(Inputs(known).boxes())


def test_a_region_of_kept_tiles_is_described_with_what_stays() -> None:
    known = ADAPTER.validate_python(dict(statement(region((0, 3))) or {}))
    assert describe(known).startswith(
        "keep:2 of 4 tiles of 14 x 14 pixels (0, 3) as they are, the rest any"
    )
    near = ADAPTER.validate_python(dict(statement(region((), "1/4")) or {}))
    assert "the rest within 0.25," in describe(near)


def test_other_tiles_make_another_description() -> None:
    """Whoever reads what is proved has to see of which tiles."""

    def told(kept: tuple[int, ...]) -> str:
        return describe(ADAPTER.validate_python(dict(statement(region(kept, tile=2)) or {})))

    assert "pixels (0-2, 5, 7-8) as they" in told((0, 1, 2, 5, 7, 8))
    assert "pixels (9) as they" in told((9,))
    many = tuple(range(0, 196, 2))
    assert "98 of 196 tiles of 2 x 2 pixels (those with sha256 " in told(many)
    assert told(many) != told((*many[:-1], 195))
    assert told((0,)) != told((1,))


def test_forms_of_the_search_are_below_the_margins() -> None:
    """Of any box: at random inputs inside, and of every box inside that box."""
    network = certifier().network
    rng, x = np.random.default_rng(0), image().astype(np.float64)
    predicted = network.observe(image()).predicted
    lower, upper = np.maximum(x - 0.2, 0), np.minimum(x + 0.2, 1)
    moves = rng.random(x.shape) < 0.3
    lower, upper = np.where(moves, lower, x), np.where(moves, upper, x)
    under = Sketch(network, predicted).over(lower, upper)
    rivals = [k for k in range(10) if k != predicted]
    least = under.least(lower.ravel(), upper.ravel())
    for share in rng.random((20, *x.shape)).round(1):
        inside = (lower + share * (upper - lower)).astype(np.float32)
        logits = network.observe(inside).logits.astype(np.float64)
        margin = logits[predicted] - logits[rivals]
        below = under.offset + under.slope @ inside.ravel().astype(np.float64)
        assert (least <= below + 1e-3).all()
        assert (below <= margin + 1e-3).all()


def test_windows_bound_a_layer_as_whole_rows_do(monkeypatch: pytest.MonkeyPatch) -> None:
    network, x = certifier().network, image().astype(np.float64)
    ends = np.maximum(x - 0.1, 0), np.minimum(x + 0.1, 1)
    predicted = network.observe(image()).predicted
    quick = Sketch(network, predicted).over(*ends)
    monkeypatch.setattr(Sketch, "_is_local", lambda *_: False)
    slow = Sketch(network, predicted).over(*ends)
    assert quick.offset == pytest.approx(slow.offset, rel=1e-3, abs=1e-3)


def test_nothing_has_to_stay_where_the_whole_region_is_proved() -> None:
    ball = LinfBall(image(), (0.0, 1.0), Fraction(1, 20))
    found = certifier().certify(ball, keep=7)
    assert found.tiles is not None
    assert found.tiles.region.kept == ()
    assert found.checks[0].accepted
    assert words(found.checks[0].claims)[-1] == "robust"
    (sentence,) = kept_words(found.certificates[0].core, found.checks[0].claims, "3")
    assert sentence.startswith("Nothing has to stay: every input within 0.05")


def test_without_time_everything_stays_and_that_is_proved() -> None:
    every = region(())
    ball = LinfBall(every.centre, every.domain, Fraction(1, 5))
    answer = certifier().certify(ball, keep=7, timeout=0.0)
    assert answer.verdict.status is Status.PROVED
    assert answer.tiles is not None
    assert answer.tiles.pixels == 784
    assert answer.tiles.necessary == ()


def test_tiles_that_stay_are_proved_to_suffice_and_shown_to_be_necessary() -> None:
    found = answered()
    assert found.checks[0].accepted
    assert found.tiles is not None
    assert found.tiles.necessary, "no tile is shown to be necessary"
    claims = words(found.checks[0].claims)
    assert "robust" in claims
    assert {f"necessary-tile:{k}" for k in found.tiles.necessary} <= set(claims)
    every = set(found.tiles.necessary) == set(found.tiles.region.kept)
    assert ("minimal-tiles" in claims) == every
    # what is proved holds for inputs of the region
    network = certifier().network
    for member in found.tiles.region.sample(np.random.default_rng(0), 20):
        assert network.observe(member).predicted == found.predicted


def test_nobody_reads_of_a_whole_ball_where_tiles_have_to_stay() -> None:
    """The page names the region that is proved, not the ball in which the rest moves; and what is
    open about the tiles is said wherever the certificate is put into words."""
    found, core = answered(), proved()
    network = certifier().network
    page = region_page(network, found, Path(), "linf:1", About(), (Path("x"),), None)
    assert page.region == region_name(core)
    assert page.region.startswith("keep:4 of 4 tiles")
    assert "4 of 4 tiles of 14 x 14 pixels (0-3) as they are" in page.inputs
    assert found.tiles is not None
    shown = len(found.tiles.necessary)
    assert f"Necessary: for {shown} of 4 kept tiles" in claimed_words(core, "3")[1]
    fewer = core.model_copy(update={"released": core.released[:1]})
    assert "Necessity is open for 3 kept tiles: fewer tiles may do." in limits_words(
        fewer, 0, 0, None
    )
    claims = [c for c in found.checks[0].claims if not isinstance(c, MinimalTiles)]
    alone = [c for c in claims if not isinstance(c, NecessaryTile)]
    one = [*alone, NecessaryTile(core.released[0].tile, core.released[0].rival)]
    first, more = kept_words(core, one, "3")
    assert first == "All 4 tiles of 14 × 14 pixels stay: nothing is proved of any other input."
    assert more.startswith("1 of them is shown to be necessary")


def test_the_search_frees_about_as_many_tiles_as_deciding_one_by_one() -> None:
    network = certifier().network
    search = Keeping(network, region((), "1/5", 10), network.observe(image()).predicted, np.inf)
    free = search.run()
    assert search.proves(free)
    slow = Keeping(network, region((), "1/5", 10), search.predicted, np.inf)
    one = np.zeros_like(free)
    for tile in np.argsort(slow.sensitivity(), kind="stable").tolist():
        one[tile] = True
        one[tile] = slow.proves(one)
    assert free.sum() >= one.sum() - 1


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ("centre", "not certainly ahead"),
        ("outside", "leaves the region"),
        ("other tile", "leaves the region"),
        ("free tile", "does not keep it"),
        ("twice", "a second one"),
        ("rival", "not a rival"),
    ],
)
def test_inputs_that_show_nothing_are_rejected(change: str, complaint: str) -> None:
    core = proved()
    first = core.released[0]
    domain = core.domain
    assert isinstance(domain, ReachDomain)
    assert isinstance(domain.region, KeptRegion)
    x = np.frombuffer(base64.b64decode(first.x), "<f4").reshape(image().shape).copy()
    predicted = core.instance.predicted
    forgeries: dict[str, tuple[Released, ...]] = {
        "centre": (first.model_copy(update={"x": stored(image())}),),
        "outside": (first.model_copy(update={"x": stored(x + np.float32(1.5))}),),
        "other tile": (
            first.model_copy(
                update={"tile": next(k for k in domain.region.kept if k != first.tile)}
            ),
        ),
        "free tile": (first.model_copy(update={"tile": 99}),),
        "twice": (first, first),
        "rival": (first.model_copy(update={"rival": predicted}),),
    }
    report = examine(core.model_copy(update={"released": forgeries[change]}))
    assert report.status == "rejected"
    (failure,) = report.failures
    assert failure.number == 10
    assert complaint in failure.detail


def test_fewer_kept_tiles_than_were_proved_are_not_accepted() -> None:
    core = proved()
    domain = core.domain
    assert isinstance(domain, ReachDomain)
    assert isinstance(domain.region, KeptRegion)
    for kept in (domain.region.kept[1:], ()):
        report = examine(forged(core, kept=kept).model_copy(update={"released": ()}))
        assert not report.met
    other = forged(core, tile=TILE + 1)
    assert not examine(other).met


def test_released_tiles_belong_to_a_claim_about_kept_tiles() -> None:
    ball = LinfBall(image(), (0.0, 1.0), Fraction(1, 50))
    core = certifier().certify(ball, falsify=False, method="interval").certificates[0].core
    report = examine(core.model_copy(update={"released": proved().released}))
    assert report.status == "rejected"
    assert "the kept tiles of a region" in report.failures[0].detail


def test_only_linf_says_how_far_the_rest_moves() -> None:
    with pytest.raises(UsageError, match="use linf"):
        certifier().certify(region((0,)), keep=2)
    with pytest.raises(UsageError, match="names a certificate"):
        certifier().certify(
            LinfBall(image(), (0.0, 1.0), Fraction(0)), keep=2, explanation="region"
        )


def test_what_may_move_is_veiled_and_what_stays_is_not() -> None:
    picture = np.arange(16, dtype=np.uint8).reshape(4, 4)
    stays = np.zeros((1, 4, 4), dtype=bool)
    stays[0, 1, 2] = True
    shown = veiled(picture, stays)
    assert shown[1, 2].tolist() == [6, 6, 6]
    assert (shown[~stays[0]] > 100).all()
