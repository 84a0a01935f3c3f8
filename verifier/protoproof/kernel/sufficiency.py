"""Obligations 7 to 9: the margins, over all latents of the domain that meet the facts.

What only some certificates have is imported where it is met: whoever reads along for a certificate
without it can leave it out.
"""

from __future__ import annotations

from collections.abc import Iterator

from protoproof.certificate.partition import Part
from protoproof.certificate.schema import Core, IntervalEvidence, ReachDomain
from protoproof.kernel.budget import current, spend
from protoproof.kernel.claims import Alike, Robust, Sufficient
from protoproof.kernel.conditions import vouched
from protoproof.kernel.latent.bounds import Bounds
from protoproof.kernel.latent.domain import LatentDomain
from protoproof.kernel.latent.margins import (
    Ends,
    Margin,
    loses,
    margins,
    observed_margin,
    stated_score,
)
from protoproof.kernel.latent.measurement import Latent
from protoproof.kernel.model.decision import ROUTINGS
from protoproof.kernel.model.file import BoundHead
from protoproof.kernel.model.head import Head
from protoproof.kernel.rule import (
    Domains,
    Established,
    Examination,
    IncompleteError,
    Margins,
    Question,
    Readings,
)


def proofs(core: Core, domains: Domains) -> Iterator[tuple[str, Core, LatentDomain]]:
    """What has to be proved, each with a name: the claim over its domain, or over every part.

    A part is the same claim over its own box of latents and linear bounds, with its own evidence;
    of one that holds no input there is nothing to prove.

    Raises:
        IncompleteError: no part holds an input, though the region has a centre.
    """
    if not core.parts:
        yield "", core, domains.stated
        return
    from protoproof.kernel.latent.bounded import BoundedDomain

    leaves = [node for node in core.parts if isinstance(node, Part)]
    if all(found is None for found in domains.parts):
        raise IncompleteError("no part holds an input")
    for number, (leaf, found) in enumerate(zip(leaves, domains.parts, strict=True)):
        if found is None:
            continue
        evidence = IntervalEvidence()
        if leaf.evidence is not None:
            evidence = core.part_evidence[leaf.evidence]
        with current().scope():  # one part after the other
            where = BoundedDomain.around(*found)
            yield f"part {number}: ", core.model_copy(update={"evidence": evidence}), where


def multipliers(_: Question, known: Established) -> Examination[None]:
    """7. Every block speaks about pair facts of its location, every row has A > 0 (over a domain:
    charges no open end); every form is about one rival, lists each prototype once and on the side
    of its weight; every implied bound starts from a stated fact, with a stretch that bounds; every
    tree of cases is complete, and so is what its leaves hold."""
    head = known[Latent].head
    for name, core, where in proofs(known[Core], known[Domains]):
        yield from (name + text for text in evidence_complaints(head, core, where, name))


def evidence_complaints(
    head: Head, core: Core, where: LatentDomain, name: str = ""
) -> Iterator[str]:
    """What is wrong with a core's evidence; see :func:`multipliers`. Where nothing is, the cases
    that it distinguishes are charged, under a ``name``."""
    complaints = list(_malformed(head, core, where))
    yield from complaints
    if core.evidence.cases and not complaints:
        from protoproof.kernel.latent.case_tree import LOOK, looks

        spend(f"{name}all cases", LOOK * looks(head, core.evidence.cases))


def _malformed(head: Head, core: Core, where: LatentDomain) -> Iterator[str]:
    evidence = core.evidence
    if evidence.blocks or evidence.domain_blocks or evidence.implied:
        from protoproof.kernel.latent.rows import row_complaints

        yield from row_complaints(head, core, where)
    if evidence.forms:
        from protoproof.kernel.latent.relaxation import form_complaints

        yield from form_complaints(head, core, where)
    if evidence.cases:
        from protoproof.kernel.latent.case_tree import tree_complaints

        yield from tree_complaints(head, core, where)


def proved_margins(_: Question, known: Established) -> Examination[Margins]:
    """8. Over all latents of the domain that meet the facts, every margin is certainly positive; at
    level F, greater than what float32 executions, which are stated as they are, may differ by. Of
    a tree it is found which other readings of it predict the same there.

    Raises:
        IncompleteError: some margin is not proved.
    """
    core, latent, domains = known[Core], known[Latent], known[Domains]
    if core.level == "F" or core.execution is not None:
        from protoproof.kernel.float32.sufficiency import execution_complaints

        complaints = list(execution_complaints(core, known[BoundHead]))
        yield from complaints
        if complaints:
            return Margins(())
    found: dict[int, Margin] = {}
    alike: list[Alike] = []
    for name, part, where in proofs(core, domains):
        bounds = Bounds(latent.head, part, where)
        if not name:
            yield from _contradictions(latent, bounds)
        for rival, margin in margins_over(latent.head, part, where, bounds).items():
            worst = found.setdefault(rival, margin)
            if (margin.sign, margin.lower) < (worst.sign, worst.lower):
                found[rival] = margin
        open_ = [margin for margin in found.values() if margin.sign != 1]
        if open_:
            listed = ", ".join(f"{m.rival} (at least {m.lower:.6g})" for m in open_[:5])
            text = f"{name}{len(open_)} margins are not proved: over class {listed}"
            raise IncompleteError(text, Margins(tuple(found.values())))
        if not core.parts:
            alike += _alike(core, latent.head, bounds)
        if core.level == "F" and not core.parts:
            from protoproof.kernel.float32.sufficiency import require_level_f

            try:
                require_level_f(known[BoundHead], core, bounds, where, tuple(found.values()))
            except IncompleteError as error:
                raise IncompleteError(str(error), Margins(tuple(found.values()))) from error
    return Margins(tuple(found.values()), (*_concluded(core), *alike))


def _concluded(core: Core) -> tuple[Sufficient | Robust, ...]:
    """What positive margins over the domain, or over all parts' boxes, prove.

    Parts are boxes around what the region's parts reach: that is a claim about inputs, and none
    about the box around them all. Without facts the margins hold at every latent of the domain,
    which holds all that the region reaches unless linear bounds of it are on somebody's word.
    """
    stated = core.domain
    region = stated.region if isinstance(stated, ReachDomain) else None
    sufficient: tuple[Sufficient, ...] = ()
    if not core.parts:
        sufficient = (Sufficient(stated, core.facts),)
    if sufficient and core.level == "F":
        sufficient += (Sufficient(stated, core.facts, "F"),)
    if not isinstance(stated, ReachDomain) or region is None or core.facts or vouched(stated):
        return sufficient
    return *sufficient, Robust(region)


def _contradictions(latent: Latent, bounds: Bounds) -> Iterator[str]:
    for prototype, (low, high) in enumerate(bounds.best):
        # v is in the domain and meets the facts, so its values obey every sound bound
        here = latent.best(prototype)
        if (low is not None and here.ceiling() < low) or (high is not None and here.floor() > high):
            yield f"contradiction: the bounds of prototype {prototype} exclude the recorded latent"


def margins_over(head: Head, core: Core, where: LatentDomain, bounds: Bounds) -> dict[int, Margin]:
    """The best proved lower bound of the margin over every rival."""
    ends = Ends(head, bounds.best, bounds.caps)
    found = {m.rival: m for m in margins(head, core.instance, core.rivals, ends)}
    better: list[Margin] = []
    if core.evidence.forms:
        from protoproof.kernel.latent.relaxation import Forms

        forms = Forms(head, core, where, bounds, ends)
        better += (forms.margin(form) for form in core.evidence.forms)
    if core.evidence.cases:
        from protoproof.kernel.latent.cases import Cases

        cases = Cases(head, core, where, bounds)
        better += (cases.margin(tree) for tree in core.evidence.cases)
    for margin in better:
        # both are lower bounds of the same margin, so the better one is
        if (margin.sign, margin.lower) > (found[margin.rival].sign, found[margin.rival].lower):
            found[margin.rival] = margin
    return found


def prediction(_: Question, known: Established) -> Examination[Readings]:
    """9. The recorded latent itself is predicted as claimed, in exact arithmetic; a tie is not. Of
    a tree it is found which other readings of it predict the same there."""
    core, latent = known[Core], known[Latent]
    head, here = latent.head, latent.moved({})
    for rival in core.rivals:
        score = stated_score(head, core.instance, rival)
        if observed_margin(head, score, rival, here).sign != 1:
            lost = loses(head, core.instance, rival, here)
            word = "loses to" if lost else "cannot be separated from"
            yield f"at the recorded latent the predicted class {word} class {rival}"
    return Readings(tuple(_alike_here(core, latent)))


def _others(head: Head) -> list[Head]:
    """Of a tree, the heads that read it otherwise."""
    if head.decision.kind != "tree":
        return []
    return [head.routed(routing) for routing in ROUTINGS if routing != head.decision.routing]


def _alike(core: Core, head: Head, bounds: Bounds) -> Iterator[Alike]:
    """Other readings of a tree that predict the recorded class wherever the facts are met."""
    for other in _others(head):
        ends = Ends(other, bounds.best, bounds.caps)
        if all(m.sign == 1 for m in margins(other, core.instance, core.rivals, ends)):
            yield Alike(other.decision.routing, everywhere=True)


def _alike_here(core: Core, latent: Latent) -> Iterator[Alike]:
    """Other readings of a tree that predict the recorded class at the recorded latent."""
    here = latent.moved({})
    for other in _others(latent.head):
        scores = [(k, stated_score(other, core.instance, k)) for k in core.rivals]
        if all(observed_margin(other, score, k, here).sign == 1 for k, score in scores):
            yield Alike(other.decision.routing, everywhere=False)
