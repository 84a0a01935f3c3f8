"""Witnesses: exact constructions, exact evaluation, and nothing one unit outside accepted."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from protoproof.certificate.schema import Core, Move, Witness
from protoproof.errors import CertificateError
from protoproof.kernel import check
from protoproof.kernel.claims import words
from protoproof.kernel.latent.domain import LatentDomain
from protoproof.kernel.latent.measurement import Latent
from protoproof.kernel.latent.value import Exact, Value
from protoproof.kernel.latent.witness import materialise
from tests.support.kernel.builders import (
    Scene,
    core,
    distance,
    exact,
    file,
    head_of,
)
from tests.support.kernel.models import Tiny
from tests.support.kernel.moves import encode, with_witnesses

Vector = NDArray[np.float64]


CASES = [(seed, box) for seed in range(8) for box in (False, True)]
BUILT = {case: with_witnesses(*case) for case in CASES}


@pytest.mark.parametrize("case", CASES)
def test_witnesses_of_the_second_intersection_are_accepted(case: tuple[int, bool]) -> None:
    here, content = BUILT[case]
    report = check(file(content), here.data)
    assert report.accepted, report.failures
    assert report.necessary == tuple(w.fact for w in content.witnesses)
    expected = ["sufficient", *(f"necessary:{i}" for i in report.necessary)]
    if len(report.necessary) == len(content.facts):
        expected.append("subset-minimal")
    assert list(words(report.claims)) == expected


def test_the_cases_are_not_trivial() -> None:
    kept = {len(w.moves[0].keep) for _, content in BUILT.values() for w in content.witnesses}
    assert kept == {1, 2}
    assert any(len(content.witnesses) == len(content.facts) for _, content in BUILT.values())


FLOAT32 = st.floats(-4, 4, width=32)


FREE = LatentDomain(1, 1)


def value(found: Value) -> Fraction:
    assert isinstance(found, Exact)
    assert not found.root
    return Fraction(found.numerator, found.unit)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_kept_distances_are_unchanged_exactly(data: st.DataObject) -> None:
    """The second intersection law, in fractions, for arbitrary float32 numbers."""
    channels = data.draw(st.integers(2, 4))
    vector = st.lists(FLOAT32, min_size=channels, max_size=channels)
    prototypes = np.array(data.draw(st.lists(vector, min_size=4, max_size=4)), np.float32)
    tiny = Tiny(prototypes, np.eye(2, 4, dtype=np.float32))
    values = np.array([data.draw(vector)], np.float32)
    keep = tuple(data.draw(st.permutations(range(4)))[: data.draw(st.integers(1, channels - 1))])
    direction = data.draw(vector)
    latent = Latent(head_of(tiny.data), values)
    move = Move(location=0, keep=keep, direction=encode(direction))
    try:
        point = materialise(latent, FREE, (move,))[0]
    except CertificateError as error:
        assume("vanishes" not in str(error) and "dependent" not in str(error))
        raise
    scale = point.denominator << latent.shift
    z = [Fraction(n, scale) for n in point.numerators]
    for i in keep:
        assert distance(z, exact(prototypes[i])) == distance(exact(values[0]), exact(prototypes[i]))
    moved = latent.moved({0: point})
    for j in range(4):
        assert value(moved.measurement(0, j)) == distance(z, exact(prototypes[j]))
        assert value(moved.best(j)) == distance(z, exact(prototypes[j]))
    step = [a - b for a, b in zip(z, exact(values[0]), strict=True)]
    for i in keep[1:]:
        assert (
            sum(
                s * (a - b)
                for s, a, b in zip(
                    step, exact(prototypes[i]), exact(prototypes[keep[0]]), strict=True
                )
            )
            == 0
        )


@given(st.lists(FLOAT32, min_size=3, max_size=3), st.lists(FLOAT32, min_size=3, max_size=3))
def test_a_free_move_adds_its_direction_exactly(start: list[float], step: list[float]) -> None:
    tiny = Tiny(np.eye(2, 3, dtype=np.float32), np.eye(2, dtype=np.float32))
    latent = Latent(head_of(tiny.data), np.array([start], np.float32))
    move = Move(location=0, keep=(), direction=encode(step))
    point = materialise(latent, FREE, (move,))[0]
    scale = point.denominator << latent.shift
    wanted = [a + b for a, b in zip(exact(start), exact(step), strict=True)]
    assert [Fraction(n, scale) for n in point.numerators] == wanted


# --- what is not a witness -----------------------------------------------------------------------


def one_witness() -> tuple[Scene, Core]:
    """A certificate with a witness that keeps at least two distances."""
    for here, content in BUILT.values():
        for witness in content.witnesses:
            if len(witness.moves[0].keep) >= 2:
                return here, content.model_copy(update={"witnesses": (witness,)})
    raise AssertionError


def outcome(here: Scene, content: Core, **changes: Any) -> tuple[str, str]:
    """Status and detail of obligation 10 after changes to the only witness."""
    witness = content.witnesses[0].model_copy(update=changes)
    report = check(file(content.model_copy(update={"witnesses": (witness,)})), here.data)
    assert report.necessary == () or report.accepted
    return report.status, report.obligations[9].detail


def move_of(content: Core, **changes: Any) -> tuple[Move, ...]:
    return (content.witnesses[0].moves[0].model_copy(update=changes),)


def test_forged_witnesses_are_rejected_with_the_reason() -> None:
    here, content = one_witness()
    keep = content.witnesses[0].moves[0].keep
    channels = here.latent.shape[1]
    other = (content.witnesses[0].fact + 1) % len(content.facts)
    forgeries: dict[str, dict[str, Any]] = {
        "violates fact": {"fact": other},
        "does not certainly lose": {"moves": ()},
        "out of range": {"moves": move_of(content, location=2)},
        "or twice": {"moves": move_of(content) * 2},
        "keeps a prototype twice": {"moves": move_of(content, keep=(keep[0], keep[0]))},
        "does not exist": {"moves": move_of(content, keep=(*keep, 4))},
        "vanishes": {"moves": move_of(content, direction=encode([0] * channels))},
        "float32 values": {"moves": move_of(content, direction=encode([1]))},
        "NaN": {"moves": move_of(content, direction=encode([np.nan] * channels))},
        "not a rival": {"rival": here.predicted},
        "no such fact": {"fact": len(content.facts)},
    }
    for reason, changes in forgeries.items():
        status, detail = outcome(here, content, **changes)
        assert status == "rejected", reason
        assert reason in detail


def test_a_fact_has_one_witness() -> None:
    here, content = one_witness()
    twice = content.model_copy(update={"witnesses": content.witnesses * 2})
    assert check(file(twice), here.data).status == "rejected"


def test_more_kept_prototypes_than_an_affine_basis_are_refused() -> None:
    rng = np.random.default_rng(0)
    tiny = Tiny(rng.random((6, 2)).astype(np.float32), np.eye(2, 6, dtype=np.float32))
    latent = Latent(head_of(tiny.data), rng.random((1, 2)).astype(np.float32))
    for keep, reason in (((0, 1, 2, 3), "affine basis"), ((0, 1, 2), "vanishes")):
        move = Move(location=0, keep=keep, direction=encode([1, 2]))
        with pytest.raises(CertificateError, match=reason):
            materialise(latent, FREE, (move,))
    double = Tiny(tiny.prototypes[[0, 1, 1]], np.eye(2, 3, dtype=np.float32))
    latent = Latent(head_of(double.data), rng.random((1, 2)).astype(np.float32))
    move = Move(location=0, keep=(0, 1, 2), direction=encode([1, 2]))
    with pytest.raises(CertificateError, match="dependent"):
        materialise(latent, FREE, (move,))


@pytest.mark.trust(8)
def test_one_unit_outside_a_premise_is_rejected() -> None:
    """An interval fact that ends one float64 below the witness's distance; then at it."""
    here, content = one_witness()
    witness = content.witnesses[0]
    latent = Latent(head_of(here.data), here.latent)
    moved = latent.moved(materialise(latent, FREE, witness.moves))
    # the dropped fact's location, some prototype that the witness does not keep, now as a fact
    location = witness.moves[0].location
    free = next(
        j for j in range(4)
        if not any(f.kind == "pair" and (f.location, f.prototype) == (location, j)
                   for f in content.facts)
    )  # fmt: skip
    there = value(moved.measurement(location, free))
    fact = here.pair(location, free)
    above = there > here.measurement[location][free]
    near = float(there)
    # the tightest float64 ends around the witness's value, on the side away from v and towards it
    inside, outside = near, math.nextafter(near, -math.inf if above else math.inf)
    if (Fraction(inside) < there) == above:
        inside, outside = math.nextafter(near, math.inf if above else -math.inf), near
    for end, status in ((inside, "accepted"), (outside, "rejected")):
        change = {"upper": end.hex()} if above else {"lower": end.hex()}
        update = {
            "facts": (*content.facts, fact.model_copy(update=change)), "premises": "interval"
        }  # fmt: skip
        report = check(file(content.model_copy(update=update)), here.data)
        assert report.status == status
        if status == "rejected":
            assert f"violates fact {len(content.facts)} too" in report.obligations[9].detail


@pytest.mark.trust(8)
def test_one_unit_outside_the_domain_is_rejected() -> None:
    """A 3-4-5 triangle puts a witness exactly on the box's edge; then one float32 step beyond."""
    prototypes = np.array([[0.1875, 0.75], [0.5, 0.75]], dtype=np.float32)
    tiny = Tiny(prototypes, np.eye(2, dtype=np.float32))
    here = Scene(tiny, prototypes[:1])
    content = core(here, [here.activation(0), here.activation(1)], "mixed", box=True)
    assert check(file(content), here.data).accepted
    beyond = np.nextafter(np.float32(0.25), np.float32(1))
    for height, inside in ((0.25, True), (beyond, False)):
        move = Move(location=0, keep=(1,), direction=encode([0.5, height]))
        witness = Witness(fact=0, rival=1, moves=(move,))
        report = check(file(content.model_copy(update={"witnesses": (witness,)})), here.data)
        assert report.accepted == inside
        assert ("leaves the domain" in report.obligations[9].detail) == (not inside)


@pytest.mark.trust(9)
def test_a_tie_is_no_witness() -> None:
    """At the midpoint of two prototypes the classes tie: not certainly lost."""
    prototypes = np.array([[0.0, 0.0], [1.0, 0.0]], dtype=np.float32)
    tiny = Tiny(prototypes, np.eye(2, dtype=np.float32), operator="")
    here = Scene(tiny, np.array([[0.25, 0.0]], dtype=np.float32))
    content = core(here, [here.activation(0), here.activation(1)], "mixed")
    for step, wanted in ((0.25, "does not certainly lose"), (0.5, "violates fact 1"), (1.5, "met")):
        move = Move(location=0, keep=(), direction=encode([step, 0]))
        witness = Witness(fact=0, rival=1, moves=(move,))
        changed = content.model_copy(update={"witnesses": (witness,)})
        report = check(file(changed), here.data)
        assert report.accepted == (wanted == "met")  # 1.5 mirrors v in the other prototype
        assert wanted in report.obligations[9].detail
