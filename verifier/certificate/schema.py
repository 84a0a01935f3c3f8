"""Certificate, version 1: frozen data, no behaviour.

A certificate states *premises* (facts), *multipliers* and *witness constructions*. It states no
bound, margin or other conclusion: the checker computes those itself, exactly.

Numbers that must be exact are written as hexadecimal floats (``float.hex``), as integers, or as
base64 of little-endian float32. Lengths are squared L2 throughout.

``Core`` is a function of model, instance, options and tool version alone; whatever differs
between two equal runs (time, host) lives in ``Envelope.about``.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import FailFast, Field

from verifier.certificate.basics import Base64, Frozen, HexFloat, Index, Indices, Sha256, Text
from verifier.certificate.inputs import InputRegion

SCHEMA: Final = "protoproof.certificate/1"


class ModelIdentity(Frozen):
    """Which network. ``description`` is the head description's JSON when it is not in the file."""

    sha256: Sha256
    binding: Literal["recognised", "declared"]
    description_sha256: Sha256
    description: Annotated[str, Field(max_length=1 << 24)] | None = None


class Instance(Frozen):
    """The explained input. ``latent`` is v in R^(L x D), row-major, exactly as observed."""

    input_sha256: Sha256
    locations: Annotated[int, Field(ge=1)]
    channels: Annotated[int, Field(ge=1)]
    latent: Base64
    predicted: Index


class FreeDomain(Frozen):
    """All of R^(L x D)."""

    kind: Literal["free"] = "free"


class BoxDomain(Frozen):
    """[lower, upper] for every latent unit; ``upper`` None is plus infinity."""

    kind: Literal["box"] = "box"
    lower: HexFloat
    upper: HexFloat | None


class SphereDomain(Frozen):
    """1 - slack <= |z_l|^2 <= 1 + slack at every location (slack covers float32 rounding)."""

    kind: Literal["sphere"] = "sphere"
    slack: HexFloat


class SimplexDomain(Frozen):
    """z >= 0, and 1 - slack <= sum over channels <= 1 + slack at every location."""

    kind: Literal["simplex"] = "simplex"
    slack: HexFloat


class LinearBound(Frozen):
    """<coefficients, z> >= bound; ``coefficients`` [L, D], float64 in base64, row-major."""

    coefficients: Base64
    bound: HexFloat


class ReachDomain(Frozen):
    """lower <= z <= upper per unit ([L, D], float64 in base64), and every linear bound.

    With ``region`` the box holds the latents of a region of inputs; the checker walks the encoder
    over it and finds out. With ``propagated`` it also finds the linear bounds, back through the
    encoder, and bounds inputs of activations in the same way in layers of at most so many units.
    What is left, nothing in the model file guarantees: that the latent stays there is an
    assumption, and ``source`` says who vouches for it.
    """

    kind: Literal["reach"] = "reach"
    lower: Base64
    upper: Base64
    bounds: Annotated[tuple[LinearBound, ...], FailFast()] = ()
    source: Annotated[str, Field(min_length=1, max_length=1024)]
    region: InputRegion | None = None
    propagated: Annotated[int, Field(ge=0, le=1 << 24)] | None = None


class PairFact(Frozen):
    """lower <= q_lj <= upper for one location and one prototype."""

    kind: Literal["pair"] = "pair"
    location: Index
    prototype: Index
    lower: HexFloat
    upper: HexFloat


class ActivationFact(Frozen):
    """lower <= min over locations of q_lj <= upper: the activation, in measurement units."""

    kind: Literal["activation"] = "activation"
    prototype: Index
    lower: HexFloat
    upper: HexFloat


class CeilingFact(Frozen):
    """min over locations of q_lj >= bound for every prototype outside ``exempt``.

    ``exempt`` (sorted) is part of the fact itself, so that dropping an activation fact never
    changes what the ceiling says.
    """

    kind: Literal["ceiling"] = "ceiling"
    bound: HexFloat
    exempt: Indices


Fact = Annotated[PairFact | ActivationFact | CeilingFact, Field(discriminator="kind")]
Domain = Annotated[
    FreeDomain | BoxDomain | SphereDomain | SimplexDomain | ReachDomain,
    Field(discriminator="kind"),
]


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
    """An upper bound of one prototype's best measurement, from the activation fact of another.

    With h the upper end of the activation fact about ``via`` and s = ``stretch`` > 0, the location
    that attains it satisfies q_j <= (1 + s) h + (1 + 1/s) |p_j - p_via|^2 for j = ``prototype``.
    """

    prototype: Index
    via: Index
    stretch: HexFloat


class IntervalEvidence(Frozen):
    """Bound every prototype's best measurement on its own, then every margin by intervals.

    ``implied`` are bounds that activation facts give for other prototypes; ``forms`` improve the
    margins over the rivals that the intervals do not separate.
    """

    rule: Literal["intervals"] = "intervals"
    blocks: Annotated[tuple[PairBlock, ...], FailFast()] = ()
    implied: Annotated[tuple[ImpliedBound, ...], FailFast()] = ()
    forms: Annotated[tuple[RivalForm, ...], FailFast()] = ()
    domain_blocks: Annotated[tuple[DomainBlock, ...], FailFast()] = ()


class Move(Frozen):
    """Where a witness puts one location.

    ``keep`` empty: z_l = v_l + direction. Otherwise the direction is projected (exactly) onto
    the orthogonal complement of { p_i - p_keep[0] : i in keep } and z_l is the second point in
    which the line through v_l along it meets the sphere around p_keep[0] through v_l; so every
    kept squared distance is unchanged, exactly.
    """

    location: Index
    keep: Indices
    direction: Base64


class Witness(Frozen):
    """A latent in the domain that meets every fact but ``fact`` and loses to ``rival``.

    Locations without a move stay at v. The checker evaluates every fact at the result; how the
    point was built carries no weight.
    """

    fact: Index
    rival: Index
    moves: Annotated[tuple[Move, ...], FailFast()]


class Refutation(Frozen):
    """A latent in the domain that certainly loses to ``rival``; see :class:`Witness`.

    Which facts of the vocabulary it violates, and which ceilings it respects, the checker finds
    out itself. Every explanation contains one of the former (its *clause*), unless its ceiling is
    one that the latent does not respect.
    """

    rival: Index
    moves: Annotated[tuple[Move, ...], FailFast()]


class Split(Frozen):
    """Two cases, which follow in this order: explanations with a fact, explanations without it.

    In ``pairs`` and ``mixed``, the pair fact (location l, prototype j) has number l * P + j; in
    ``ceiling`` the activation fact j has number j. In ``mixed`` that one has number L * P + j, and
    ceiling number t (see :class:`Cover`) has number (L + 1) * P + t.
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


class SizeBound(Frozen):
    """Why no explanation in this vocabulary is smaller than what the checker derives from this.

    For ``pairs`` and ``mixed`` one cover; for ``ceiling`` covers of all ceiling numbers; for
    ``topk`` none, because a refutation of the k most activated prototypes refutes all smaller k.
    """

    refutations: Annotated[tuple[Refutation, ...], FailFast()]
    covers: Annotated[tuple[Cover, ...], FailFast()]


class Core(Frozen):
    """Everything that is claimed and everything the proof needs besides the model file."""

    tool: Text
    level: Literal["R"]
    model: ModelIdentity
    instance: Instance
    domain: Domain
    vocabulary: Literal["topk", "ceiling", "pairs", "mixed"]
    premises: Literal["exact", "interval"]
    facts: Annotated[tuple[Fact, ...], FailFast()]
    rivals: Annotated[Indices, Field(min_length=1)]
    evidence: IntervalEvidence
    witnesses: Annotated[tuple[Witness, ...], FailFast()] = ()
    size_bound: SizeBound | None = None
    contrasts: Annotated[tuple[Refutation, ...], FailFast()] = ()


class About(Frozen):
    """What differs between equal runs. Nothing here is checked."""

    created: Text = ""
    command: Text = ""
    input_name: Text = ""
    seconds: float | None = None
    oracle: Text = ""


class Envelope(Frozen):
    """The file: schema, core, and what surrounds it."""

    schema_: Annotated[Literal["protoproof.certificate/1"], Field(alias="schema")] = SCHEMA
    core: Core
    about: About = About()
