"""The proof of a statement, from a certificate's evidence: a text that the kernel checks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from protoproof.certificate.partition import Part
from protoproof.certificate.schema import (
    CeilingFact,
    Core,
    IntervalEvidence,
    RivalForm,
)
from protoproof.formal.cases import Cases
from protoproof.formal.known import Known, Root, joint_exponent
from protoproof.formal.lines import Lines, Precision
from protoproof.formal.points import Points
from protoproof.formal.script import NotCoveredError, Ref, Token, optional, used
from protoproof.kernel.arithmetic.exact import GRID, decode_floats, hex_ratio
from protoproof.kernel.latent.bounded import BoundedDomain
from protoproof.kernel.latent.bounds import Bounds
from protoproof.kernel.latent.domain import LatentDomain, read_domain
from protoproof.kernel.latent.margins import Ends, margins, stated_score
from protoproof.kernel.latent.measurement import Latent
from protoproof.kernel.latent.reached import Latents
from protoproof.kernel.latent.relaxation import Forms
from protoproof.kernel.model.head import Head
from protoproof.kernel.model.real import Real

HEADING = "protoproof.proof/1"
# the functions whose constants may be formulas
_FORMULAS = {"add", "mul", "div_root"}


class RootBounds:
    """What forms of rivals without cases may use."""

    def __init__(self, root: Root) -> None:
        self._root = root

    def low(self, location: int, prototype: int) -> Known | None:
        """The better of m_lj's own bound and that of t_j, which is no larger."""
        root = self._root
        own, value = root.at_low(location, prototype), root.value_low[prototype]
        if value is None or (own is not None and own.value >= value.value):
            return own
        key = "low", location, prototype
        return Known(
            value.value,
            lambda: root.once(
                key, lambda: root.script.add("low", location, prototype, value.premise())
            ),
        )

    def high(self, location: int, prototype: int) -> Known | None:
        """m_lj's own bound."""
        return self._root.at_high(location, prototype)

    def least(self, prototype: int) -> int | None:
        """The lower bound of t_j that the table has."""
        known = self._root.value_low[prototype]
        return None if known is None else known.value

    def most(self, prototype: int) -> int | None:
        """The upper one."""
        known = self._root.value_high[prototype]
        return None if known is None else known.value

    def candidates(self, prototype: int) -> tuple[Ref | None, Sequence[int]]:
        """All locations of the bank."""
        return None, self._root.places(prototype)

    def charged(self, location: int, prototype: int, positive: bool) -> Ref:
        """The pair fact."""
        root = self._root
        for fact, ref in zip(root.core.facts, root.stated.facts, strict=True):
            if fact.kind == "pair" and (fact.location, fact.prototype) == (location, prototype):
                return ref
        raise NotCoveredError("a pair that no fact is about")

    def box(self, location: int) -> Ref | None:
        """The domain's."""
        return self._root.stated.box(location)

    def constraints(self) -> Sequence[Ref]:
        """The ball of directions, or the domain's constraint."""
        return self._root.constraints()

    def joints(self) -> Sequence[Ref]:
        """The domain's."""
        return self._root.stated.joints


def require_covered(core: Core, head: Head) -> None:
    """Refuse what the kernel does not know.

    Raises:
        NotCoveredError: with what that is.
    """
    for chain in (head.chain, head.inner, head.common):
        for step in chain.steps:
            if step.name not in _FORMULAS and any(isinstance(c, Real) for c in step.constants):
                raise NotCoveredError(f"an irrational constant of {step.name}")


def precision_for(core: Core, head: Head, where: LatentDomain, more: int) -> Precision:
    """Units in which every stated number is whole.

    ``more``: how often less was not enough; below 0 how often half of it is tried.
    """
    numbers: list[str] = []
    for fact in core.facts:
        numbers += [fact.bound] if isinstance(fact, CeilingFact) else [fact.lower, fact.upper]
    shift = max([GRID, *(hex_ratio(n)[1].bit_length() - 1 for n in numbers)])
    forms = bool(core.evidence.forms or core.evidence.cases)
    # values that pool similarities are compared with facts that are as tight as float64 is
    pooled = any(p.kind != "nearest" for p in head.pooling)
    rounds = 100 if forms else 88 if pooled else 56
    rounds = rounds >> -more if more < 0 else rounds + 64 * more
    exact = 2 * (head.shift + 64) if pooled else 0
    joint = 256 + joint_exponent(where) if where.joints else 0
    return Precision(shift, max(2 * rounds + 80, shift + 64, exact, joint), rounds)


def proof(core: Core, head: Head, more: int = 0, parts: Sequence[Latents | None] = ()) -> str:
    """The text for one certificate.

    Args:
        more: how often less precision was not enough; see :func:`precision_for`.
        parts: what the latents over the certificate's parts meet.

    Raises:
        NotCoveredError: a rule or a claim that the kernel does not know.
    """
    require_covered(core, head)
    here = core.instance
    latent = Latent(head, decode_floats(here.latent, here.locations * here.channels, np.float32))
    where = read_domain(core.domain, here.locations, here.channels)
    blocks: list[str] = []
    for part, box in _parts(core, where, parts):
        blocks += _block(part, head, box, more)
    return "\n".join([HEADING, *blocks, *Points(core, latent, where).lines(), "end\n"])


def _parts(
    core: Core, where: LatentDomain, parts: Sequence[Latents | None]
) -> Iterator[tuple[Core, LatentDomain]]:
    """What is proved over which latents: everything at once, or part by part."""
    leaves = [node for node in core.parts if isinstance(node, Part)]
    if not leaves:
        yield core, where
    for leaf, found in zip(leaves, parts, strict=True):
        if found is None:
            continue
        own = IntervalEvidence() if leaf.evidence is None else core.part_evidence[leaf.evidence]
        yield core.model_copy(update={"evidence": own}), BoundedDomain.around(*found)


def _block(core: Core, head: Head, where: LatentDomain, more: int) -> list[str]:
    """Why the facts suffice over the latents of a domain."""
    precision = precision_for(core, head, where, more)
    root = Root(head, core, where, Bounds(head, core, where))
    shown = _margins(root, precision)
    table = [
        (optional(_premise(low)), optional(_premise(high)))
        for low, high in zip(root.value_low, root.value_high, strict=True)
    ]
    script = root.script
    return [
        f"unit {precision.unit} fine {precision.fine} rounds {precision.rounds}",
        f"steps {len(script.steps)}",
        *script.write_steps(),
        f"table {len(table)}",
        *(script.write(list(used(row, 0))) for row in table),
        script.write(["roofs", len(root.roofs), *used(root.roofs, 0)]),
        f"margins {len(shown)}",
        *(script.write(tokens) for tokens in shown),
    ]


def _premise(known: Known | None) -> Ref | None:
    return None if known is None else known.premise()


def _margins(root: Root, precision: Precision) -> list[list[Token]]:
    """The evidence against every class, or for every label: whatever proves the margin.

    Of intervals, a form and a tree of cases any may be the one that does, and a form may prove
    less than intervals; the kernel is told one.
    """
    head, core = root.head, root.core
    forms: dict[int, RivalForm] = {form.rival: form for form in core.evidence.forms}
    trees = {tree.rival: tree for tree in core.evidence.cases}
    lines = Lines(head, precision, _weight_exponent(head), root.where)
    cases = Cases(root, lines, precision)
    ends = Ends(head, root.bounds.best, root.bounds.caps)
    labels = head.decision.kind == "labels"
    found: list[list[Token]] = []
    for rival in core.rivals if labels else range(head.class_count):
        form, tree = forms.get(rival), trees.get(rival)
        shown = not (form or tree) or margins(head, core.instance, [rival], ends)[0].sign == 1
        if form is not None and not shown and (tree is None or _enough(root, form, ends)):
            score = stated_score(head, core.instance, rival)
            found.append(["direct", *used(lines.form(form, score, RootBounds(root)), 0)])
        elif tree is not None and not shown:
            found.append(["cases", *cases.tree(tree)])
        else:
            found.append(["direct", "intervals"])
    return found


def _enough(root: Root, form: RivalForm, ends: Ends) -> bool:
    """Whether a form proves its margin."""
    forms = Forms(root.head, root.core, root.where, root.bounds, ends)
    return forms.margin(form).sign == 1


def _weight_exponent(head: Head) -> int:
    """The exponent of the weights in the statement, less the head's own."""
    decision = head.decision
    together = decision.slack
    for row in (*decision.weight, decision.bias):
        for n in row:
            together |= n
    spare = (together & -together).bit_length() - 1 if together else decision.shift
    return decision.shift - min(spare, decision.shift)
