"""A margin proved case by case: the tree of cases, and the evidence at its leaves.

The tree is a list in preorder. A split says by *what* is distinguished and nothing about the
result; its children follow in a fixed order, and that they leave out no latent can be read off the
split itself:

* ``distance``  q_lj <= at, then q_lj >= at;
* ``nearest``   m_j <= at, then m_j >= at, with m_j the least q_lj over all locations;
* ``channel``   z_ld <= at, then z_ld >= at;
* ``place``     for each of ``locations``: the one at which m_j is attained; then, unless all are
  listed, any of the others.

A leaf holds the evidence of that case. It states no bound: what the path to it says is derived
from the path.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import FailFast, Field

from protoproof.certificate.evidence import DomainBlock, ImpliedBound, PairBlock, RivalForm
from protoproof.certificate.values import Frozen, HexFloat, Index, Indices


class DistanceSplit(Frozen):
    """Two cases: ``q_lj <= at``, then ``q_lj >= at`` (squared L2)."""

    kind: Literal["distance"] = "distance"
    location: Index
    prototype: Index
    at: HexFloat


class NearestSplit(Frozen):
    """Two cases: ``m_j <= at``, then ``m_j >= at`` (squared L2)."""

    kind: Literal["nearest"] = "nearest"
    prototype: Index
    at: HexFloat


class ChannelSplit(Frozen):
    """Two cases: ``z_ld <= at``, then ``z_ld >= at``.

    Only at a location that has a box: that of the domain, or, where the case gives some q_lj an
    upper bound h, the one around p_j with half-width sqrt(h).
    """

    kind: Literal["channel"] = "channel"
    location: Index
    channel: Index
    at: HexFloat


class PlaceSplit(Frozen):
    """One case per listed location (ascending): there q_lj = m_j; then one for all the others."""

    kind: Literal["place"] = "place"
    prototype: Index
    locations: Annotated[Indices, Field(min_length=1)]


class Leaf(Frozen):
    """What proves the margin in one case; nothing where the case is impossible.

    Rows, stretches and forms are those of the whole certificate, with one difference: they may
    charge *every* pair (location, prototype), whose interval is what facts, domain and path prove
    about it.
    """

    kind: Literal["leaf"] = "leaf"
    blocks: Annotated[tuple[PairBlock, ...], FailFast()] = ()
    domain_blocks: Annotated[tuple[DomainBlock, ...], FailFast()] = ()
    implied: Annotated[tuple[ImpliedBound, ...], FailFast()] = ()
    form: RivalForm | None = None


CaseNode = Annotated[
    DistanceSplit | NearestSplit | ChannelSplit | PlaceSplit | Leaf, Field(discriminator="kind")
]


class CaseTree(Frozen):
    """A proof of the margin over one rival; ``nodes`` in preorder."""

    rival: Index
    nodes: Annotated[tuple[CaseNode, ...], FailFast()]
