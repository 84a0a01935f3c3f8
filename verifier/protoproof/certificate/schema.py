"""Certificate, version 2: frozen data, no behaviour.

A certificate states *premises* (facts), *multipliers* and *witness constructions*. It states no
bound, margin or other conclusion: the checker computes those itself, exactly.

Numbers that must be exact are written as hexadecimal floats (``float.hex``), as integers, or as
base64 of little-endian float32. Lengths are squared L2 throughout.

``Core`` is a function of model, instance, options and tool version alone; whatever differs
between two equal runs (time, host) lives in ``Envelope.about``.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import FailFast, Field

from protoproof.certificate.cases import CaseTree
from protoproof.certificate.evidence import Chord as Chord
from protoproof.certificate.evidence import DomainBlock as DomainBlock
from protoproof.certificate.evidence import ImpliedBound as ImpliedBound
from protoproof.certificate.evidence import JointMultipliers as JointMultipliers
from protoproof.certificate.evidence import PairBlock as PairBlock
from protoproof.certificate.evidence import PlaceMultipliers as PlaceMultipliers
from protoproof.certificate.evidence import RivalForm as RivalForm
from protoproof.certificate.evidence import Rows as Rows
from protoproof.certificate.evidence import Tangent as Tangent
from protoproof.certificate.input_region import InputRegion
from protoproof.certificate.partition import PartNode
from protoproof.certificate.trees import Cover as Cover
from protoproof.certificate.trees import Node as Node
from protoproof.certificate.trees import Packing as Packing
from protoproof.certificate.trees import Split as Split
from protoproof.certificate.values import (
    Base64,
    Frozen,
    HexFloat,
    Index,
    Indices,
    Sha256,
    Tensor,
    Text,
)

SCHEMA: Final = "protoproof.certificate/2"


class ExternalFile(Frozen):
    """A file beside the model that holds some of its tensors; ``size`` in bytes."""

    name: Annotated[str, Field(min_length=1, max_length=1024)]
    sha256: Sha256
    size: Annotated[int, Field(ge=0)]


class ModelIdentity(Frozen):
    """Which network, and as what its head is read.

    From the tensors ``latent`` (one per bank of prototypes) to the tensor ``output`` the graph
    computes a head of this geometry, with these poolings (sorted, each once) and this decision. The
    checker reads the head itself, from the graph alone, and must find the same.

    ``routing``, where the decision is a tree, and nowhere else: which reading of the tree is
    explained. ``distributed`` is what the graph computes, all leaves weighed; ``greedy`` is the
    leaf that is reached by the larger share at every node, ``sample-max`` the leaf that the largest
    share of all reaches, and the class is the best one of that leaf.
    """

    sha256: Sha256
    files: Annotated[tuple[ExternalFile, ...], FailFast()] = ()
    latent: Annotated[tuple[Tensor, ...], FailFast(), Field(min_length=1)]
    output: Tensor
    geometry: Literal["euclidean", "diagonal", "linear", "angular"]
    pooling: Annotated[
        tuple[
            Literal["nearest", "mean", "sum", "k-largest mean", "focal", "nearest less mean"], ...
        ],
        FailFast(),
        Field(min_length=1),
    ]
    decision: Literal["linear", "labels", "tree", "best"]
    routing: Literal["distributed", "greedy", "sample-max"] | None = None


class Instance(Frozen):
    """The explained input. ``latent`` is v in R^(L x D), row-major, exactly as observed.

    Where every label is decided alone, ``labels`` (ascending) are those that are on, and
    ``predicted`` is the first of the labels that are explained (the certificate's ``rivals``).
    Otherwise ``labels`` is empty, and ``predicted`` the class with the largest score.
    """

    input_sha256: Sha256
    locations: Annotated[int, Field(ge=1)]
    channels: Annotated[int, Field(ge=1)]
    latent: Base64
    predicted: Index
    labels: Indices = ()


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


class BallDomain(Frozen):
    """|z_l|^2 <= 1 + slack at every location: what a normalisation guarantees that divides by no
    less than some constant."""

    kind: Literal["ball"] = "ball"
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

    With ``region`` the checker walks the encoder over that region of inputs and finds the box; with
    ``propagated`` also the linear bounds, and bounds inputs of activations likewise in layers of at
    most so many units. The rest is an assumption, and ``source`` says who vouches for it.
    """

    kind: Literal["reach"] = "reach"
    lower: Base64
    upper: Base64
    bounds: Annotated[tuple[LinearBound, ...], FailFast()] = ()
    source: Annotated[str, Field(min_length=1, max_length=1024)]
    region: InputRegion | None = None
    propagated: Annotated[int, Field(ge=0, le=1 << 24)] | None = None


class PairFact(Frozen):
    """lower <= m_lj <= upper: the measurement of one prototype at one location of its bank."""

    kind: Literal["pair"] = "pair"
    location: Index
    prototype: Index
    lower: HexFloat
    upper: HexFloat


class ActivationFact(Frozen):
    """lower <= t_j <= upper: the pooled value of one prototype.

    Where the nearest location counts, t_j is the least m_lj: the activation, in the units of the
    measurement.
    """

    kind: Literal["activation"] = "activation"
    prototype: Index
    lower: HexFloat
    upper: HexFloat


class CeilingFact(Frozen):
    """level_j >= bound for every prototype outside ``exempt``.

    Where all prototypes count by their nearest location and have equal similarities, level_j is
    t_j, in the units of the measurement. Else the level is the negative activation, so that
    the activation of each is at most -bound.

    ``exempt`` (sorted) is part of the fact itself, so that dropping an activation fact never
    changes what the ceiling says.
    """

    kind: Literal["ceiling"] = "ceiling"
    bound: HexFloat
    exempt: Indices


Fact = Annotated[PairFact | ActivationFact | CeilingFact, Field(discriminator="kind")]
Domain = Annotated[
    FreeDomain | BoxDomain | SphereDomain | BallDomain | SimplexDomain | ReachDomain,
    Field(discriminator="kind"),
]


class IntervalEvidence(Frozen):
    """Bound every prototype's best measurement on its own, then every margin by intervals.

    ``implied`` are bounds that activation facts give for other prototypes; ``forms`` improve the
    margins over the rivals that the intervals do not separate, and ``cases`` where one form for
    all latents does not do: they follow in order of the rival.
    """

    rule: Literal["intervals"] = "intervals"
    blocks: Annotated[tuple[PairBlock, ...], FailFast()] = ()
    implied: Annotated[tuple[ImpliedBound, ...], FailFast()] = ()
    forms: Annotated[tuple[RivalForm, ...], FailFast()] = ()
    domain_blocks: Annotated[tuple[DomainBlock, ...], FailFast()] = ()
    cases: Annotated[tuple[CaseTree, ...], FailFast()] = ()


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


class Superfluous(Frozen):
    """``fact`` can be left out: ``evidence`` proves the margins from all other facts, over the same
    domain, by the rules of the certificate's own. Each entry is about one fact left out alone."""

    fact: Index
    evidence: IntervalEvidence


class Released(Frozen):
    """An input that shows that a kept tile of the region is necessary.

    ``x``: [C, H, W], float32 in base64. It differs from the region's centre only in what may move
    and in the tile, and is predicted as ``rival``.
    """

    tile: Index
    rival: Index
    x: Base64


class Refutation(Frozen):
    """A latent in the domain that certainly loses to ``rival``; see :class:`Witness`.

    Which facts of the vocabulary it violates, and which ceilings it respects, the checker finds
    out itself. Every explanation contains one of the former (its *clause*), unless its ceiling is
    one that the latent does not respect.
    """

    rival: Index
    moves: Annotated[tuple[Move, ...], FailFast()]


class FunctionError(Frozen):
    """f(x)(1 + d) + e for f(x), |d| <= ``relative`` u, |e| <= ``absolute`` u or 2**-149, whichever
    is more; u = 2**-24."""

    function: Literal["exp", "log", "power", "reciprocal", "sigmoid", "softplus", "sqrt", "tanh"]
    relative: Annotated[int, Field(ge=0, le=1 << 20)]
    absolute: Annotated[int, Field(ge=0, le=1 << 20)]


class Execution(Frozen):
    """At level F: the executions of the head that are spoken about.

    ``form``: how the graph writes its measurements: a distance as the sum of squared differences
    (``direct``) or from |z|^2, <z, p> and |p|^2 (``expanded``), a ``product``, an ``angle``.
    ``functions``: those that runtimes approximate, by name. ``shortest``: of a latent that an angle
    is divided by, where the graph does not keep that from 0. Sums are in any order, with or without
    fused multiply-add; nothing overflows.
    """

    format: Literal["float32"] = "float32"
    form: Literal["direct", "expanded", "product", "angle"]
    functions: Annotated[tuple[FunctionError, ...], FailFast()] = ()
    shortest: HexFloat | None = None


class SizeBound(Frozen):
    """Why no explanation in this vocabulary is smaller than what the checker derives from this.

    For ``pairs``, ``path`` and ``mixed`` one cover; for ``ceiling`` covers of all ceiling numbers;
    for ``topk`` none, because a refutation of the k most activated ones refutes all smaller k.
    """

    refutations: Annotated[tuple[Refutation, ...], FailFast()]
    covers: Annotated[tuple[Cover, ...], FailFast()]


class Core(Frozen):
    """Everything that is claimed and everything the proof needs besides the model file.

    With ``parts``, the domain's region of inputs is cut into parts, and the claim (which then needs
    no fact) is proved part by part, over the box of latents that the checker finds for each, and
    the linear bounds that it propagates there: by intervals, or with the numbered entry of
    ``part_evidence``.

    ``holds``: a region of inputs over which every fact holds. With a proof that the facts suffice,
    all of it is predicted alike, and for this reason.

    ``superfluous``: facts that the others do without, one at a time.

    ``released``: where the domain's region keeps tiles, inputs that show which are necessary.

    ``level``: R, over the real numbers; F, also of every float32 ``execution`` of the head, which
    is stated at that level alone.
    """

    tool: Text
    level: Literal["R", "F"]
    model: ModelIdentity
    instance: Instance
    domain: Domain
    vocabulary: Literal["topk", "ceiling", "pairs", "mixed", "path"]
    premises: Literal["exact", "interval"]
    facts: Annotated[tuple[Fact, ...], FailFast()]
    rivals: Annotated[Indices, Field(min_length=1)]
    evidence: IntervalEvidence
    witnesses: Annotated[tuple[Witness, ...], FailFast()] = ()
    size_bound: SizeBound | None = None
    contrasts: Annotated[tuple[Refutation, ...], FailFast()] = ()
    parts: Annotated[tuple[PartNode, ...], FailFast()] = ()
    part_evidence: Annotated[tuple[IntervalEvidence, ...], FailFast()] = ()
    holds: InputRegion | None = None
    superfluous: Annotated[
        tuple[Superfluous, ...], FailFast(), Field(exclude_if=lambda value: not value)
    ] = ()
    released: Annotated[
        tuple[Released, ...], FailFast(), Field(exclude_if=lambda value: not value)
    ] = ()
    execution: Annotated[Execution | None, Field(exclude_if=lambda value: value is None)] = None


class About(Frozen):
    """What differs between equal runs. Nothing here is checked.

    ``preprocessing``: what turned a picture into the input, in the words of ``--preprocess``.
    """

    created: Text = ""
    command: Text = ""
    input_name: Text = ""
    preprocessing: Annotated[Text, Field(exclude_if=lambda value: not value)] = ""
    seconds: float | None = None
    oracle: Text = ""


class Envelope(Frozen):
    """The file: schema, core, and what surrounds it."""

    schema_: Annotated[Literal["protoproof.certificate/2"], Field(alias="schema")] = SCHEMA
    core: Core
    about: About = About()


def json_schema() -> dict[str, Any]:
    """The JSON schema of certificate files."""
    schema = Envelope.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
