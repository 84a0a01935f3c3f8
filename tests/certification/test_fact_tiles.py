"""Which tiles each fact needs: with them it holds, in the checker's eyes and for every rest."""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest

from protoproof.certificate.canonical import canonical_bytes
from protoproof.certificate.input_region import KeptRegion
from protoproof.certificate.schema import Core, Envelope
from protoproof.certification.certify import Certifier
from protoproof.certification.fact_tiles import FactSearch
from protoproof.certification.holding import unheld
from protoproof.certification.options import CertifyOptions
from protoproof.certification.result import Certified, StageLog
from protoproof.certification.task import Task
from protoproof.errors import InputError
from protoproof.kernel import check
from protoproof.kernel.claims import words
from protoproof.network import load
from protoproof.region.sets.kept import Kept
from protoproof.region.sets.region import LinfBall
from protoproof.report.files.region_files import facts_with_tiles
from protoproof.report.page.kept import kept_words, tiles_words
from tests.support.network.builders import draft

X = np.random.default_rng(5).random((1, 6, 6), dtype=np.float32)
BALL = LinfBall(X, (0.0, 1.0), Fraction(1, 2))


@cache
def certifier() -> Certifier:
    with TemporaryDirectory() as folder:
        return Certifier(load(draft(grid=(3, 3)).save(Path(folder))))


@cache
def explained(vocabulary: str, widen: bool) -> Core:
    found = certifier().explainer.explain(X, vocabulary=vocabulary, widen=widen, witnesses=False)
    assert found.certificate is not None
    return found.certificate.core


@cache
def answered(vocabulary: str, widen: bool) -> Certified:
    return certifier().certify(BALL, keep=1, explanation=explained(vocabulary, widen))


CASES = pytest.mark.parametrize(
    ("vocabulary", "widen"), [("pairs", True), ("pairs", False), ("ceiling", True)]
)


@CASES
def test_every_fact_holds_with_its_tiles_whatever_the_rest_shows(
    vocabulary: str, widen: bool
) -> None:
    found = answered(vocabulary, widen)
    assert found.tiles is not None, found.verdict
    assert found.checks[0].accepted
    assert {"robust", "robust-explanation"} <= set(words(found.checks[0].claims))
    core, region = found.certificates[0].core, found.tiles.region
    assert isinstance(core.holds, KeptRegion)
    assert core.holds.kept == region.kept
    assert set(region.kept) == {k for kept in found.tiles.facts for k in kept}
    network, rng = certifier().network, np.random.default_rng(0)
    for fact, kept in zip(core.facts, found.tiles.facts, strict=True):
        for member in region.keeping(kept).sample(rng, 10):
            latent = network.observe(member).latent.astype(np.float64)
            measured = network.head.measurement(latent)
            if fact.kind == "ceiling":
                rest = np.delete(measured.min(axis=0), list(fact.exempt))
                assert (rest >= float.fromhex(fact.bound) - 1e-5).all()
                continue
            column = measured[:, fact.prototype]
            value = column[fact.location] if fact.kind == "pair" else column.min()
            assert float.fromhex(fact.lower) - 1e-5 <= value <= float.fromhex(fact.upper) + 1e-5


def test_the_tiles_are_among_those_that_a_location_sees_and_none_can_be_freed() -> None:
    found = answered("pairs", True)
    assert found.tiles is not None
    log = StageLog()
    about = found.certificates[0].about
    task = Task(found.observation, CertifyOptions(), log, np.inf, about, None)
    search = FactSearch(certifier().network, found.tiles.region.keeping(()), task)
    for fact, kept in zip(found.certificates[0].core.facts, found.tiles.facts, strict=True):
        assert fact.kind == "pair"
        row, column = divmod(fact.location, 3)
        for tile in kept:
            # windows of 3 x 3 in steps of 2, padded by one
            assert abs(tile // 6 - 2 * row) <= 1
            assert abs(tile % 6 - 2 * column) <= 1
            fewer = np.isin(np.arange(36), [k for k in kept if k != tile])
            assert search._excess(fact, [fewer])[0] > 0


def test_a_wide_fact_needs_fewer_tiles_than_one_value() -> None:
    wide, narrow = answered("pairs", True).tiles, answered("pairs", False).tiles
    assert wide is not None
    assert narrow is not None
    assert 0 < wide.pixels < narrow.pixels


def test_the_checker_refuses_a_fact_with_fewer_tiles() -> None:
    found = answered("pairs", True)
    core, tiles, explainer = found.certificates[0].core, found.tiles, certifier().explainer
    assert tiles is not None
    fact, kept = next(each for each in zip(core.facts, tiles.facts, strict=True) if each[1])
    assert not unheld(explainer, core, tiles.region.keeping(kept), (fact,))
    assert "may fail" in unheld(explainer, core, tiles.region.keeping(kept[1:]), (fact,))
    # and a certificate in which nothing stays
    assert isinstance(core.holds, KeptRegion)
    nothing = core.holds.model_copy(update={"kept": ()})
    forged = Envelope(core=core.model_copy(update={"holds": nothing}))
    report = check(canonical_bytes(forged), explainer.model_file)
    assert report.status == "rejected"
    assert "may fail" in report.failures[0].detail


def test_words_say_how_many_tiles_and_what_follows() -> None:
    found = answered("pairs", True)
    core, tiles = found.certificates[0].core, found.tiles
    assert tiles is not None
    first, last = kept_words(core, found.checks[0].claims, "one")
    assert first.startswith(f"If {tiles.pixels} pixel")
    assert "of what it shows the input meets" in first
    assert last.startswith("Whether fewer")
    assert len(facts_with_tiles(certifier().network, found)) == len(core.facts)
    assert found.to_json()["tiles"]["facts"] == [list(kept) for kept in tiles.facts]
    assert tiles_words((1, 2, 7), 4) == "3 tiles (row 0: 1, 2; row 1: 3)"
    assert tiles_words((), 4) == "0 tiles"


def test_a_certificate_about_another_input_is_refused() -> None:
    other = Kept(X[:, ::-1].copy(), (0.0, 1.0), Fraction(1, 2), 1, ())
    ball = LinfBall(other.centre, other.domain, other.radius)
    with pytest.raises(InputError, match="another input"):
        certifier().certify(ball, keep=1, explanation=explained("pairs", True))
