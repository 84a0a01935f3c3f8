"""Evidence in the certificate's words: multipliers, tangents, trees of cases, and nothing else.

Whatever proved a margin, its reasons are written here: rows that bound single distances, and the
linear forms of a rival, over the facts alone, over facts and domain, or in one case of many.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from protoproof.certificate import cases, schema
from protoproof.errors import InternalError
from protoproof.prover.oracle.oracle import Evidence
from protoproof.prover.proof.wanted import Rules, Wanted, rules, wanted
from protoproof.prover.relaxation.apart import stretch_below
from protoproof.prover.relaxation.boxed import Bounded
from protoproof.prover.relaxation.boxed_forms import multipliers
from protoproof.prover.relaxation.case import Cut, Node, Row
from protoproof.prover.relaxation.case_forms import Branch, CaseForm, Entry, Tree
from protoproof.prover.relaxation.forms import Forms
from protoproof.prover.relaxation.intervals import Intervals
from protoproof.prover.relaxation.multipliers import form_multipliers, upper_rows
from protoproof.prover.relaxation.spans import Told
from protoproof.prover.relaxation.sparsify import lower_groups

Vector = Float[NDArray[np.float64], " prototype"]
Matrix = Float[NDArray[np.float64], "row term"]
Indices = Sequence[int] | NDArray[np.intp]

# Multipliers are stored over 2**SHIFT; see ``relaxation.multipliers`` for why rounding is cheap.
SHIFT = 48
# Over an unbounded box the leading coefficient stays at least this large, so that no rounding
# makes it negative; the loss is this share of a squared distance.
_LEAST_LEADING = 2.0**-30
# Limits of the size of a stretch: beyond them it would cost less than a billionth of a squared
# distance.
_STRETCH = (2.0**-30, 2.0**30)
_NO_ROWS = schema.Rows(prototypes=(), theta=())


def encoded(evidence: Evidence, *, short: bool = True) -> schema.IntervalEvidence:
    """What proves the margins. ``short`` evidence spends part of them on having fewer and smaller
    multipliers; otherwise its bounds are as tight as they get."""
    state, forms = evidence.intervals, evidence.forms
    needed = wanted(evidence, short=short)
    blocks, regional = _blocks(state, needed)
    rows = range(0 if forms is None else len(forms.rivals))
    return schema.IntervalEvidence(
        blocks=blocks,
        domain_blocks=regional,
        implied=_implied(state, needed),
        forms=tuple(_rival_form(state, forms, row) for row in rows if forms is not None),
        cases=tuple(
            cases.CaseTree(rival=state.instance.rivals[row], nodes=tuple(_nodes(state, row, tree)))
            for row, tree in sorted(evidence.trees.items())
        ),
    )


def dyadic(theta: Matrix) -> tuple[tuple[int, ...], ...]:
    """Integers over ``2**SHIFT``: Python's round() of a float is exact."""
    rows: Iterable[list[float]] = (theta * 2.0**SHIFT).tolist()
    return tuple(tuple(round(value) for value in row) for row in rows)


def _rows(prototypes: Sequence[int], theta: Matrix) -> schema.Rows:
    return schema.Rows(prototypes=tuple(prototypes), theta=dyadic(theta))


def _implied(state: Intervals, needed: Wanted) -> tuple[schema.ImpliedBound, ...]:
    """The bounds that facts give for other prototypes, each with its best stretch."""
    upper = {fact.prototype: fact.upper for fact in state.facts.activations}
    found = []
    for j in np.flatnonzero(needed.implied).tolist():
        via = int(state.implied.via[j])
        ratio = 0.0 if state.kin is None else state.kin.stretch(j, via, upper[via])
        stretch = min(max(ratio, _STRETCH[0]), _STRETCH[1])
        found.append(schema.ImpliedBound(prototype=j, via=via, stretch=stretch.hex()))
    for j in np.flatnonzero(needed.kept).tolist():
        off = int(state.implied.off[j])
        least = float(state.implied.stated[off])
        stretch = stretch_below(float(state.instance.gram[off, j]), least)
        stretch = min(max(stretch, _STRETCH[0] - 1.0), -_STRETCH[0])
        found.append(schema.ImpliedBound(prototype=j, via=off, stretch=stretch.hex()))
    return tuple(found)


def _blocks(
    state: Intervals, needed: Wanted
) -> tuple[tuple[schema.PairBlock, ...], tuple[schema.DomainBlock, ...]]:
    """Evidence for the bounds that are wanted, and for no others: free, and over the domain."""
    blocks: list[schema.PairBlock] = []
    regional: list[schema.DomainBlock] = []
    for location, known in enumerate(state.known):
        measurement, target = state.instance.measurement[location], needed.below[location]
        chosen = rules(state, location, target, needed.above[location])
        hull, bounded = known.hull, state.bounded
        if state.geometry is not None:
            free, over = _span_blocks(state.geometry, location, known.facts, chosen)
            blocks, regional = [*blocks, *free], [*regional, *over]
            continue
        if bounded is not None and (chosen.domain_below or chosen.domain_above):
            sides = (chosen.domain_below, 1), (chosen.domain_above, -1)
            lower, upper = (_domain_rows(state, bounded, location, *side) for side in sides)
            facts = () if hull is None else hull.spanning
            regional.append(_domain_block(location, facts, lower, upper))
        if hull is None:
            continue
        for group in lower_groups(hull, state.instance.gram, measurement, chosen.below, target):
            lower = schema.Rows(prototypes=group.prototypes, theta=group.theta)
            blocks.append(_block(location, group.facts, group.shift, lower, _NO_ROWS))
        if chosen.above:
            rows = upper_rows(hull, chosen.above)
            upper = _rows(rows.prototypes, rows.theta)
            blocks = _with_upper(blocks, location, hull.spanning, upper)
    return tuple(blocks), tuple(regional)


def _span_blocks(
    told: Told, location: int, facts: tuple[int, ...], chosen: Rules
) -> tuple[list[schema.PairBlock], list[schema.DomainBlock]]:
    """Rows about measurements that are no squared distances, at a location with facts."""
    sides: list[tuple[tuple[int, ...], schema.Rows, bool]] = []
    for prototypes, sign in ((chosen.below, 1.0), (chosen.above, -1.0)):
        found = None
        if facts and prototypes:
            found = told.rows(location, facts, np.array(prototypes, dtype=np.intp), sign)
        if found is None:
            sides.append(((), _NO_ROWS, False))
        else:
            sides.append((found.span, _rows(prototypes, found.theta), found.domain))
    (span, lower, domain), (other, upper, _) = sides
    span, domain = span or other, domain or sides[1][2]
    if not span:
        return [], []
    if domain:
        return [], [_domain_block(location, span, lower, upper)]
    return [_block(location, span, SHIFT, lower, upper)], []


def _block(
    location: int, facts: tuple[int, ...], shift: int, lower: schema.Rows, upper: schema.Rows
) -> schema.PairBlock:
    return schema.PairBlock(location=location, facts=facts, shift=shift, lower=lower, upper=upper)


def _domain_block(
    location: int, facts: tuple[int, ...], lower: schema.Rows, upper: schema.Rows
) -> schema.DomainBlock:
    return schema.DomainBlock(location=location, facts=facts, shift=SHIFT, lower=lower, upper=upper)


def _with_upper(
    blocks: list[schema.PairBlock], location: int, facts: tuple[int, ...], upper: schema.Rows
) -> list[schema.PairBlock]:
    """Rows of upper bounds in the block of the same facts and bits, or in one of their own."""
    for index, block in enumerate(blocks):
        if (block.location, block.facts, block.shift) == (location, facts, SHIFT):
            blocks[index] = block.model_copy(update={"upper": upper})
            return blocks
    return [*blocks, _block(location, facts, SHIFT, _NO_ROWS, upper)]


def _domain_rows(
    state: Intervals, bounded: Bounded, location: int, prototypes: list[int], sign: int
) -> schema.Rows:
    hull = state.known[location].hull
    leading = np.full(len(prototypes), float(sign))
    found = bounded.rows(location, hull, np.array(prototypes, dtype=np.intp), leading)
    count = 0 if hull is None else len(hull.spanning)
    return _rows(prototypes, _bent(bounded, location, leading, found.x, count))


def _bent(
    bounded: Bounded,
    location: int,
    leading: Float[NDArray[np.float64], " row"],
    x: Matrix,
    count: int,
) -> Matrix:
    """Multipliers whose rounding leaves an unbounded box with a positive leading coefficient."""
    if np.isfinite(bounded.upper[location]).all() or not count:
        return x
    total = leading + x[:, :count].sum(axis=1)
    x = x.copy()
    x[:, 0] += np.maximum(_LEAST_LEADING - total, 0.0)
    return x


def _rival_form(state: Intervals, forms: Forms, row: int) -> schema.RivalForm:
    """The premises and multipliers of one rival's forms, over facts or over facts and domain."""
    rival, linear = forms.rivals[row], forms.linear[row]
    weights = state.instance.margin_weights[rival]
    if forms.bounded[row] and state.bounded is not None:
        entries, nu = _domain_entries(state, state.bounded, forms, row)
    else:
        entries, nu = list(_free_entries(state, forms, row)), ()
    return _form(
        state.instance.rivals[rival],
        [np.flatnonzero(linear & side).tolist() for side in (weights > 0, weights < 0)],
        forms.location[row],
        forms.tangent[row],
        entries,
        schema.JointMultipliers(shift=SHIFT, nu=nu) if any(nu) else None,
    )


def _form(
    rival: int,
    sides: Sequence[Sequence[int]],
    location: NDArray[np.intp],
    tangent: Vector,
    entries: Iterable[Entry],
    joint: schema.JointMultipliers | None = None,
) -> schema.RivalForm:
    supports, opposes = sides
    return schema.RivalForm(
        rival=rival,
        supports=tuple(
            schema.Tangent(prototype=j, location=int(location[j]), at=float(tangent[j]).hex())
            for j in supports
        ),
        opposes=tuple(schema.Chord(prototype=j, location=int(location[j])) for j in opposes),
        multipliers=tuple(
            schema.PlaceMultipliers(
                location=entry.location,
                facts=entry.terms,
                shift=SHIFT,
                mu=dyadic(entry.x[None])[0],
                domain=entry.domain,
            )
            for entry in entries
        ),
        joint=joint,
    )


def _free_entries(state: Intervals, forms: Forms, row: int) -> Iterator[Entry]:
    """The multipliers of one rival's forms in free space, location by location."""
    linear, chosen = forms.linear[row], forms.location[row]
    for location in np.unique(chosen[linear]).tolist():
        hull = state.known[location].hull
        if hull is None:
            raise InternalError(f"location {location} has linear forms but no facts")
        own = np.where(linear & (chosen == location), forms.slope[row], 0.0)
        across = float(np.linalg.norm(own @ hull.off(state.instance.head.prototypes)))
        mu = form_multipliers(hull, state.instance.measurement[location], own, across)
        yield Entry(location, hull.spanning, mu, False)


def _domain_entries(
    state: Intervals, bounded: Bounded, forms: Forms, row: int
) -> tuple[list[Entry], tuple[int, ...]]:
    """The multipliers of one rival's forms over the domain, and those of its joint bounds."""
    found = multipliers(state, bounded, forms, row)
    nu = dyadic(found.nu[None])[0]
    linear, used = forms.linear[row], set(forms.location[row][forms.linear[row]].tolist())
    most = max([len(span) for span in found.spans], default=0)
    entries = []
    for location, span, x in zip(found.locations, found.spans, found.x, strict=True):
        if location not in used and not (any(nu) and span):
            continue
        here = linear & (forms.location[row] == location)
        leading = np.array([forms.slope[row][here].sum()])
        steady = _bent(bounded, location, leading, x[None], len(span))[0]
        mu = np.concatenate([steady[: len(span)], steady[most:]])
        entries.append(Entry(location, span, mu, True))
    return entries, nu


def _nodes(state: Intervals, row: int, tree: Tree) -> Iterator[cases.CaseNode]:
    """The tree in preorder."""
    if isinstance(tree, Branch):
        yield _split(tree.cut)
        for child in tree.children:
            yield from _nodes(state, row, child)
        return
    weights, form = state.instance.margin_weights[row], tree.form
    used = weights != 0 if form is not None else np.ones(len(weights), dtype=bool)
    blocks, regional = _case_blocks(tree.node, used)
    yield cases.Leaf(blocks=blocks, domain_blocks=regional, form=_case_form(state, row, form))


def _case_form(state: Intervals, row: int, form: CaseForm | None) -> schema.RivalForm | None:
    if form is None or not form.entries:
        return None
    sides = [np.flatnonzero(side).tolist() for side in (form.support, form.oppose)]
    rival = state.instance.rivals[row]
    return _form(rival, sides, form.location, form.tangent, form.entries)


def _split(cut: Cut) -> cases.CaseNode:
    at = float(cut.at).hex()
    match cut.kind:
        case "distance":
            return cases.DistanceSplit(location=cut.location, prototype=cut.index, at=at)
        case "nearest":
            return cases.NearestSplit(prototype=cut.index, at=at)
        case "channel":
            return cases.ChannelSplit(location=cut.location, channel=cut.index, at=at)
    return cases.PlaceSplit(prototype=cut.index, locations=cut.locations)


def _case_blocks(
    node: Node, used: NDArray[np.bool_]
) -> tuple[tuple[schema.PairBlock, ...], tuple[schema.DomainBlock, ...]]:
    """The rows of a case, those with the same terms together."""
    groups: dict[tuple[int, tuple[int, ...], bool], list[tuple[int, int, Row]]] = {}
    for (location, j, sign), row in sorted(node.rows.items()):
        if used[j]:
            groups.setdefault((location, row.terms, row.domain), []).append((j, sign, row))
    free, regional = [], []
    for (location, terms, domain), members in groups.items():
        lower, upper = (_case_rows(members, sign) for sign in (1, -1))
        if domain:
            regional.append(_domain_block(location, terms, lower, upper))
        else:
            free.append(_block(location, terms, SHIFT, lower, upper))
    return tuple(free), tuple(regional)


def _case_rows(members: list[tuple[int, int, Row]], sign: int) -> schema.Rows:
    chosen = [(j, row.x) for j, own, row in members if own == sign]
    if not chosen:
        return _NO_ROWS
    return _rows([j for j, _ in chosen], np.stack([x for _, x in chosen]))
