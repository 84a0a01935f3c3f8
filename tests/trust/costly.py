"""Small files that ask for much: every way that was ever found, and more of them.

Each case is a model and a certificate of at most some megabytes. A check of them ends, refused or
undecided, within a minute and 2 GiB; whether it does is measured in a process of its own
(``tests.trust.spent``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.parser import parse_graph

from protoproof.certificate import read_certificate
from protoproof.certificate.cases import CaseTree, ChannelSplit, DistanceSplit, Leaf, PlaceSplit
from protoproof.certificate.partition import InputCut, Part, PartForm, PartNode, UnitCut
from protoproof.certificate.schema import (
    BoxDomain,
    CeilingFact,
    Core,
    Cover,
    DomainBlock,
    FreeDomain,
    ImpliedBound,
    Instance,
    IntervalEvidence,
    ModelIdentity,
    Move,
    Packing,
    PairBlock,
    PairFact,
    PlaceMultipliers,
    ReachDomain,
    Refutation,
    RivalForm,
    Rows,
    SizeBound,
    Split,
    Tangent,
    Witness,
)
from tests.support.kernel import hostile
from tests.support.kernel.builders import INPUT, file
from tests.support.kernel.hostile import Files, about, numbers, tiny
from tests.support.kernel.models import sha256

WIDEST = ((1.0).hex(), (2.0**60).hex())
FAR = "0x1.0000000000001p-1000"


def graph(nodes: str, constants: dict[str, Any], shape: tuple[int, ...]) -> bytes:
    """A model from the tensor z of a shape to y, from the nodes' text."""
    made = parse_graph(f"g (float[1] z) => (float[1] y) {{ {nodes} }}")
    del made.input[:], made.output[:]
    made.input.append(helper.make_tensor_value_info("z", TensorProto.FLOAT, shape))
    made.output.append(helper.make_tensor_value_info("y", TensorProto.FLOAT, None))
    for name, values in constants.items():
        array = np.asarray(values)
        kind = np.int64 if array.dtype.kind == "i" else np.float32
        made.initializer.append(numpy_helper.from_array(array.astype(kind), name))
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    return bytes(model.SerializeToString(deterministic=True))


def claim(
    model: bytes, shape: tuple[int, int], kinds: tuple[str, str, str], **changes: Any
) -> Core:
    """A certificate without facts about ``y``, at the latent 0: L and D, and the kinds of head."""
    locations, channels = shape
    fields: dict[str, Any] = {
        "tool": "tests",
        "level": "R",
        "model": ModelIdentity(
            sha256=sha256(model), latent=("z",), output="y", geometry=kinds[0],
            pooling=(kinds[1],), decision=kinds[2],
            routing=changes.pop("routing", "distributed") if kinds[2] == "tree" else None,
        ),
        "instance": Instance(
            input_sha256=INPUT, locations=locations, channels=channels,
            latent=numbers(np.zeros(locations * channels), "<f4"), predicted=0,
        ),
        "domain": FreeDomain(),
        "vocabulary": "pairs",
        "premises": "interval",
        "facts": (),
        "rivals": (1,),
        "evidence": IntervalEvidence(),
    }  # fmt: skip
    return Core(**{**fields, **changes})


DISTANCES = """u = Unsqueeze(z, axis1) s = Sub(u, p) q = Mul(s, s)
    d = ReduceSum<keepdims=0>(q, axis2) n = Neg(d)"""


def points(count: int, channels: int) -> np.ndarray:
    return np.random.default_rng(0).random((count, channels)).astype(np.float32)


def groups(count: int, classes: int) -> Files:
    """The best of every group: as many classes as groups."""
    model = graph(
        "u = Unsqueeze(z, axis1) s = Sub(u, p) q = Mul(s, s) d = ReduceSum<keepdims=0>(q, last) "
        "n = Neg(d) r = Reshape(n, pairs) y = ReduceMax<keepdims=0>(r, last)",
        {
            "axis1": [1],
            "last": [-1],
            "p": points(count, 1),
            "pairs": [1, classes, count // classes],
        },
        (1, 1),
    )
    rivals = tuple(range(1, classes))
    kinds = ("euclidean", "nearest", "best")
    return Files(model, file(claim(model, (1, 1), kinds, rivals=rivals)))


def largest(side: int, count: int, k: int) -> Files:
    """The mean of the k largest of very many locations."""
    model = graph(
        DISTANCES + " g = Exp(n) h = Reshape(g, flat) v, i = TopK(h, k) "
        "a = ReduceMean<keepdims=0>(v, last) y = Gemm<transB=1>(a, w)",
        {"axis1": [1], "axis2": [2], "last": [-1], "flat": [1, count, -1], "k": [k],
         "p": points(count, 1).reshape(1, count, 1, 1, 1),
         "w": np.ones((2, count)) * [[1], [-1]]},
        (1, 1, side, side),
    )  # fmt: skip
    kinds = ("euclidean", "k-largest mean", "linear")
    return Files(model, file(claim(model, (side * side, 1), kinds)))


def tree(depth: int, routing: str = "distributed", shared: bool = False) -> Files:
    """A tree that is one long path: every node has a leaf; or whose nodes all lead to the same."""
    text = [DISTANCES, "mx = GlobalMaxPool(n) f = Flatten(mx) route = Exp(f)"]
    names = ", ".join(f"s{k}" for k in range(depth))
    text.append(f"{names} = Split<axis=1, num_outputs={depth}>(route)" if depth > 1 else "")
    below = "last_leaf"
    for k in reversed(range(depth)):
        other = below if shared else f"l{k}"
        text.append(f"o{k} = Sub(one, s{k}) a{k} = Mul(o{k}, {other}) b{k} = Mul(s{k}, {below})")
        text.append(f"{'y' if not k else f't{k}'} = Add(a{k}, b{k})")
        below = f"t{k}"
    leaves = {f"l{k}": np.array([[k % 2, 1.0 - k % 2]]) for k in range(depth)}
    model = graph(
        " ".join(text),
        {"axis1": [1], "axis2": [2], "one": 1.0, "last_leaf": [[1.0, 0.0]],
         "p": points(depth, 1).reshape(1, depth, 1, 1, 1), **leaves},
        (1, 1, 2, 2),
    )  # fmt: skip
    kinds = ("euclidean", "nearest", "tree")
    return Files(model, file(claim(model, (4, 1), kinds, routing=routing)))


def grown_constant(times: int) -> Files:
    """A constant that is squared again and again: twice as many digits every time."""
    squares = " ".join(f"c{k + 1} = Mul(c{k}, c{k})" for k in range(times))
    model = graph(
        f"{squares} u = Mul(z, c{times}) m = ReduceMax<keepdims=0>(u, places) "
        "y = Gemm<transB=1>(m, w)",
        {"places": [2, 3], "c0": 1.5, "w": [[1.0], [-1.0]]}, (1, 1, 2, 2),
    )  # fmt: skip
    return Files(model, file(claim(model, (4, 1), ("linear", "nearest", "linear"))))


def doubled(times: int, how: str) -> Files:
    """A value that is used twice, again and again."""
    step = {"Add": "x{k}, x{k}", "Mul": "x{k}, x{k}", "Concat": "x{k}, x{k}"}[how]
    attribute = "<axis=1>" if how == "Concat" else ""
    steps = " ".join(f"x{k + 1} = {how}{attribute}({step.format(k=k)})" for k in range(times))
    model = graph(
        f"x0 = Neg(z) {steps} m = ReduceMax<keepdims=0>(x{times}, places) y = Gemm<transB=1>(m, w)",
        {"places": [2, 3], "w": [[1.0], [-1.0]]}, (1, 1, 2, 2),
    )  # fmt: skip
    return Files(model, file(claim(model, (4, 1), ("linear", "nearest", "linear"))))


def expanded(kind: str) -> Files:
    """A tensor whose size a stored number says, between latent and scores."""
    text = {
        "Expand": "x = Expand(z, sizes)", "Tile": "x = Tile(z, sizes)",
        "Gather": "r = Range(zero, many, step) x = Gather<axis=1>(z, r)",
        "ConstantOfShape": "e = ConstantOfShape(sizes) x = Add(z, e)",
        "Pad": "x = Pad(z, pads)", "OneHot": "x = OneHot<axis=1>(idx, many, values)",
    }[kind]  # fmt: skip
    model = graph(
        f"{text} m = ReduceMax<keepdims=0>(x, places) y = Gemm<transB=1>(m, w)",
        {"places": [2, 3], "w": [[1.0], [-1.0]], "sizes": [1 << 10] * 4, "zero": 0,
         "many": 1 << 40, "step": 1, "pads": [0, 0, 0, 0, 0, 1 << 20, 1 << 20, 1 << 20],
         "idx": [0], "values": [0.0, 1.0]}, (1, 1, 2, 2),
    )  # fmt: skip
    return Files(model, file(claim(model, (4, 1), ("linear", "nearest", "linear"))))


def unit_cases(depth: int) -> Files:
    """A region in cases, two for every cut, each with a form and a multiplier for every cut."""
    here = tiny(100, channels=16, side=7)
    core = read_certificate(hostile.over_a_ball(here, here.data, 1 << 20).certificate).core
    unit = core.model.latent[0]
    ones = numbers(np.ones(16 * 49), "<f8")
    form = PartForm(coefficients=ones, duals=((1.0).hex(),) * depth)
    nodes: list[PartNode] = []

    def cut(left: int) -> None:
        if not left:
            nodes.append(Part(forms=(form,)))
            return
        nodes.append(UnitCut(tensor=unit, number=left, at=(0.0).hex()))
        cut(left - 1)
        cut(left - 1)

    cut(depth)
    return Files(here.data, file(core.model_copy(update={"parts": tuple(nodes)})))


def parts(count: int) -> Files:
    """A region in many parts, each of which is walked."""
    here = tiny(100, channels=16, side=7)
    base = hostile.over_a_ball(here, here.data, None)
    core = read_certificate(base.certificate).core
    nodes: list[PartNode] = []

    def cut(low: float, high: float, left: int) -> None:
        if left == 1:
            nodes.append(Part())
            return
        middle = (low + high) / 2
        nodes.append(InputCut(number=0, at=middle.hex()))
        cut(low, middle, left // 2)
        cut(middle, high, left - left // 2)

    cut(-0.5, 0.5, count)
    return Files(here.data, file(core.model_copy(update={"parts": tuple(nodes)})))


def moves(locations: int, channels: int, keep: int) -> tuple[Move, ...]:
    """A direction that keeps as many measurements, at every location."""
    direction = numbers(points(1, channels)[0], "<f4")
    return tuple(
        Move(location=k, keep=tuple(range(keep)), direction=direction) for k in range(locations)
    )


def random_tiny(count: int, channels: int, side: int) -> Any:
    return replace(tiny(count, channels, side), prototypes=points(count, channels))


def kept(count: int, channels: int, keep: int) -> Files:
    """Contrasts whose latents keep many measurements: exact projections, again and again."""
    here = random_tiny(keep + 1, channels, 1)
    contrasts = (Refutation(rival=1, moves=moves(1, channels, keep)),) * count
    return Files(here.data, file(about(here, here.data, contrasts=contrasts)))


def witnesses(count: int, channels: int, keep: int) -> Files:
    here = random_tiny(keep + 1, channels, 1)
    fact = PairFact(location=0, prototype=0, lower=FAR, upper=WIDEST[1])
    facts = tuple(fact.model_copy(update={"prototype": j}) for j in range(keep + 1))
    found = tuple(
        Witness(fact=k % len(facts), rival=1, moves=moves(1, channels, keep)) for k in range(count)
    )
    core = about(here, here.data, facts=facts, premises="interval", witnesses=found)
    return Files(here.data, file(core))


def covers(prototypes: int, refutations: int, depth: int, weights: int) -> Files:
    """A proof of size by many cases, each of which weighs many refutations."""
    here = tiny(prototypes)
    refuted = (Refutation(rival=1, moves=moves(1, 1, 0)),) * refutations
    packed = Packing(scale=1 << 40, weights=tuple((k % refutations, 1) for k in range(weights)))
    nodes: list[Any] = []
    for k in range(depth):
        nodes += [Split(fact=k % prototypes), packed]
    nodes.append(packed)
    bound = SizeBound(refutations=refuted, covers=(Cover(ceilings=None, nodes=tuple(nodes)),))
    return Files(here.data, file(about(here, here.data, size_bound=bound)))


def ceiling_covers(prototypes: int) -> Files:
    """Every ceiling by itself, all of them refuted by every refutation."""
    here = tiny(prototypes)
    refuted = (Refutation(rival=1, moves=moves(1, 1, 0)),) * 200
    cover = tuple(
        Cover(ceilings=(t, t), nodes=(Packing(scale=1, weights=((0, 1),)),))
        for t in range(prototypes)
    )
    bound = SizeBound(refutations=refuted, covers=cover)
    return Files(here.data, file(about(here, here.data, size_bound=bound, vocabulary="ceiling")))


def cases(prototypes: int, locations: int, depth: int, kind: str) -> Files:
    """A margin by cases of cases."""
    side = int(locations**0.5)
    here = tiny(prototypes, side=side)
    nodes: list[Any] = []
    for k in range(depth):
        at = (k / 64).hex()
        split: Any = DistanceSplit(location=k % locations, prototype=k % prototypes, at=at)
        if kind == "channel":
            split = ChannelSplit(location=k % locations, channel=0, at=at)
        if kind == "place":
            split = PlaceSplit(prototype=k % prototypes, locations=tuple(range(locations - 1)))
            nodes += [split, *([Leaf()] * (locations - 1))]
            continue
        nodes += [split, Leaf()]
    nodes.append(Leaf())
    evidence = IntervalEvidence(cases=(CaseTree(rival=1, nodes=tuple(nodes)),))
    more: dict[str, Any] = {}
    if kind == "channel":
        here = replace(here, operator="Relu")
        more["domain"] = BoxDomain(lower=(0.0).hex(), upper=None)
    core = about(here, here.data, evidence=evidence, **more)
    return Files(here.data, file(core))


def long_rows(prototypes: int, channels: int, facts: int, copies: int, box: bool) -> Files:
    """Multipliers of 300 digits, for every prototype, again and again."""
    here = replace(random_tiny(prototypes, channels, 1), operator="Sigmoid")
    theta = tuple(tuple([10**300 + k] * facts) for k in range(prototypes))
    rows = Rows(prototypes=tuple(range(prototypes)), theta=theta)
    make = DomainBlock if box else PairBlock
    blocks = tuple(
        make(location=0, facts=tuple(range(facts)), shift=256 - k, lower=rows, upper=rows)
        for k in range(copies)
    )
    named = tuple(
        PairFact(location=0, prototype=j, lower=FAR, upper=WIDEST[1]) for j in range(facts)
    )
    word = "domain_blocks" if box else "blocks"
    core = about(
        here, here.data, facts=named, premises="interval",
        evidence=IntervalEvidence(**{word: blocks}),
        domain=BoxDomain(lower=(0.0).hex(), upper=(1.0).hex()) if box else FreeDomain(),
    )  # fmt: skip
    return Files(here.data, file(core))


def long_forms(prototypes: int, channels: int, copies: int) -> Files:
    """Forms about every prototype with multipliers of every fact."""
    here = random_tiny(prototypes, channels, 1)
    named = tuple(
        PairFact(location=0, prototype=j, lower=FAR, upper=WIDEST[1]) for j in range(prototypes)
    )
    one = RivalForm(
        rival=1,
        supports=tuple(Tangent(prototype=j, location=0, at=FAR) for j in range(0, prototypes, 2)),
        opposes=(),
        multipliers=(
            PlaceMultipliers(
                location=0, facts=tuple(range(prototypes)), shift=256, mu=(10**300,) * prototypes
            ),
        ),
    )
    core = about(
        here, here.data, facts=named, premises="interval",
        evidence=IntervalEvidence(forms=(one,) * copies),
    )  # fmt: skip
    return Files(here.data, file(core))


def implied(prototypes: int, channels: int, count: int) -> Files:
    """Bounds that activations imply, with a stretch of a thousand bits."""
    from protoproof.certificate.schema import ActivationFact

    here = random_tiny(prototypes, channels, 1)
    facts = tuple(
        ActivationFact(prototype=j, lower=FAR, upper=WIDEST[1]) for j in range(prototypes)
    )
    bounds = tuple(
        ImpliedBound(prototype=k % prototypes, via=(k * 7 + 1) % prototypes, stretch=FAR)
        for k in range(count)
    )
    core = about(
        here, here.data, facts=facts, vocabulary="mixed", premises="interval",
        evidence=IntervalEvidence(implied=bounds),
    )  # fmt: skip
    return Files(here.data, file(core))


def ceilings(prototypes: int, count: int) -> Files:
    """Many ceilings, each of which exempts nothing."""
    here = tiny(prototypes)
    facts = tuple(CeilingFact(bound=FAR, exempt=(k % prototypes,)) for k in range(count))
    core = about(here, here.data, facts=facts, vocabulary="mixed", premises="interval")
    return Files(here.data, file(core))


def pairs(side: int, prototypes: int, count: int) -> Files:
    """A fact about every pair there is, and about every pair again."""
    here = tiny(prototypes, side=side)
    facts = tuple(
        PairFact(location=k % (side * side), prototype=k % prototypes, lower=FAR, upper=WIDEST[1])
        for k in range(count)
    )
    return Files(here.data, file(about(here, here.data, facts=facts, premises="interval")))


def a_tie(prototypes: int) -> Files:
    """Two classes that never differ, in numbers that no precision separates."""
    here = tiny(prototypes, channels=2)
    weight = np.random.default_rng(1).random((1, prototypes)).astype(np.float32)
    here = replace(here, weight=np.repeat(weight, 2, axis=0))
    return Files(here.data, file(about(here, here.data)))


def bounds_of_reach(side: int, channels: int, count: int) -> Files:
    """Linear bounds over all locations, as many as a file holds."""
    here = tiny(4, channels=channels, side=side)
    size = here.locations * channels
    ones = numbers(np.ones(size), "<f8")
    from protoproof.certificate.schema import LinearBound

    domain = ReachDomain(
        lower=numbers(np.full(size, -1e300), "<f8"), upper=numbers(np.full(size, 1e300), "<f8"),
        bounds=(LinearBound(coefficients=ones, bound=FAR),) * count, source="tests",
    )  # fmt: skip
    return Files(here.data, file(about(here, here.data, domain=domain)))


def rivals(classes: int, prototypes: int) -> Files:
    """Very many classes."""
    here = tiny(prototypes)
    weight = np.zeros((classes, prototypes), np.float32)
    weight[0] = 1
    here = replace(here, weight=weight)
    return Files(here.data, file(about(here, here.data, rivals=tuple(range(1, classes)))))


def borrowed(tensors: int) -> Files:
    """Many tensors of zeros that no operator takes."""
    here = tiny()
    proto = onnx.load_model_from_string(here.data)
    one = numpy_helper.from_array(np.zeros(1 << 16, np.float32), "more")
    for k in range(tensors):
        copy = proto.graph.initializer.add()
        copy.CopyFrom(one)
        copy.name = f"more{k}"
    data = bytes(proto.SerializeToString(deterministic=True))
    return Files(data, file(about(here, data)))


CASES: dict[str, Callable[[], Files]] = {
    # as they were found
    "locations times prototypes": lambda: hostile.many_measurements(300, 2000),
    "every tensor of a walk": lambda: hostile.large_tensors(600, 150, 9),
    "refutations times prototypes, squared": lambda: hostile.many_refutations(4000, 4000),
    "4,096 parts": lambda: parts(4096),
    "cases of units": lambda: unit_cases(10),
    "each layer through all before": lambda: hostile.many_layers(400),
    # further measurements, rows and forms
    "locations": lambda: hostile.many_measurements(1500, 20),
    "a fact about every pair": lambda: pairs(30, 997, 200_000),
    "ceilings times prototypes": lambda: ceilings(20_000, 20_000),
    "rows of long multipliers": lambda: long_rows(100, 16, 40, 20, box=False),
    "rows of long multipliers over a box": lambda: long_rows(60, 64, 30, 10, box=True),
    "forms of long multipliers": lambda: long_forms(300, 64, 30),
    "implied bounds": lambda: implied(2000, 64, 100_000),
    "linear bounds of a reach": lambda: bounds_of_reach(30, 8, 200),
    "a tie": lambda: a_tie(20_000),
    "classes": lambda: rivals(100_000, 10),
    # latents that lose
    "contrasts that keep much": lambda: kept(300, 128, 100),
    "witnesses that keep much": lambda: witnesses(200, 96, 80),
    # sizes
    "cases of a size": lambda: covers(2000, 100, 3000, 100),
    "weights of a size": lambda: covers(200, 2000, 20, 20_000),
    "every ceiling of a size": lambda: ceiling_covers(4000),
    # cases of a margin
    "distances, case by case": lambda: cases(500, 49, 20, "distance"),
    "deep cases": lambda: cases(20, 4, 3000, "distance"),
    "channels, case by case": lambda: cases(300, 4, 200, "channel"),
    "places, case by case": lambda: cases(50, 900, 20, "place"),
    # other heads
    "groups": lambda: groups(40_000, 20_000),
    "few large groups": lambda: groups(60_000, 3),
    "the largest of many": lambda: largest(120, 40, 7000),
    "a long tree": lambda: tree(900),
    "the largest leaf of a long tree": lambda: tree(400, "sample-max"),
    "the way down a long tree": lambda: tree(900, "greedy"),
    "a tree of one subtree": lambda: tree(60, shared=True),
    # graphs
    "a constant squared": lambda: grown_constant(40),
    "added to itself": lambda: doubled(2000, "Add"),
    "multiplied by itself": lambda: doubled(60, "Mul"),
    "put beside itself": lambda: doubled(40, "Concat"),
    "expanded": lambda: expanded("Expand"),
    "tiled": lambda: expanded("Tile"),
    "gathered": lambda: expanded("Gather"),
    "a constant of a shape": lambda: expanded("ConstantOfShape"),
    "padded": lambda: expanded("Pad"),
    "one-hot": lambda: expanded("OneHot"),
    "tensors that nobody uses": lambda: borrowed(40),
}
