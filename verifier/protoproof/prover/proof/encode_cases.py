"""Trees of cases in the certificate's words, and the bounds that they start from."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from protoproof.certificate import cases as splits
from protoproof.certificate import schema
from protoproof.prover.oracle.branch_and_bound import Branch, Leaf, SplitState, Tree
from protoproof.prover.proof.encode_boxed import SHIFT, dyadic
from protoproof.prover.relaxation.case import Cut, Node, Row
from protoproof.prover.relaxation.case_forms import CaseForm

_NO_ROWS = schema.Rows(prototypes=(), theta=())


def case_trees(state: SplitState) -> tuple[splits.CaseTree, ...]:
    """The trees of the state's last proof, in order of the rival."""
    return tuple(
        splits.CaseTree(rival=state.instance.rivals[row], nodes=tuple(_nodes(state, row, tree)))
        for row, tree in sorted(state.trees.items())
    )


def needed_bounds(state: SplitState) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """[L, P] which lower and which upper bounds of q_lj the trees take from the facts as a whole.

    All that may enter an interval, a chord, or the contradiction of an impossible case.
    """
    shape = state.low.shape
    below, above = np.zeros(shape, dtype=bool), np.zeros(shape, dtype=bool)
    attained = np.argmin(state.high, axis=0)
    for row, tree in state.trees.items():
        weights = state.instance.margin_weights[row]
        below[:, weights < 0] = True
        supporting = np.flatnonzero(weights > 0)
        above[attained[supporting], supporting] = True
        for leaf in _leaves(tree):
            for cut, _ in leaf.node.path:
                if cut.kind == "distance":
                    below[cut.location, cut.index] = above[cut.location, cut.index] = True
                elif cut.kind in ("place", "nearest"):
                    below[:, cut.index] = True
                    above[attained[cut.index], cut.index] = True
            if leaf.form is not None:
                opposing = np.flatnonzero(leaf.form.oppose)
                above[leaf.form.location[opposing], opposing] = True
    return below, above


def _leaves(tree: Tree) -> Iterator[Leaf]:
    if isinstance(tree, Leaf):
        yield tree
        return
    for child in tree.children:
        yield from _leaves(child)


def _nodes(state: SplitState, row: int, tree: Tree) -> Iterator[splits.CaseNode]:
    """The tree in preorder."""
    if isinstance(tree, Branch):
        yield _split(tree.cut)
        for child in tree.children:
            yield from _nodes(state, row, child)
        return
    weights = state.instance.margin_weights[row]
    used = weights != 0 if tree.form is not None else np.ones(len(weights), dtype=bool)
    blocks, regional = _blocks(tree.node, used)
    form = tree.form
    yield splits.Leaf(
        blocks=blocks,
        domain_blocks=regional,
        form=None if form is None or not form.entries else _form(state, row, form),
    )


def _split(cut: Cut) -> splits.CaseNode:
    if cut.kind == "distance":
        return splits.DistanceSplit(
            location=cut.location, prototype=cut.index, at=float(cut.at).hex()
        )
    if cut.kind == "nearest":
        return splits.NearestSplit(prototype=cut.index, at=float(cut.at).hex())
    if cut.kind == "channel":
        return splits.ChannelSplit(location=cut.location, channel=cut.index, at=float(cut.at).hex())
    return splits.PlaceSplit(prototype=cut.index, locations=cut.locations)


def _blocks(
    node: Node, used: NDArray[np.bool_]
) -> tuple[tuple[schema.PairBlock, ...], tuple[schema.DomainBlock, ...]]:
    """The rows of a case, those with the same terms together."""
    groups: dict[tuple[int, tuple[int, ...], bool], list[tuple[int, int, Row]]] = {}
    for (location, j, sign), row in sorted(node.rows.items()):
        if used[j]:
            groups.setdefault((location, row.terms, row.domain), []).append((j, sign, row))
    free, regional = [], []
    for (location, terms, domain), members in groups.items():
        lower, upper = (_rows(members, sign) for sign in (1, -1))
        if domain:
            regional.append(
                schema.DomainBlock(
                    location=location, facts=terms, shift=SHIFT, lower=lower, upper=upper
                )
            )
        else:
            free.append(
                schema.PairBlock(
                    location=location, facts=terms, shift=SHIFT, lower=lower, upper=upper
                )
            )
    return tuple(free), tuple(regional)


def _rows(members: list[tuple[int, int, Row]], sign: int) -> schema.Rows:
    chosen = [(j, row.x) for j, own, row in members if own == sign]
    if not chosen:
        return _NO_ROWS
    theta = dyadic(np.stack([x for _, x in chosen]))
    return schema.Rows(prototypes=tuple(j for j, _ in chosen), theta=theta)


def _form(state: SplitState, row: int, form: CaseForm) -> schema.RivalForm:
    supports, opposes = (np.flatnonzero(side).tolist() for side in (form.support, form.oppose))
    return schema.RivalForm(
        rival=state.instance.rivals[row],
        supports=tuple(
            schema.Tangent(
                prototype=j, location=int(form.location[j]), at=float(form.tangent[j]).hex()
            )
            for j in supports
        ),
        opposes=tuple(schema.Chord(prototype=j, location=int(form.location[j])) for j in opposes),
        multipliers=tuple(
            schema.PlaceMultipliers(
                location=entry.location,
                facts=entry.terms,
                shift=SHIFT,
                mu=dyadic(entry.x[None])[0],
                domain=entry.domain,
            )
            for entry in form.entries
        ),
    )
