"""The thirteen obligations of a certificate. The numbers are the same in code, documents and tests.

What only some certificates have is imported by the obligation that meets it: whoever reads along
for a certificate without it can leave it out.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from protoproof.certificate.reader import read_certificate
from protoproof.certificate.schema import (
    BallDomain,
    BoxDomain,
    Core,
    IntervalEvidence,
    ReachDomain,
    SimplexDomain,
    SphereDomain,
)
from protoproof.errors import CertificateError
from protoproof.kernel.arithmetic.exact import decode_floats, hex_ratio
from protoproof.kernel.budget import FILE_BYTE, FILE_VALUE, hold, integer, spend
from protoproof.kernel.claims import Held
from protoproof.kernel.latent import facts
from protoproof.kernel.latent.domain import LatentDomain, read_domain
from protoproof.kernel.latent.measurement import Latent
from protoproof.kernel.model.file import BoundHead
from protoproof.kernel.necessity import contrast, size, witnesses
from protoproof.kernel.rule import (
    Domains,
    Established,
    Examination,
    IncompleteError,
    Question,
    Rule,
)
from protoproof.kernel.sufficiency import multipliers, prediction, proved_margins


def certificate_format(asked: Question, _: Established) -> Examination[Core]:
    """1. The bytes are one certificate of a known version; its numbers are spelled canonically."""
    data = asked.certificate
    values = data.count(b",") + data.count(b'"') // 2 + data.count(b"[") + data.count(b"{")
    spend("the certificate", FILE_BYTE * len(data) + FILE_VALUE * values)
    hold("the certificate", 8 * len(data) + 128 * values)
    core = read_certificate(data).core
    for fact in core.facts:
        ends = (fact.bound,) if fact.kind == "ceiling" else (fact.lower, fact.upper)
        for end in ends:
            hex_ratio(end)
    for evidence in _all_evidence(core):
        for entry in evidence.implied:
            hex_ratio(entry.stretch)
        for form in evidence.forms:
            for tangent in form.supports:
                hex_ratio(tangent.at)
        if evidence.cases:
            from protoproof.kernel.latent.case_tree import tree_numbers

            for number in tree_numbers(evidence.cases):
                hex_ratio(number)
    yield from ()
    return core


def _all_evidence(core: Core) -> tuple[IntervalEvidence, ...]:
    """Of the claim, of its parts, and of every fact that is left out."""
    return core.evidence, *core.part_evidence, *(each.evidence for each in core.superfluous)


def model_hash(asked: Question, known: Established) -> Examination[None]:
    """2. The bytes of the model, and of the data files beside it, are the ones that the certificate
    speaks about."""
    ours, stated = asked.model, known[Core].model
    if ours.sha256 != stated.sha256:
        yield (
            f"hash mismatch: the model file has sha256 {ours.sha256[:16]}..., the certificate is "
            f"about {stated.sha256[:16]}...; pass the model it was made for"
        )
    if ours.files != tuple((file.name, file.sha256, file.size) for file in stated.files):
        yield "hash mismatch: the data files beside the model are not those that are stated"


def head(asked: Question, known: Established) -> Examination[BoundHead]:
    """3. Between the stated tensors the graph computes a head, which the checker reads from it, and
    which is of the stated kind; of a tree it is said which reading is explained."""
    stated = known[Core].model
    whole = known[Core].level == "F"
    bound = asked.model.bound(stated.latent, stated.output, whole=whole)
    found = bound.head
    pooling = tuple(sorted({pooling.kind for pooling in found.pooling}))
    for word, ours, theirs in (
        ("geometry", found.geometry, stated.geometry),
        ("pooling", pooling, stated.pooling),
        ("decision", found.decision.kind, stated.decision),
    ):
        if ours != theirs:
            yield f"the graph's {word} is {ours!r}, the certificate says {theirs!r}"
    if found.decision.kind != "tree" and stated.routing is not None:
        yield f"the routing is stated to be {stated.routing!r}, and the decision is no tree"
    elif found.decision.kind == "tree" and stated.routing is None:
        yield "the decision is a tree, and the certificate does not say how it is routed"
    return bound if stated.routing is None else bound.routed(stated.routing)


def instance(asked: Question, known: Established) -> Examination[Latent]:
    """4. Input, latent, prediction and rivals fit the head; no rival is missing."""
    core, head = known[Core], known[BoundHead].head
    here = core.instance
    if asked.input_sha256 is not None and asked.input_sha256 != here.input_sha256:
        yield "input hash mismatch: the certificate is about another input"
    shape, wanted = (here.locations, here.channels), (head.location_count, head.channels)
    if shape != wanted:
        yield f"the latent is {shape[0]} x {shape[1]}, the head's is {wanted[0]} x {wanted[1]}"
    latent = Latent(head, decode_floats(here.latent, wanted[0] * wanted[1], np.float32))
    if here.predicted >= head.class_count:
        yield f"predicted class {here.predicted} is out of range"
    if head.decision.kind == "labels":
        yield from _label_complaints(core, head.class_count)
    elif core.rivals != tuple(k for k in range(head.class_count) if k != here.predicted):
        yield "the rivals are not all other classes, each once, in order"
    elif here.labels:
        yield "labels are stated, and the decision is one class"
    return latent


def _label_complaints(core: Core, count: int) -> Iterator[str]:
    """Labels are decided alone: any of them may be explained, those that are on and those off."""
    for word, labels in (
        ("explained labels", core.rivals),
        ("labels that are on", core.instance.labels),
    ):
        if list(labels) != sorted(set(labels)) or any(label >= count for label in labels):
            yield f"the {word} are not labels of the head, each once, in order"
    if core.instance.predicted != core.rivals[0]:
        yield "the predicted label is not the first of those that are explained"


def domain(asked: Question, known: Established) -> Examination[Domains]:
    """5. The domain is free, or what the operator that outputs the latent guarantees, or a reach
    domain, which is an assumption unless it holds all latents of a stated region of inputs; and
    the recorded latent lies in it, so that it is not empty.

    Raises:
        IncompleteError: the encoder cannot be walked over the region.
    """
    core, bound, latent = known[Core], known[BoundHead], known[Latent]
    stated, head = core.domain, bound.head
    if core.parts or core.part_evidence:
        from protoproof.kernel.encoder.partition import part_complaints

        complaints = list(part_complaints(core, head))
        yield from complaints
        if complaints:
            raise CertificateError("the parts are not examined")
    operator = bound.latent_operator or "no known operator"
    if isinstance(stated, BoxDomain):
        ends = hex_ratio(stated.lower), None if stated.upper is None else hex_ratio(stated.upper)
        if ends != bound.latent_range:
            yield f"the box is not what the graph guarantees (the latent comes from {operator})"
    # a sphere is in the ball
    normalised = {bound.normalised, "ball"} if bound.normalised == "sphere" else {bound.normalised}
    if isinstance(stated, SphereDomain | BallDomain | SimplexDomain) and (
        stated.kind not in normalised
    ):
        yield (
            f"the {stated.kind} is not what the graph guarantees (the latent comes from "
            f"{operator}, not normalised so over its channels)"
        )
    where = read_domain(stated, head.location_count, head.channels)
    domains = Domains(where, where)
    if isinstance(stated, ReachDomain) and stated.region is not None:
        from protoproof.kernel.encoder.replay import replayed
        from protoproof.kernel.encoder.step import ReplayError

        try:
            reached = yield from replayed(
                core, stated.region, asked.model.graph, bound.latent_tensor, latent
            )
        except ReplayError as error:
            raise IncompleteError(
                f"the encoder cannot be walked over the region: {error}"
            ) from error
        domains = Domains(where, reached.box, reached.parts)
    yield from _departures(where, latent)
    return domains


def _departures(where: LatentDomain, latent: Latent) -> Iterator[str]:
    """Where the recorded latent leaves the domain."""
    unit = 1 << latent.shift
    each = integer(latent.size + where.size, where.size)
    spend(
        "the recorded latent in the domain",
        6 * where.locations * where.channels * (2 + len(where.joints)) * each,
    )
    for location, point in enumerate(latent.points):
        place = where.outside(location, point, unit)
        if place is not None:
            yield f"the recorded latent leaves the domain at {place}"
    joint = where.outside_jointly({k: (p, unit) for k, p in enumerate(latent.points)})
    if joint is not None:
        yield f"the recorded latent leaves the domain: {joint}"


def premises(_: Question, known: Established) -> Examination[None]:
    """6. Every fact is well-formed, true at the recorded latent, exact where the certificate says
    so, and belongs to the vocabulary. A false premise would prove anything."""
    core, latent = known[Core], known[Latent]
    complaints = list(facts.malformed(latent.head, core.facts))
    yield from complaints
    if not complaints:
        yield from facts.untrue(core, latent)
        yield from facts.vocabulary_complaints(core, latent)


def holding(asked: Question, known: Established) -> Examination[Held | None]:
    """13. Over the region for which the certificate says so, every fact holds.

    Raises:
        IncompleteError: the encoder cannot be walked over the region.
    """
    core = known[Core]
    if core.holds is None:
        return None
    from protoproof.kernel.encoder.invariance import unheld
    from protoproof.kernel.encoder.step import ReplayError

    try:
        return (yield from unheld(core, core.holds, asked.model.graph, known[BoundHead]))
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
