"""How far a class is ahead wherever some premises hold, on the checker's word.

A certificate is made as for an explanation: facts and a domain, a latent at which they are true,
multipliers. The checker proves lower bounds of the margins from it; nothing else is used. The
certificate's own latent is any latent at all that meets the premises: what is concluded is about
all of them, and not about an input.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

from protoproof.certificate.canonical import canonical_bytes
from protoproof.certificate.schema import Core, Envelope
from protoproof.errors import ProtoProofError, UsageError
from protoproof.explanation.explainer import Explainer
from protoproof.kernel import check
from protoproof.kernel.claims import Sufficient
from protoproof.prover.latent.domain import Domain
from protoproof.prover.latent.facts import FactSet
from protoproof.prover.oracle.branch_and_bound import BranchAndBoundOracle
from protoproof.prover.oracle.interval import IntervalOracle
from protoproof.prover.oracle.oracle import Oracle
from protoproof.prover.oracle.relational import RelationalOracle
from protoproof.prover.proof.encode import core_of, model_identity

Latent = NDArray[np.float64]
_ORACLES: tuple[Oracle, ...] = (RelationalOracle(), IntervalOracle(), BranchAndBoundOracle())
_MARGINS = 8  # the obligation that finds margins; those before it are about the premises


@dataclass(frozen=True)
class Lead:
    """What is proved about the scores wherever the premises hold.

    ``label`` is ahead of class k by at least ``over[k]``, and of those in ``ahead`` certainly by
    more than 0. ``single``: the latter of every float32 execution that starts at such a latent.
    """

    label: int
    over: dict[int, Fraction]
    ahead: frozenset[int] = frozenset()
    single: bool = False

    def refutes(self, weights: Mapping[int, Fraction], limit: Fraction, strict: bool) -> bool:
        """Whether sum of weights_k y_k <= limit (``strict``: < limit) certainly does not hold.

        Where the weights add up to 0 and only that of the label is positive, the sum is one of the
        label's leads, each times a number that is not negative.
        """
        others = {k: -w for k, w in weights.items() if k != self.label and w}
        if sum(weights.values()) or any(w < 0 for w in others.values()) or not others:
            return False
        ahead = all(k in self.ahead for k in others)
        if not ahead and not all(k in self.over for k in others):
            return False
        zero = Fraction(0)
        least = sum(
            (w * (max(self.over.get(k, zero), zero) if ahead else self.over[k])
             for k, w in others.items()), zero
        )  # fmt: skip
        return least > limit or (least == limit and (strict or ahead))


@dataclass(frozen=True)
class Start:
    """Where a proof starts: a latent, and the premises that are true there.

    ``digest``: the hash of the input whose latent it is, where a region of inputs lies around that.
    """

    latent: Latent
    domain: Domain
    facts: FactSet
    digest: str = ""


def leads(
    explainer: Explainer, start: Start, enough: Callable[[Lead], bool], *, single: bool
) -> Lead | None:
    """The lead of the class that the head predicts at the start, wherever the premises hold.

    One oracle after the other, until the lead is ``enough``; the best of each otherwise.

    Raises:
        UsageError: ``single``, and some step of the head has no rule in float32.
    """
    if single:
        explainer.levels.require()
    instance = explainer.instance_at(start.latent)
    if not instance.rivals:
        return None
    try:
        start.domain.require(instance.latent)
    except UsageError:
        return None
    best: Lead | None = None
    for core in _cores(explainer, start):
        found = _proved(explainer, core, instance.predicted, single=single)
        if found is not None:
            best = found if best is None else _better(best, found)
            if enough(best):
                return best
    return best


def _cores(explainer: Explainer, start: Start) -> Iterator[Core]:
    instance = explainer.instance_at(start.latent)
    any_input = sha256(np.ascontiguousarray(start.latent, dtype="<f4").tobytes()).hexdigest()
    digest = start.digest or any_input
    for oracle in _ORACLES:
        try:
            state = oracle.prepare(instance, start.domain)
            oracle.decide(state, start.facts)
            core = core_of(
                model_identity(explainer.network), digest, start.domain, "mixed", start.facts, state
            )
        except ProtoProofError:
            continue  # an oracle that is not for such a head or domain
        yield core.model_copy(update={"premises": "interval"})


def _proved(explainer: Explainer, core: Core, label: int, *, single: bool) -> Lead | None:
    if single:
        core = explainer.levels.at_f(core)
    report = check(canonical_bytes(Envelope(core=core)), explainer.model_file)
    if any(o.passed is not True for o in report.obligations if o.number < _MARGINS):
        return None
    levels = {claim.level for claim in report.claims if isinstance(claim, Sufficient)}
    if single:
        every = frozenset(core.rivals)
        return Lead(label, {}, every, single=True) if report.met and "F" in levels else None
    over = {rival: Fraction(low) for rival, low in report.margins if np.isfinite(low)}
    ahead = set(core.rivals) if report.met and "R" in levels else {k for k in over if over[k] > 0}
    return Lead(label, over, frozenset(ahead))


def _better(one: Lead, other: Lead) -> Lead:
    """What two proofs about the same premises say together."""
    over = dict(one.over)
    for k, low in other.over.items():
        over[k] = max(low, over.get(k, low))
    return Lead(one.label, over, one.ahead | other.ahead, one.single or other.single)
