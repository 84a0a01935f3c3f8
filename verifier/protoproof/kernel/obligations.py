"""The thirteen obligations of a certificate. The numbers are the same in code, documents and tests.

Each obligation is a function that yields its complaints; none means that it is met. An exception
counts as a complaint, so nothing is ever accepted because its examination broke off. Obligations
that need others are not examined unless those are met.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from protoproof.certificate.input_region import InputRegion
from protoproof.certificate.schema import (
    ActivationFact,
    BoxDomain,
    Core,
    DomainBlock,
    PairFact,
    ReachDomain,
    SimplexDomain,
    SphereDomain,
)
from protoproof.errors import CertificateError
from protoproof.kernel.arithmetic.exact import GRID, grid_ceiling, grid_floor, hex_ratio
from protoproof.kernel.context import Case
from protoproof.kernel.encoder.input_region import Inputs, escapes, outside
from protoproof.kernel.encoder.invariance import unheld
from protoproof.kernel.encoder.partition import part_complaints, walked
from protoproof.kernel.encoder.step import ReplayError
from protoproof.kernel.latent import facts
from protoproof.kernel.latent.bounds import Bounds
from protoproof.kernel.latent.cases import MAX_LOOKS, Cases, looks, tree_complaints, tree_numbers
from protoproof.kernel.latent.contrast import contrasts
from protoproof.kernel.latent.domain import Region
from protoproof.kernel.latent.margins import Ends, Margin, margins
from protoproof.kernel.latent.multipliers import block_complaints, implied_complaints
from protoproof.kernel.latent.relaxation import Forms, form_complaints
from protoproof.kernel.latent.size import size_bound
from protoproof.kernel.latent.witness import witness_complaints
from protoproof.kernel.model.head import Head


class IncompleteError(Exception):
    """The evidence does not prove the claim, and does not contradict it either."""


@dataclass(frozen=True)
class Rule:
    """An obligation: its number and name, those it needs, and its examination."""

    number: int
    name: str
    needs: tuple[int, ...]
    examine: Callable[[Case], Iterator[str]]


def certificate_format(case: Case) -> Iterator[str]:
    """1. The bytes are one certificate of a known version; its numbers are spelled canonically."""
    core = case.core
    for fact in core.facts:
        ends = (fact.bound,) if fact.kind == "ceiling" else (fact.lower, fact.upper)
        for end in ends:
            hex_ratio(end)
    for evidence in (core.evidence, *core.part_evidence):
        for entry in evidence.implied:
            hex_ratio(entry.stretch)
        for form in evidence.forms:
            for tangent in form.supports:
                hex_ratio(tangent.at)
        for number in tree_numbers(evidence.cases):
            hex_ratio(number)
    yield from ()


def model_hash(case: Case) -> Iterator[str]:
    """2. The model's bytes are the ones that the certificate speaks about."""
    if case.model.sha256 != case.core.model.sha256:
        yield (
            f"hash mismatch: the model file has sha256 {case.model.sha256[:16]}..., the "
            f"certificate is about {case.core.model.sha256[:16]}...; pass the model it was made for"
        )


def head(case: Case) -> Iterator[str]:
    """3. The head is described as the certificate says, and recognised where it says so."""
    identity = case.core.model
    text = case.model.description(identity.description)
    if hashlib.sha256(text.encode("utf-8")).hexdigest() != identity.description_sha256:
        yield "hash mismatch: the head description is not the one that the certificate is about"
    departure = case.bound.departure
    if identity.binding == "recognised" and departure is not None:
        yield f"the head is claimed to be recognised, but {departure}"
    if identity.binding == "declared" and not case.allow_declared:
        raise IncompleteError(
            "the head is only declared: that the graph computes it cannot be told from its "
            "structure; to take that on trust, allow declared heads"
        )


def instance(case: Case) -> Iterator[str]:
    """4. Input, latent, prediction and rivals fit the head; no rival is missing."""
    core, here = case.core, case.core.instance
    if case.input_sha256 is not None and case.input_sha256 != here.input_sha256:
        yield "input hash mismatch: the certificate is about another input"
    shape, wanted = (here.locations, here.channels), (case.head.location_count, case.head.channels)
    if shape != wanted:
        yield f"the latent is {shape[0]} x {shape[1]}, the head's is {wanted[0]} x {wanted[1]}"
    case.latent  # noqa: B018  # raises unless it is that many finite float32 values
    classes = case.head.class_count
    if here.predicted >= classes:
        yield f"predicted class {here.predicted} is out of range"
    if core.rivals != tuple(k for k in range(classes) if k != here.predicted):
        yield "the rivals are not all other classes, each once, in order"


def domain(case: Case) -> Iterator[str]:
    """5. The domain is free, or what the operator that outputs the latent guarantees, or a reach
    domain, which is an assumption unless it holds all latents of a stated region of inputs; and
    the recorded latent lies in it, so that it is not empty.

    Raises:
        IncompleteError: the encoder cannot be walked over the region.
    """
    domain, region = case.core.domain, case.region
    if case.core.parts or case.core.part_evidence:
        complaints = list(part_complaints(case.core, case.head))
        yield from complaints
        if complaints:
            return
    operator = case.bound.latent_operator or "no known operator"
    if isinstance(domain, BoxDomain):
        ends = hex_ratio(domain.lower), None if domain.upper is None else hex_ratio(domain.upper)
        if ends != case.bound.latent_range:
            yield f"the box is not what the graph guarantees (the latent comes from {operator})"
    if isinstance(domain, SphereDomain | SimplexDomain) and domain.kind != case.bound.normalised:
        yield (
            f"the {domain.kind} is not what the graph guarantees (the latent comes from "
            f"{operator}, not normalised so over its channels)"
        )
    if isinstance(domain, ReachDomain) and domain.region is not None:
        yield from _region_complaints(case, domain, domain.region)
    unit = 1 << case.latent.shift
    for location, point in enumerate(case.latent.points):
        place = region.outside(location, point, unit)
        if place is not None:
            yield f"the recorded latent leaves the domain at {place}"
    joint = region.outside_jointly({k: (p, unit) for k, p in enumerate(case.latent.points)})
    if joint is not None:
        yield f"the recorded latent leaves the domain: {joint}"


def _region_complaints(case: Case, domain: ReachDomain, region: InputRegion) -> Iterator[str]:
    """The region lies around the input, and its latents inside the stated box."""
    inputs = Inputs(region)
    if inputs.digest != case.core.instance.input_sha256:
        yield "the region lies around another input than the one with the recorded hash"
    latent = case.bound.latent
    try:
        if case.core.parts:
            places = _part_escapes(case, domain, inputs)
        else:
            places = escapes(case.model.graph, latent, inputs, domain)
        for place in places:
            yield f"over the region the latent may leave the stated box or bounds at {place}"
    except ReplayError as error:
        raise IncompleteError(f"the encoder cannot be walked over the region: {error}") from error


def _part_escapes(case: Case, domain: ReachDomain, inputs: Inputs) -> Iterator[str]:
    """The same for a region in parts, whose boxes of latents are kept for the margins."""
    for low, high in walked(case.core, inputs, case.model.graph, case.bound.latent):
        case.parts.append((low, high))
        yield from outside(low, high, domain)


def premises(case: Case) -> Iterator[str]:
    """6. Every fact is well-formed, true at the recorded latent, exact where the certificate says
    so, and belongs to the vocabulary. A false premise would prove anything."""
    complaints = list(facts.malformed(case.head, case.core.facts))
    yield from complaints
    if not complaints:
        yield from facts.untrue(case.core, case.latent)
        yield from facts.vocabulary_complaints(case.core, case.latent)


def multipliers(case: Case) -> Iterator[str]:
    """7. Every block speaks about pair facts of its location, every row has A > 0 (over a domain:
    charges no open end); every form is about one rival, lists each prototype once and on the side
    of its weight; every implied bound uses a stated activation fact and a positive stretch; every
    tree of cases is complete, and so is what its leaves hold."""
    work = 0
    for name, core, region in case.proofs():
        complaints = [name + text for text in _evidence_complaints(case.head, core, region)]
        yield from complaints
        work += 0 if complaints else looks(case.head, core.evidence.cases)
        if work > MAX_LOOKS:
            yield f"{name}more cases than this network can be examined in"
            return


def _evidence_complaints(head: Head, core: Core, region: Region) -> Iterator[str]:
    known = {(f.location, f.prototype) for f in core.facts if isinstance(f, PairFact)}
    evidence = core.evidence
    for blocks in (evidence.blocks, evidence.domain_blocks):
        seen: set[tuple[int, tuple[int, ...], int]] = set()
        for block in blocks:
            word = "domain block" if isinstance(block, DomainBlock) else "block"
            place = f"{word} at location {block.location}"
            # every block bounds on its own, so a location may have many; but not the same one twice
            kind = block.location, block.facts, block.shift
            if kind in seen:
                yield f"{place}: a second block with the same facts and shift"
            seen.add(kind)
            for text in block_complaints(head, region, block, known):
                yield f"{place}{text}"
    named = {f.prototype for f in core.facts if isinstance(f, ActivationFact)}
    yield from implied_complaints(head, evidence.implied, named)
    yield from form_complaints(head, core, region)
    yield from tree_complaints(head, core, region)


def proved_margins(case: Case) -> Iterator[str]:
    """8. Over all latents of the domain that meet the facts, every margin is certainly positive.

    Raises:
        IncompleteError: some margin is not proved.
    """
    known: dict[int, Margin] = {}
    for name, core, region in case.proofs():
        bounds = Bounds(case.head, core, region)
        if not name:
            yield from _contradictions(case, bounds)
        for rival, margin in _margins_over(case.head, core, region, bounds).items():
            worst = known.setdefault(rival, margin)
            if (margin.sign, margin.lower) < (worst.sign, worst.lower):
                known[rival] = margin
        case.margins = list(known.values())
        open_ = [margin for margin in case.margins if margin.sign != 1]
        if open_:
            listed = ", ".join(f"{m.rival} (at least {m.lower:.6g})" for m in open_[:5])
            text = f"{name}{len(open_)} margins are not proved: over class {listed}"
            raise IncompleteError(text)


def _contradictions(case: Case, bounds: Bounds) -> Iterator[str]:
    scale = case.latent.scale
    for prototype, (low, high) in enumerate(bounds.best):
        # v is in the domain and meets the facts, so its measurements obey every sound bound
        here = case.latent.best[prototype], scale
        if grid_ceiling(here) < low or (high is not None and grid_floor(here) > high):
            yield f"contradiction: the bounds of prototype {prototype} exclude the recorded latent"


def _margins_over(head: Head, core: Core, region: Region, bounds: Bounds) -> dict[int, Margin]:
    """The best proved lower bound of the margin over every rival."""
    one = 1 << GRID
    ends = Ends(
        head,
        [(low, one) for low, _ in bounds.best],
        [None if high is None else (high, one) for _, high in bounds.best],
    )
    found = {m.rival: m for m in margins(head, core.instance.predicted, core.rivals, ends)}
    forms = Forms(head, core, region, bounds, ends)
    for form in core.evidence.forms:
        # both are lower bounds of the same margin, so the better one is
        margin = forms.margin(form)
        if (margin.sign, margin.lower) > (found[form.rival].sign, found[form.rival].lower):
            found[form.rival] = margin
    for tree in core.evidence.cases:
        margin = Cases(head, core, region, bounds).margin(tree)
        if (margin.sign, margin.lower) > (found[tree.rival].sign, found[tree.rival].lower):
            found[tree.rival] = margin
    return found


def prediction(case: Case) -> Iterator[str]:
    """9. The recorded latent itself is predicted as claimed, in exact arithmetic; a tie is not."""
    core, latent = case.core, case.latent
    best = [(least, latent.scale) for least in latent.best]
    ends = Ends(case.head, best, best)
    for margin in margins(case.head, core.instance.predicted, core.rivals, ends):
        if margin.sign != 1:
            word = "loses to" if margin.sign < 0 else "cannot be separated from"
            yield f"at the recorded latent the predicted class {word} class {margin.rival}"


def witnesses(case: Case) -> Iterator[str]:
    """10. Every witness meets all facts but its own, lies in the domain, and certainly loses."""
    core = case.core
    for index, witness in enumerate(core.witnesses):
        if witness.fact >= len(core.facts) or witness.fact in case.necessary:
            yield f"witness {index}: no such fact, or a second witness for it"
        elif witness.rival not in core.rivals:
            yield f"witness {index}: class {witness.rival} is not a rival"
        else:
            case.necessary.append(witness.fact)
            try:
                complaints = list(witness_complaints(core, case.region, case.latent, witness))
            except CertificateError as error:
                complaints = [str(error)]
            yield from (f"witness {index} (fact {witness.fact}): {text}" for text in complaints)


def size(case: Case) -> Iterator[str]:
    """11. The size bound, if there is one, is proved: every refutation loses, every tree holds."""
    case.at_least = size_bound(case.core, case.region, case.latent)
    if case.at_least > len(case.core.facts):
        yield (
            f"contradiction: {len(case.core.facts)} facts are stated, and every explanation is "
            f"proved to have at least {case.at_least}"
        )


def contrast(case: Case) -> Iterator[str]:
    """12. Every contrast lies in the domain and is certainly predicted as its class."""
    case.contrasts = list(contrasts(case.core, case.region, case.latent))
    yield from ()


def holding(case: Case) -> Iterator[str]:
    """13. Over the region for which the certificate says so, every fact holds.

    Raises:
        IncompleteError: the encoder cannot be walked over the region.
    """
    if case.core.holds is None:
        return
    try:
        yield from unheld(case.core, case.core.holds, case.model.graph, case.bound)
    except ReplayError as error:
        raise IncompleteError(f"the encoder cannot be walked over the region: {error}") from error


RULES = (
    Rule(1, "format", (), certificate_format),
    Rule(2, "model hash", (1,), model_hash),
    Rule(3, "head", (1,), head),
    Rule(4, "instance", (1, 3), instance),
    Rule(5, "domain", (1, 3, 4), domain),
    Rule(6, "premises", (1, 3, 4), premises),
    Rule(7, "multipliers", (1, 3, 4, 5), multipliers),
    Rule(8, "margins", (1, 3, 4, 5, 6, 7), proved_margins),
    Rule(9, "prediction", (1, 3, 4), prediction),
    Rule(10, "witnesses", (1, 3, 4, 5, 6), witnesses),
    Rule(11, "size", (1, 3, 4, 5, 6), size),
    Rule(12, "contrast", (1, 3, 4, 5), contrast),
    Rule(13, "holding", (1, 3, 4, 5, 6), holding),
)
