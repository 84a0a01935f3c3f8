"""From an explanation to a certificate: premises, multipliers, and nothing else."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from pydantic import TypeAdapter

from protoproof.certificate import schema
from protoproof.certificate.cases import CaseTree
from protoproof.certificate.input_region import InputRegion
from protoproof.errors import InternalError
from protoproof.network import Network, Observation
from protoproof.network.recorded import input_digest
from protoproof.prover.counterexample.refute import Refutation
from protoproof.prover.counterexample.witness import Found
from protoproof.prover.latent.domain import Box, Domain, Simplex, Sphere
from protoproof.prover.latent.facts import ActivationFact, CeilingFact, Fact, FactSet, PairFact
from protoproof.prover.latent.reach import Reach
from protoproof.prover.latent.replay import Move
from protoproof.prover.oracle.branch_and_bound import SplitState
from protoproof.prover.oracle.relational import RelationalState
from protoproof.prover.oracle.slack import loosened
from protoproof.prover.proof.encode_boxed import SHIFT, domain_block, domain_form, dyadic, sort_out
from protoproof.prover.proof.encode_cases import case_trees, needed_bounds
from protoproof.prover.relaxation.forms import Forms
from protoproof.prover.relaxation.intervals import ExactState, margins_between
from protoproof.prover.relaxation.multipliers import Rows, form_multipliers, upper_rows
from protoproof.prover.relaxation.sparsify import Group, lower_groups
from protoproof.prover.search.hitting_set import SCALE, Node, Split
from protoproof.prover.search.minimum import SizeProof
from protoproof.version import TOOL

_NO_ROWS = schema.Rows(prototypes=(), theta=())
# Limits of a stretch: beyond them it would cost less than a billionth of a squared distance.
_STRETCH = (2.0**-30, 2.0**30)


def certificate_core(
    network: Network,
    observation: Observation,
    domain: Domain,
    vocabulary: str,
    facts: FactSet,
    state: ExactState,
    *,
    short: bool = True,
) -> schema.Core:
    """The certificate of one sufficient set of facts.

    ``state`` is the one that proved them, and is made to describe ``facts``. With a relational
    one, margins that intervals do not prove get linear forms. ``short`` evidence spends part of the
    margins on having fewer and smaller multipliers; otherwise its bounds are as tight as they get.
    """
    locations, channels = observation.latent.shape
    return schema.Core(
        tool=TOOL,
        level="R",
        model=schema.ModelIdentity(
            sha256=network.sha256,
            binding=network.binding,
            description_sha256=network.description_sha256,
            description=network.description_external,
        ),
        instance=schema.Instance(
            input_sha256=input_digest(observation.x),
            locations=locations,
            channels=channels,
            latent=_base64(observation.latent),
            predicted=observation.predicted,
        ),
        domain=_domain(domain),
        vocabulary=vocabulary,  # type: ignore[arg-type]  # pydantic checks the word
        premises="exact",
        facts=tuple(stored_fact(fact) for fact in facts),
        rivals=tuple(k for k in range(len(observation.logits)) if k != observation.predicted),
        evidence=evidence_of(state, facts, short),
    )


def restated(core: schema.Core, facts: FactSet) -> schema.Core:
    """The same certificate about ``facts``, which are those of ``core`` or wider intervals."""
    stored = tuple(stored_fact(fact) for fact in facts)
    return core.model_copy(update={"facts": stored, "premises": "interval"})


def stored_witnesses(found: Iterable[Found]) -> tuple[schema.Witness, ...]:
    """Witnesses in the certificate's words; facts are numbered in the order of the fact set."""
    return tuple(
        schema.Witness(
            fact=witness.fact,
            rival=witness.rival,
            moves=_moves(witness.moves),
        )
        for witness in found
    )


def stored_size_bound(proof: SizeProof) -> schema.SizeBound:
    """A proof of a lower bound in the certificate's words."""
    return schema.SizeBound(
        refutations=tuple(stored_contrast(found) for found in proof.refutations),
        covers=tuple(
            schema.Cover(ceilings=numbers, nodes=tuple(_node(node) for node in nodes))
            for numbers, nodes in proof.covers
        ),
    )


def stored_contrast(found: Refutation) -> schema.Refutation:
    """A latent that is predicted otherwise, in the certificate's words."""
    return schema.Refutation(rival=found.rival, moves=_moves(found.moves))


def _node(node: Node) -> schema.Split | schema.Packing:
    if isinstance(node, Split):
        return schema.Split(fact=node.member)
    return schema.Packing(scale=SCALE, weights=node.weights)


def _moves(moves: Iterable[Move]) -> tuple[schema.Move, ...]:
    return tuple(
        schema.Move(location=move.location, keep=move.keep, direction=_base64(move.direction))
        for move in moves
    )


def _base64(values: NDArray[np.float32]) -> str:
    return base64.b64encode(np.ascontiguousarray(values, dtype="<f4").tobytes()).decode()


def _domain(domain: Domain) -> schema.Domain:
    match domain:
        case Box(lower, upper):
            end = None if math.isinf(upper) else upper.hex()
            return schema.BoxDomain(lower=lower.hex(), upper=end)
        case Sphere(slack):
            return schema.SphereDomain(slack=slack.hex())
        case Simplex(slack):
            return schema.SimplexDomain(slack=slack.hex())
        case Reach():
            return schema.ReachDomain(
                lower=_doubles(domain.lower),
                upper=_doubles(domain.upper),
                bounds=tuple(
                    schema.LinearBound(coefficients=_doubles(row), bound=float(bound).hex())
                    for row, bound in zip(domain.coefficients, domain.bounds, strict=True)
                ),
                source=domain.source,
                region=_region(domain.region),
                propagated=domain.propagated,
            )
        case _:
            return schema.FreeDomain()


def _region(statement: Mapping[str, Any] | None) -> InputRegion | None:
    if statement is None:
        return None
    known: TypeAdapter[InputRegion] = TypeAdapter(InputRegion)
    return known.validate_python(dict(statement))


def _doubles(values: NDArray[np.float64]) -> str:
    return base64.b64encode(np.ascontiguousarray(values, dtype="<f8").tobytes()).decode()


def stored_fact(fact: Fact) -> schema.PairFact | schema.ActivationFact | schema.CeilingFact:
    """A fact in the certificate's words."""
    match fact:
        case PairFact(location, prototype, lower, upper):
            return schema.PairFact(
                location=location, prototype=prototype, lower=lower.hex(), upper=upper.hex()
            )
        case ActivationFact(prototype, lower, upper):
            return schema.ActivationFact(prototype=prototype, lower=lower.hex(), upper=upper.hex())
        case CeilingFact(bound, exempt):
            return schema.CeilingFact(bound=bound.hex(), exempt=exempt)


def evidence_of(state: ExactState, facts: FactSet, short: bool = True) -> schema.IntervalEvidence:
    """What proves the margins from a set of facts: multipliers, and nothing else."""
    trees: tuple[CaseTree, ...] = ()
    if isinstance(state, SplitState):
        state.renew(facts)
        trees = case_trees(state)
    state.adopt(facts)
    forms = _open_forms(state) if isinstance(state, RelationalState) else None
    wanted = _wanted(state, forms, short)
    blocks, regional = _blocks(state, wanted)
    return schema.IntervalEvidence(
        blocks=blocks,
        domain_blocks=regional,
        implied=_implied(state, wanted, facts),
        forms=()
        if forms is None
        else tuple(_rival_form(state, forms, row) for row in range(len(forms.rivals))),
        cases=trees,
    )


def _by_cases(state: ExactState) -> list[int]:
    """Rivals (rows of the margin weights) that are proved case by case."""
    return list(state.trees) if isinstance(state, SplitState) else []


def _open_forms(state: RelationalState) -> Forms | None:
    """Linear forms for the rivals whose interval margin does not suffice."""
    margins = margins_between(state.instance, *state.nearest())
    by_cases = _by_cases(state)
    missed = [k for k in np.flatnonzero(~(margins > state.slack)).tolist() if k not in by_cases]
    return state.forms(missed) if missed else None


@dataclass(frozen=True)
class _Wanted:
    """The bounds of q_lj that the margins use.

    ``below[l, j]`` is the value that a lower bound has to reach (minus infinity: any will do),
    ``above[l, j]`` whether an upper bound is needed; ``implied[j]`` whether that of an activation
    fact about another prototype is.
    """

    below: Float[NDArray[np.float64], "location prototype"]
    above: NDArray[np.bool_]
    implied: NDArray[np.bool_]


def _wanted(state: ExactState, forms: Forms | None, short: bool) -> _Wanted:
    """What intervals and chords use; tangents need no bounds.

    By interval, a lower bound of q_lj is needed only up to min over locations of q_lj, an upper
    bound only at the one location that gives the least. A chord needs both ends at its own
    location, and lower bounds up to the least of the others everywhere else.
    """
    weights = state.instance.margin_weights
    alone = weights != 0
    chord = np.zeros(weights.shape, dtype=bool)
    if forms is not None:
        rows = list(forms.rivals)
        alone[rows] &= ~forms.linear
        chord[rows] = forms.linear & (weights[rows] < 0)
    _, roof = state.seen()
    # what facts imply is in it, too: a prototype whose target lies above needs rows of its own
    floor, _ = state.nearest()
    if short:
        floor = loosened(state, [*([] if forms is None else forms.rivals), *_by_cases(state)])
    told = state.implied
    opposing = (alone & (weights < 0)).any(axis=0)
    alone_low, alone_high = state.near.min(axis=0), state.far.min(axis=0)
    needed = opposing & (floor > np.maximum(alone_low, told.low))
    below = np.tile(np.where(needed, floor, -np.inf), (len(state.places), 1))
    supporting = (alone & (weights > 0)).any(axis=0)
    by_name = told.via == np.arange(len(floor))
    implied = supporting & (told.high < roof) & (told.high < alone_high) & ~by_name
    supporting &= (roof < alone_high) & (roof <= told.high)
    index = np.arange(len(floor))
    above = np.zeros(below.shape, dtype=bool)
    above[np.argmin(state.high, axis=0), index] = supporting
    if forms is not None:
        for j in np.flatnonzero(chord.any(axis=0)).tolist():
            location = int(forms.location[np.argmax(chord[np.array(forms.rivals), j]), j])
            others = np.delete(state.low[:, j], location)
            least = float(others.min()) if len(others) else -np.inf
            below[:, j] = np.maximum(below[:, j], least if least > alone_low[j] else -np.inf)
            below[location, j] = state.low[location, j]
            above[location, j] = True
    if isinstance(state, SplitState):
        cases_below, cases_above = needed_bounds(state)
        below = np.where(cases_below, np.maximum(below, state.low), below)
        above |= cases_above
    return _Wanted(below, above, implied)


def _implied(state: ExactState, wanted: _Wanted, facts: FactSet) -> tuple[schema.ImpliedBound, ...]:
    """The bounds that activation facts give for other prototypes, each with its best stretch."""
    upper = {fact.prototype: fact.upper for fact in facts.activations}
    found = []
    for j in np.flatnonzero(wanted.implied).tolist():
        via = int(state.implied.via[j])
        # (1 + s) h + (1 + 1/s) g is least, and equal to (sqrt h + sqrt g)^2, at s = sqrt(g / h)
        apart, near = float(state.instance.gram[via][j]), upper[via]
        ratio = math.sqrt(apart / near) if near > 0 else math.inf
        stretch = min(max(ratio, _STRETCH[0]), _STRETCH[1])
        found.append(schema.ImpliedBound(prototype=j, via=via, stretch=stretch.hex()))
    return tuple(found)


def _blocks(
    state: ExactState, wanted: _Wanted
) -> tuple[tuple[schema.PairBlock, ...], tuple[schema.DomainBlock, ...]]:
    """Evidence for the bounds that are wanted, and for no others: free, and over the domain."""
    blocks: list[schema.PairBlock] = []
    regional = []
    for location, place in enumerate(state.places):
        measurement, target = state.instance.measurement[location], wanted.below[location]
        rows = sort_out(state, location, target, wanted.above[location])
        block = domain_block(state, location, rows)
        if block is not None:
            regional.append(block)
        hull = place.hull
        if hull is None:
            continue
        groups = list(lower_groups(hull, state.instance.gram, measurement, rows.below, target))
        blocks += [_block(location, group) for group in groups]
        if rows.above:
            upper = _rows(upper_rows(hull, rows.above))
            blocks = _with_upper(blocks, location, hull.spanning, upper)
    return tuple(blocks), tuple(regional)


def _block(location: int, group: Group) -> schema.PairBlock:
    rows = schema.Rows(prototypes=group.prototypes, theta=group.theta)
    return schema.PairBlock(
        location=location, facts=group.facts, shift=group.shift, lower=rows, upper=_NO_ROWS
    )


def _with_upper(
    blocks: list[schema.PairBlock], location: int, facts: tuple[int, ...], upper: schema.Rows
) -> list[schema.PairBlock]:
    """Rows of upper bounds in the block of the same facts and bits, or in one of their own."""
    for index, block in enumerate(blocks):
        if (block.location, block.facts, block.shift) == (location, facts, SHIFT):
            blocks[index] = block.model_copy(update={"upper": upper})
            return blocks
    alone = schema.PairBlock(
        location=location, facts=facts, shift=SHIFT, lower=_NO_ROWS, upper=upper
    )
    return [*blocks, alone]


def _rival_form(state: ExactState, forms: Forms, row: int) -> schema.RivalForm:
    """The premises and multipliers of one rival's forms."""
    rival = forms.rivals[row]
    weights = state.instance.margin_weights[rival]
    location, linear = forms.location[row], forms.linear[row]
    support, oppose = (
        np.flatnonzero(linear & side).tolist() for side in (weights > 0, weights < 0)
    )
    places = np.unique(location[linear]).tolist()
    if forms.bounded[row]:
        entries, joint = domain_form(state, forms, row)
    else:
        entries, joint = _free_form(state, forms, row, places), None
    return schema.RivalForm(
        rival=state.instance.rivals[rival],
        supports=tuple(
            schema.Tangent(
                prototype=j, location=int(location[j]), at=float(forms.tangent[row, j]).hex()
            )
            for j in support
        ),
        opposes=tuple(schema.Chord(prototype=j, location=int(location[j])) for j in oppose),
        multipliers=entries,
        joint=joint,
    )


def _free_form(
    state: ExactState, forms: Forms, row: int, places: list[int]
) -> tuple[schema.PlaceMultipliers, ...]:
    """The multipliers of one rival's forms in free space."""
    here = [forms.linear[row] & (forms.location[row] == place) for place in places]
    return tuple(
        _place_multipliers(state, place, np.where(own, forms.slope[row], 0.0))
        for place, own in zip(places, here, strict=True)
    )


def _place_multipliers(
    state: ExactState, location: int, coefficients: Float[NDArray[np.float64], " prototype"]
) -> schema.PlaceMultipliers:
    hull = state.places[location].hull
    if hull is None:
        raise InternalError(f"location {location} has linear forms but no facts")
    across = float(np.linalg.norm(coefficients @ hull.off(state.instance.head.prototypes)))
    mu = form_multipliers(hull, state.instance.measurement[location], coefficients, across)
    return schema.PlaceMultipliers(
        location=location, facts=hull.spanning, shift=SHIFT, mu=dyadic(mu[None])[0]
    )


def _rows(rows: Rows) -> schema.Rows:
    return schema.Rows(prototypes=rows.prototypes, theta=dyadic(rows.theta))
