"""The rules of a certificate's proofs, as data: multipliers, and which bound they are for."""

from __future__ import annotations

from typing import Annotated

from pydantic import FailFast, Field

from protoproof.certificate.values import Frozen, HexFloat, Index, Indices


class Rows(Frozen):
    """Multipliers of several prototypes: row i, over ``2**shift``, bounds ``prototypes[i]``."""

    prototypes: Indices
    theta: Annotated[tuple[Annotated[tuple[int, ...], FailFast()], ...], FailFast()]


class PairBlock(Frozen):
    """Bounds of q_lj at one location from the pair facts there (theory: the Lagrangian rule).

    ``facts`` are the prototypes of the pair facts used, in the order of the columns of theta.
    A row t (integers, t / 2**shift = theta) proves, with A = 1 + sum theta,
    p = p_j + sum theta_i p_i:

    * lower (A > 0):  q_lj >= |p_j|^2 + sum theta_i |p_i|^2 - |p|^2/A - sum lambda_i h_i
      + sum mu_i l_i, with theta = lambda - mu split by sign, [l_i, h_i] the fact's interval;
    * upper (A' = -1 + sum theta > 0): the same inequality for -q_lj, that is with -p_j and
      -|p_j|^2.
    """

    location: Index
    facts: Indices
    shift: Annotated[int, Field(ge=0, le=256)]
    lower: Rows
    upper: Rows


class DomainBlock(Frozen):
    """Bounds of q_lj at one location from the pair facts there *and* the domain.

    Dearer to check than a :class:`PairBlock` (by D per row), hence only for the bounds that need
    it. The domain is a box and some constraints low_k <= a_k |z|^2 + <b_k, z> <= high_k, in this
    order: for a sphere the norm, for a simplex the sum, for a reach domain every linear bound, as
    seen from this location (all others do as much as the box allows).

    The columns of theta are ``facts``, then the domain's constraints. A row t proves, with f_i the
    facts' squared distances and the constraints' forms, and the sign s = 1 (lower), -1 (upper),

        s q_lj  >=  min over the box of ( s q_j(z) + sum theta_i f_i(z) )
                    - sum theta_i^+ high_i + sum theta_i^- low_i,

    a sum of one minimum per channel, whatever the sign of the leading coefficient. An open end
    must not be charged.
    """

    location: Index
    facts: Indices
    shift: Annotated[int, Field(ge=0, le=256)]
    lower: Rows
    upper: Rows


class Tangent(Frozen):
    """A prototype of positive weight, bounded from below at one location by a tangent.

    ``at`` is where the tangent touches the similarity, as a squared distance.
    """

    prototype: Index
    location: Index
    at: HexFloat


class Chord(Frozen):
    """A prototype of negative weight, bounded from above at one location by a chord."""

    prototype: Index
    location: Index


class PlaceMultipliers(Frozen):
    """Multipliers mu / 2**shift of the pair facts about ``facts`` at one location.

    With ``domain`` the form is bounded over the domain's box, and ``mu`` goes on with the domain's
    own constraints (the norm of a sphere, the sum of a simplex), as in :class:`DomainBlock`.
    """

    location: Index
    facts: Indices
    shift: Annotated[int, Field(ge=0, le=256)]
    mu: Annotated[tuple[int, ...], FailFast()]
    domain: bool = False


class JointMultipliers(Frozen):
    """Multipliers nu / 2**shift >= 0, one for each linear bound of a reach domain."""

    shift: Annotated[int, Field(ge=0, le=256)]
    nu: Annotated[tuple[int, ...], FailFast()]


class RivalForm(Frozen):
    """One rival's margin as linear forms in the measurements, one form per location.

    A margin is bounded by intervals of its prototypes one at a time, except for the listed ones:
    these are replaced by tangents and chords, which are linear in q_lj; what they add up to at one
    location, sum lambda_j q_lj, is bounded as a whole. With A = sum lambda + sum mu > 0 and
    p = sum lambda_j p_j + sum mu_i p_i, it is at least

        sum lambda_j |p_j|^2 + sum mu_i |p_i|^2 - |p|^2 / A - sum mu_i^+ h_i + sum mu_i^- l_i

    where mu = mu^+ - mu^- is split by sign and [l_i, h_i] is the fact's interval. ``multipliers``
    has one entry for each location that ``supports`` or ``opposes`` name. The checker derives
    every lambda itself. Entries with ``domain`` take the least value over the domain's box.

    With ``joint``, every location takes part (one without multipliers over the bare box), all of
    them over the box, and the linear bounds <c_k, z> >= d_k of the domain enter as

        sum nu_k d_k  -  sum nu_k <c_k, z>,

    whose second part joins the forms location by location.
    """

    rival: Index
    supports: Annotated[tuple[Tangent, ...], FailFast()]
    opposes: Annotated[tuple[Chord, ...], FailFast()]
    multipliers: Annotated[tuple[PlaceMultipliers, ...], FailFast()]
    joint: JointMultipliers | None = None


class ImpliedBound(Frozen):
    """A bound of one prototype's best measurement, from a fact about another.

    The sign of s = ``stretch`` says which. With i = ``via``, j = ``prototype``, squared distances:

    * s > 0: with h the upper end of the activation fact about i, t_j is at most
      (1 + s) h + (1 + 1/s) |p_j - p_i|^2;
    * -1 < s < 0: with h the lower end of what activation facts and ceilings say about i, t_j is at
      least the same expression, in which now 1 + 1/s < 0. (A ceiling keeps every location away
      from p_i, hence from all that is near it.)

    Of angles these are s h + |p_j - s p_i| and, for any s < 0, -s h - |p_j + s p_i|.
    """

    prototype: Index
    via: Index
    stretch: HexFloat
