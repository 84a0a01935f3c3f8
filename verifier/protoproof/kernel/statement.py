"""The statement of a certificate: what it claims, as a canonical text of integers.

It is computed from the model file, as the checker reads it, and from what the certificate claims;
no evidence enters. Another checker (``verifier/formal``) proves exactly this text, so the text is
where the two meet, and its hash says what was proved.

One token after another, separated by single spaces or ends of lines. Numbers of a block are
integers over ``2**exponent``, with the least exponent that makes all of them whole; constants of
similarities are reduced fractions. ``verifier/formal/README.md`` has the grammar.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from math import isqrt

import numpy as np
from numpy.typing import NDArray

from protoproof.certificate.reader import read_certificate
from protoproof.certificate.schema import (
    BallDomain,
    BoxDomain,
    CeilingFact,
    Core,
    Domain,
    Fact,
    PairFact,
    ReachDomain,
    SimplexDomain,
    SphereDomain,
)
from protoproof.errors import CertificateError
from protoproof.kernel.arithmetic.exact import (
    Ratio,
    decode_floats,
    float32_integers,
    hex_ratio,
)
from protoproof.kernel.budget import Budget
from protoproof.kernel.latent.reached import Latents
from protoproof.kernel.model.chain import Chain
from protoproof.kernel.model.decision import Decision
from protoproof.kernel.model.file import BoundHead, ModelFile
from protoproof.kernel.model.head import Head, Pooling
from protoproof.kernel.model.real import Real

HEADING = "protoproof.statement/1"

Array = NDArray[np.float64]


def statement(certificate: bytes, model: ModelFile) -> str:
    """The statement of a certificate about a model.

    Raises:
        CertificateError, DescriptionError, ModelError: one of them cannot be read, or the
            certificate is about another model.
    """
    with Budget().active():
        core = read_certificate(certificate).core
        if core.model.sha256 != model.sha256:
            raise CertificateError("the certificate is about another model file")
        bound = stated_head(core, model)
        return write(core, bound, part_boxes(core, bound, model))


def stated_head(core: Core, model: ModelFile) -> BoundHead:
    """The head that a certificate is about: between its tensors, and a tree as it is routed.

    Raises:
        DescriptionError, ModelError: there is none.
    """
    bound = model.bound(core.model.latent, core.model.output)
    return bound if core.model.routing is None else bound.routed(core.model.routing)


def part_boxes(core: Core, bound: BoundHead, model: ModelFile) -> list[Latents | None]:
    """What the latents over every part of a region meet (a box, linear bounds), as the checker's
    own walk finds it; None for a part that holds no input; [] where the certificate has no parts.

    Raises:
        CertificateError: the parts are malformed, or the encoder cannot be walked.
    """
    if not core.parts:
        return []
    from protoproof.kernel.encoder.input_region import Inputs
    from protoproof.kernel.encoder.partition import part_complaints, walked
    from protoproof.kernel.encoder.step import ReplayError

    domain = core.domain
    complaints = list(part_complaints(core, bound.head))
    if complaints or not isinstance(domain, ReachDomain) or domain.region is None:
        raise CertificateError("; ".join(complaints))
    try:
        return list(walked(core, Inputs(domain.region), model.graph, bound.latent_tensor))
    except ReplayError as error:
        raise CertificateError(f"the encoder cannot be walked over the parts: {error}") from error


def digest(text: str) -> str:
    """SHA-256 of a statement."""
    return hashlib.sha256(text.encode()).hexdigest()


def write(core: Core, bound: BoundHead, parts: Sequence[Latents | None] = ()) -> str:
    """The statement of what ``core`` claims about a head; of parts without input it claims nothing.

    Args:
        parts: see :func:`part_boxes`.
    """
    head = bound.head
    if bool(core.parts) != bool(parts):
        raise CertificateError("the boxes of the certificate's parts are not given")
    shape = core.instance.locations, core.instance.channels
    if shape != (head.location_count, head.channels):
        raise CertificateError("the latent's shape is not that of the head")
    lines = [
        HEADING,
        f"model {core.model.sha256}",
        _counted("files", (f"{_name(f.name)} {f.sha256} {f.size}" for f in core.model.files)),
        f"input {core.instance.input_sha256}",
        _counted("tensors", (f"{_name(c.tensor)} {_counted('', c.shape)}" for c in bound.cuts)),
        f"output {_name(core.model.output)}",
        *_level(core),
        *_head(head),
        *_domain(core.domain, head),
        *_facts(core.facts, head.uniform),
        *_latent(core),
        _claim(core, head.decision),
        *_parts(parts),
        "end",
    ]
    return "\n".join(lines) + "\n"


def _name(text: str) -> str:
    """A name as one token: JSON, in ASCII, without blanks."""
    return json.dumps(text).replace(" ", "\\u0020")


def _counted(word: str, items: Iterable[object]) -> str:
    found = [str(item) for item in items]
    return " ".join([*([word] if word else []), str(len(found)), *found])


def _level(core: Core) -> Iterator[str]:
    """At level F: how the head is executed. At level R there is nothing to say."""
    if core.level == "R" or core.execution is None:
        return
    here = core.execution
    functions = _counted("", (f"{e.function} {e.relative} {e.absolute}" for e in here.functions))
    length = "any"
    if here.shortest is not None:
        length = f"shortest {_constant(Fraction(*hex_ratio(here.shortest)))}"
    yield f"level {core.level} {here.form} {functions} {length}"


def _row(numbers: Iterable[int]) -> str:
    return " ".join(map(str, numbers))


def _whole(numbers: Sequence[int], shift: int) -> tuple[list[int], int]:
    """The same numbers over the least power of two."""
    together = 0
    for number in numbers:
        together |= number
    spare = (together & -together).bit_length() - 1 if together else shift
    spare = min(spare, shift)
    return [number >> spare for number in numbers], shift - spare


def _over_one(ratios: Sequence[tuple[int, int]]) -> tuple[list[int], int]:
    """Fractions with powers of two below, over the least common one."""
    shift = max((unit.bit_length() - 1 for _, unit in ratios), default=0)
    numbers = [n << (shift - unit.bit_length() + 1) for n, unit in ratios]
    return _whole(numbers, shift)


def _head(head: Head) -> Iterator[str]:
    count, channels = head.prototype_count, head.channels
    yield f"locations {head.location_count} {_row(head.location_bank)}"
    yield f"channels {channels}"
    yield _geometry(head)
    yield f"prototypes {count} {_row(head.prototype_bank)}"
    points = [n for j in range(count) for n in head.prototype(j)]
    yield from _table("points", points, head.shift, channels)
    if head.geometry == "angular" and plain_length(head) is None:
        lengths = [head.length(j) for j in range(count)]
        yield from _apiece("squares", [" ".join(map(_constant, one)) for one in lengths])
    if head.scales:
        flat = [n for row in head.scales for n in row]
        yield from _table("scales", flat, head.scale_shift, channels)
        if head.scale_slack:
            yield f"more {_constant(head.scale_slack)}"
    yield from _chains("inner", head.inner, count)
    yield from _apiece("pooling", [_pooling(p) for p in head.pooling])
    if head.common.steps:
        yield from _chains("common", head.common, count)
    yield from _chains("outer", head.chain, count)
    yield from _decision(head.decision)


def _geometry(head: Head) -> str:
    """Angles are over one max(sqrt(|z|^2 + added), floor), or over lengths of several kinds."""
    if head.geometry != "angular":
        return f"geometry {head.geometry}"
    plain = plain_length(head)
    lengths = "lengths" if plain is None else " ".join(map(_constant, plain))
    return f"geometry angular {lengths}"


def plain_length(head: Head) -> tuple[Fraction, Fraction] | None:
    """Floor and addend, where all angles are over one length without anything beside it."""
    floor, added, beside = head.lengths[0]
    root = Fraction(isqrt(floor.numerator), isqrt(floor.denominator))
    if len(head.lengths) > 1 or beside or root * root != floor:
        return None
    return root, added


def _table(word: str, flat: Sequence[int], shift: int, width: int) -> Iterator[str]:
    numbers, exponent = _whole(flat, shift)
    yield f"{word} {exponent}"
    for start in range(0, len(numbers), width):
        yield _row(numbers[start : start + width])


def _apiece(word: str, items: Sequence[str]) -> Iterator[str]:
    """One line for all prototypes where they are alike, else one for each."""
    if len(set(items)) == 1:
        yield f"{word} all {items[0]}"
    else:
        yield f"{word} each"
        yield from items


def _pooling(pooling: Pooling) -> str:
    if pooling.kind == "k-largest mean":
        return f"largest {pooling.largest}"
    return pooling.kind.replace(" ", "-")


def _chains(word: str, chain: Chain, count: int) -> Iterator[str]:
    def of(prototype: int) -> str:
        steps = []
        for step in chain.steps:
            constants = step.constants
            one = constants[prototype if len(constants) > 1 else 0] if constants else None
            steps.append(step.name if one is None else f"{step.name} {_constant(one)}")
        return _counted("", steps)

    if chain.uniform:
        yield f"{word} all {of(0)}"
    else:
        yield from _apiece(word, [of(j) for j in range(count)])


def _constant(constant: Fraction | Real) -> str:
    if isinstance(constant, Real):
        return f"formula {constant.formula()}"
    return f"{constant.numerator}/{constant.denominator}"


def _decision(decision: Decision) -> Iterator[str]:
    if decision.kind == "best":
        yield _counted("decision groups", (_counted("", group) for group in decision.groups))
    elif decision.kind == "tree":
        # "leaves": all of them vote, by the shares that reach them
        word = "leaves" if decision.routing == "distributed" else decision.routing
        yield f"decision {word} {len(decision.nodes) + 1} {' '.join(_tree(decision))}"
    else:
        yield "decision each"
    rows = [n for row in decision.weight for n in row]
    numbers, exponent = _whole([*rows, *decision.bias, decision.slack], decision.shift)
    yield f"classes {decision.class_count} {exponent}"
    width = len(decision.weight[0])
    for start in range(0, len(rows), width):
        yield _row(numbers[start : start + width])
    yield f"biases {_row(numbers[len(rows) : -1])}"
    yield f"slack {numbers[-1]}"


def _tree(decision: Decision) -> Iterator[str]:
    """In preorder: the prototype of a node, what is nearer to its left, and to its right."""
    waiting = [0]
    while waiting:
        index = waiting.pop()
        if index < 0:
            yield f"leaf {-1 - index}"
            continue
        node = decision.nodes[index]
        yield f"node {node.prototype}"
        waiting += [node.right, node.left]


def _domain(domain: Domain, head: Head) -> Iterator[str]:
    """The constraints; what a sphere, a ball or a simplex implies about channels is written out."""
    locations, channels = head.location_count, head.channels
    numbers: list[tuple[int, int]] = []
    if isinstance(domain, ReachDomain):
        yield from _reach(domain, locations, channels)
        return
    if isinstance(domain, BoxDomain):
        numbers = [hex_ratio(end) for end in (domain.lower, domain.upper) if end is not None]
        (low, *high), exponent = _over_one(numbers)
        yield f"domain {exponent} 1"
        yield f"everywhere {low} {high[0] if high else 'inf'}"
    elif isinstance(domain, SphereDomain | BallDomain | SimplexDomain):
        slack, unit = hex_ratio(domain.slack)
        one = [(0, 1), (unit - slack, unit), (unit + slack, unit)]
        (zero, least, most), exponent = _over_one(one)
        yield f"domain {exponent} 2"
        kind = "total" if isinstance(domain, SimplexDomain) else "norm"
        yield f"{kind} {zero if isinstance(domain, BallDomain) else least} {most}"
        yield f"everywhere {zero if kind == 'total' else -most} {most}"
    else:
        yield "domain 0 0"


def _reach(domain: ReachDomain, locations: int, channels: int) -> Iterator[str]:
    count = locations * channels
    texts = [domain.lower, domain.upper, *(bound.coefficients for bound in domain.bounds)]
    values = [decode_floats(text, count, np.float64) for text in texts]
    yield from _boxes(values, [hex_ratio(bound.bound) for bound in domain.bounds], locations)


def _parts(parts: Sequence[Latents | None]) -> Iterator[str]:
    """The domain of every part: a box of its own, and linear bounds."""
    held = [part for part in parts if part is not None]
    if parts:
        yield f"parts {len(held)}"
    for low, high, forms in held:
        values = [low, high, *(slopes for slopes, _ in forms)]
        yield from _boxes([v.ravel() for v in values], [bound for _, bound in forms], len(low))


def _boxes(values: Sequence[Array], bounds: Sequence[Ratio], locations: int) -> Iterator[str]:
    """Lower and upper ends, then the coefficients of linear bounds."""
    ratios = [value.as_integer_ratio() for array in values for value in array.tolist()]
    numbers, exponent = _over_one([*ratios, *bounds])
    count = values[0].size
    channels = count // locations
    lower, upper, forms = numbers[:count], numbers[count : 2 * count], numbers[2 * count :]
    yield f"domain {exponent} {locations + len(bounds)}"
    for location in range(locations):
        here = range(location * channels, (location + 1) * channels)
        yield f"box {location} " + " ".join(f"{lower[k]} {upper[k]}" for k in here)
    for index in range(len(bounds)):
        form = forms[index * count : (index + 1) * count]
        yield f"jointly {forms[len(bounds) * count + index]} {_row(form)}"


def _facts(facts: Sequence[Fact], uniform: bool) -> Iterator[str]:
    ends = [
        hex_ratio(end)
        for fact in facts
        for end in ((fact.bound,) if isinstance(fact, CeilingFact) else (fact.lower, fact.upper))
    ]
    numbers, exponent = _over_one(ends)
    yield f"facts {exponent} {len(facts)}"
    left = iter(numbers)
    for fact in facts:
        if isinstance(fact, CeilingFact):
            exempt, bound = _counted("", fact.exempt), next(left)
            yield f"no-nearer {bound} {exempt}" if uniform else f"no-more {-bound} {exempt}"
        else:
            place = f"pair {fact.location}" if isinstance(fact, PairFact) else "pooled"
            yield f"{place} {fact.prototype} {next(left)} {next(left)}"


def _latent(core: Core) -> Iterator[str]:
    here = core.instance
    values = decode_floats(here.latent, here.locations * here.channels, np.float32)
    yield from _table("latent", *float32_integers(values), here.channels)


def _claim(core: Core, decision: Decision) -> str:
    if decision.kind != "labels":
        return f"claim class {core.instance.predicted}"
    on = set(core.instance.labels)
    return _counted("claim labels", (f"{k} {'on' if k in on else 'off'}" for k in core.rivals))
