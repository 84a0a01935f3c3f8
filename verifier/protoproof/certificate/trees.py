"""Case distinctions over the facts of an explanation: why none is smaller."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import FailFast, Field

from protoproof.certificate.values import Frozen, Index


class Split(Frozen):
    """Two cases, which follow in this order: explanations with a fact, explanations without it.

    In ``pairs`` and ``mixed``, the pair fact (location l, prototype j) has number l * P + j; in
    ``ceiling`` and ``path`` the activation fact j has number j. In ``mixed`` that one has number
    L * P + j, and ceiling number t (see :class:`Cover`) has number (L + 1) * P + t.
    """

    kind: Literal["split"] = "split"
    fact: Index


class Packing(Frozen):
    """Weights over ``scale`` of refutations, as (index, weight >= 0).

    No fact that is still possible may carry more than ``scale`` in total; an explanation in this
    case then has at least sum of weights / scale facts besides those that the splits put into it.
    """

    kind: Literal["packing"] = "packing"
    scale: Annotated[int, Field(ge=1, le=1 << 40)]
    weights: Annotated[tuple[tuple[Index, Annotated[int, Field(ge=0)]], ...], FailFast()]


Node = Annotated[Split | Packing, Field(discriminator="kind")]


class Cover(Frozen):
    """A proof about all explanations whose ceiling has one of these numbers; a tree in preorder.

    Ceiling number t bounds every prototype by the t-th smallest best measurement (counted from 0)
    and exempts those that measure less. ``ceilings`` None: explanations of any kind.
    """

    ceilings: tuple[Index, Index] | None
    nodes: Annotated[tuple[Node, ...], FailFast()]
