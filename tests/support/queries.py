"""Random queries about tiny networks whose answers are known before anybody decides them.

The networks are written twice: as ONNX, and in numpy float64 here. A query is known to be
satisfiable where an input that this file computes satisfies it by a margin far above rounding, and
unsatisfiable where plain intervals, computed here, exclude every alternative by such a margin.
Nothing of the package takes part in that. What neither says is drawn again. :func:`tried` then asks
the package.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from protoproof.explanation.explainer import Explainer
from protoproof.network import load
from protoproof.query.decide import decide
from protoproof.query.language import parse_query
from tests.support.network.builders import EPSILON, node

Real = NDArray[np.float64]
CHANNELS_IN, CHANNELS, PROTOTYPES, CLASSES, GRID = 2, 2, 4, 3, (1, 2)
LOCATIONS = GRID[0] * GRID[1]
CLEAR = 1e-3  # by so much a known answer is clear of rounding
ACTIVATIONS = {
    "Sigmoid": lambda t: 1 / (1 + np.exp(-t)),
    "Relu": lambda t: np.maximum(t, 0.0),
    "Identity": lambda t: t,
}
SIMILARITIES = {
    "log_ratio": lambda q: np.log((q + 1) / (q + float(np.float32(EPSILON)))),
    "reciprocal": lambda q: 1 / (q + 1),
    "negated": lambda q: -q,
}


@dataclass(frozen=True)
class Tiny:
    """A network in numbers: latent [L, D], measurement [L, P], nearest [P], activation [P]."""

    last: str
    similarity: str
    encoder: Real
    shift: Real
    prototypes: Real
    weight: Real

    def latent(self, x: Real) -> Real:
        """Of an input [C, H, W]."""
        flat = x.reshape(CHANNELS_IN, LOCATIONS).T
        return np.asarray(ACTIVATIONS[self.last](flat @ self.encoder.T + self.shift))

    def latent_ends(self, low: Real, high: Real) -> tuple[Real, Real]:
        """Plain intervals of the latent over a box of inputs."""
        a, b = (end.reshape(CHANNELS_IN, LOCATIONS).T for end in (low, high))
        up, down = np.maximum(self.encoder, 0.0).T, np.minimum(self.encoder, 0.0).T
        act = ACTIVATIONS[self.last]
        return act(a @ up + b @ down + self.shift), act(b @ up + a @ down + self.shift)

    def measured(self, z: Real) -> Real:
        return np.asarray(((z[:, None] - self.prototypes) ** 2).sum(axis=2))

    def measured_ends(self, low: Real, high: Real) -> tuple[Real, Real]:
        a, b = low[:, None] - self.prototypes, high[:, None] - self.prototypes
        near = np.maximum(a, 0.0) + np.maximum(-b, 0.0)
        far = np.maximum(np.abs(a), np.abs(b))
        return (near**2).sum(axis=2), (far**2).sum(axis=2)

    def scores(self, nearest: Real) -> Real:
        return np.asarray(self.weight @ SIMILARITIES[self.similarity](nearest))

    def least(self, weights: Real, low: Real, high: Real) -> float:
        """A lower bound of weights . scores where the nearest measurements lie in [low, high]."""
        form = weights @ self.weight
        most, few = SIMILARITIES[self.similarity](low), SIMILARITIES[self.similarity](high)
        return float(np.maximum(form, 0.0) @ few + np.minimum(form, 0.0) @ most)

    def model(self) -> bytes:
        weights: dict[str, NDArray[Any]] = {
            "w": self.encoder.astype(np.float32).reshape(CHANNELS, CHANNELS_IN, 1, 1),
            "b": self.shift.astype(np.float32),
            "prototypes": self.prototypes.astype(np.float32).reshape(PROTOTYPES, CHANNELS, 1, 1),
            "head": self.weight.astype(np.float32),
            "axis_1": np.array([1]), "axis_2": np.array([2]),
            "one": np.array(1, dtype=np.float32), "epsilon": np.array(EPSILON, dtype=np.float32),
        }  # fmt: skip
        nodes = [
            node("Conv", ["input", "w", "b"], "c"),
            node(self.last, ["c"], "latent"),
            node("Unsqueeze", ["latent", "axis_1"], "wide"),
            node("Sub", ["wide", "prototypes"], "apart"),
            node("Mul", ["apart", "apart"], "square"),
            node("ReduceSum", ["square", "axis_2"], "measurement", keepdims=0),
            node("ReduceMin", ["measurement"], "nearest", keepdims=0, axes=[2, 3]),
            *self._similar(),
            node("Gemm", ["activation", "head"], "logits", transB=1),
        ]
        used = {name for each in nodes for name in each.input}
        graph = helper.make_graph(
            nodes, "tiny",
            [helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, CHANNELS_IN, *GRID])],
            [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, CLASSES])],
            [numpy_helper.from_array(v, k) for k, v in weights.items() if k in used],
        )  # fmt: skip
        opset = [helper.make_opsetid("", 17)]
        return bytes(
            helper.make_model(graph, ir_version=9, opset_imports=opset).SerializeToString()
        )

    def _similar(self) -> list[onnx.NodeProto]:
        if self.similarity == "negated":
            return [node("Neg", ["nearest"], "activation")]
        above = node("Add", ["nearest", "one"], "above")
        if self.similarity == "reciprocal":
            return [above, node("Div", ["one", "above"], "activation")]
        return [
            above,
            node("Add", ["nearest", "epsilon"], "below"),
            node("Div", ["above", "below"], "ratio"),
            node("Log", ["ratio"], "activation"),
        ]


def tiny(seed: int) -> Tiny:
    """A random network; its numbers have few bits, so that float32 holds them."""
    rng = np.random.default_rng(seed)

    def few(values: Real) -> Real:
        return np.round(values * 64) / 64

    owner = np.arange(PROTOTYPES) % CLASSES
    weight = np.where(owner == np.arange(CLASSES)[:, None], 1.0, -0.5)
    names = [*itertools.product(ACTIVATIONS, SIMILARITIES)]
    last, similarity = names[seed % len(names)]
    return Tiny(
        last,
        similarity,
        few(rng.normal(0, 1.0, (CHANNELS, CHANNELS_IN))),
        few(rng.normal(0, 0.3, CHANNELS)),
        few(rng.random((PROTOTYPES, CHANNELS))),
        few(weight + rng.normal(0, 0.1, weight.shape)),
    )


@dataclass(frozen=True)
class Case:
    """A query, what is known about it, and of which kind it is."""

    network: int
    kind: str
    text: str
    answer: str


Form = tuple[dict[int, int], float]  # sum of weights_k y_k <= limit
Condition = list[list[Form]]  # one of: all of


def spelled(value: float) -> str:
    """A float64 as VNN-LIB spells numbers, exactly."""
    top, bottom = Fraction(value).as_integer_ratio()
    places = bottom.bit_length() - 1
    digits = str(abs(top) * 5**places).zfill(places + 1)
    sign = "-" if top < 0 else ""
    return f"{sign}{digits[: len(digits) - places]}.{digits[len(digits) - places :] or '0'}"


def _condition(rng: np.random.Generator, y: Real) -> Condition:
    """About the scores: another class wins, a certain one does, by some lead, weighted sums."""
    best, *others = np.argsort(-y).tolist()
    kind = rng.integers(6)
    lead = float(np.round(rng.normal(0, 0.4) * 256) / 256)
    if kind == 0:
        return [[({best: 1, k: -1}, 0.0)] for k in others]
    if kind == 1:
        return [[({best: 1, int(rng.choice(others)): -1}, 0.0)]]
    if kind == 2:
        return [[({best: 1, int(rng.choice(others)): -1}, lead)]]
    if kind == 3:
        return [[({best: 2, others[0]: -1, others[1]: -1}, lead)]]
    if kind == 4:
        return [[({best: 1, k: -1}, 0.0), ({others[0]: 1, others[1]: -1}, lead)] for k in others]
    return [[({others[0]: 1, best: -1}, lead), ({others[1]: 1, best: -1}, lead)]]


def _written(condition: Condition) -> str:
    def form(weights: dict[int, int], limit: float) -> str:
        terms = [f"(* {w}.0 Y[0,{k}])" for k, w in weights.items()]
        if sorted(weights.values()) == [-1, 1] and not limit:
            less = next(k for k, w in weights.items() if w == 1)
            more = next(k for k, w in weights.items() if w == -1)
            return f"(<= Y[0,{less}] Y[0,{more}])"
        return f"(<= (+ {' '.join(terms)}) {spelled(limit)})"

    parts = [f"(and {' '.join(form(*each) for each in some)})" for some in condition]
    return f"(assert (or {' '.join(parts)}))"


def _box(name: str, places: list[str], low: Real, high: Real) -> str:
    ends = zip(places, low.reshape(-1).tolist(), high.reshape(-1).tolist(), strict=True)
    return "\n".join(
        f"(assert (and (>= {name}[{place}] {spelled(a)}) (<= {name}[{place}] {spelled(b)})))"
        for place, a, b in ends
    )


X_PLACES = [f"0,{c},0,{k}" for c in range(CHANNELS_IN) for k in range(LOCATIONS)]
Z_PLACES = [f"0,{d},0,{k}" for d in range(CHANNELS) for k in range(LOCATIONS)]
M_PLACES = [f"0,{j},0,{k}" for j in range(PROTOTYPES) for k in range(LOCATIONS)]
T_PLACES = [f"0,{j}" for j in range(PROTOTYPES)]


def _declared(kind: str) -> str:
    return f"""(vnnlib-version <2.0>)
(declare-network N
    (declare-input X {kind} [1,{CHANNELS_IN},{GRID[0]},{GRID[1]}])
    (declare-hidden Z {kind} [1,{CHANNELS},{GRID[0]},{GRID[1]}] "latent")
    (declare-hidden M {kind} [1,{PROTOTYPES},{GRID[0]},{GRID[1]}] "measurement")
    (declare-hidden T {kind} [1,{PROTOTYPES}] "nearest")
    (declare-hidden A {kind} [1,{PROTOTYPES}] "activation")
    (declare-output Y {kind} [1,{CLASSES}]))
"""


KINDS = ("inputs", "two boxes", "latent", "latent float32", "pooled", "activation", "somewhere",
         "linear", "both", "contradiction")  # fmt: skip


def cases(first: int, count: int) -> Iterator[Case]:
    """So many queries, one kind after the other."""
    for number in range(first, first + count):
        seed = 0
        while (found := _case(number, seed)) is None:
            seed += 1
        yield found


def _case(number: int, seed: int) -> Case | None:
    rng = np.random.default_rng((number, seed))
    kind = KINDS[number % len(KINDS)]
    network = int(number // 20)
    net = tiny(network)
    x = rng.random((CHANNELS_IN, *GRID)).astype(np.float32).astype(np.float64)
    z = net.latent(x)
    nearest = net.measured(z).min(axis=0)
    wanted = "sat" if number // len(KINDS) % 2 else "unsat"
    # of a satisfiable query the class that is to win is the one that does
    y = net.scores(nearest)
    condition = _condition(rng, y if wanted == "unsat" else -y)
    # halves of what is wide and narrow, so that both answers occur
    reach = float(np.ldexp(1.0, -int(rng.integers(2, 11))))
    make = {
        "inputs": _inputs, "two boxes": _two_boxes, "latent": _latent,
        "latent float32": _latent, "pooled": _pooled, "activation": _activation,
        "somewhere": _somewhere, "linear": _linear, "both": _both, "contradiction": _contradiction,
    }[kind]  # fmt: skip
    if kind == "latent float32":
        condition = [[({i: 1, k: -1}, 0.0) for i, k in _orders(each)] for each in condition]
    premises, low, high = make(net, x, reach)
    answer = _known(net, x, condition, low, high)
    if kind == "contradiction":
        answer = wanted = "unsat"
    if answer != wanted:
        return None
    declared = _declared("float32" if kind == "latent float32" else "real")
    return Case(network, kind, f"{declared}{premises}\n{_written(condition)}\n", answer)


def _orders(forms: list[Form]) -> list[tuple[int, int]]:
    """Comparisons of two scores each, which mean the same over float32 numbers."""
    found = []
    for weights, _ in forms:
        less = next(k for k, w in weights.items() if w > 0)
        more = next(k for k, w in weights.items() if w < 0)
        found.append((less, more))
    return found


def _known(net: Tiny, x: Real, condition: Condition, low: Real, high: Real) -> str | None:
    """The answer where it is clear: x satisfies everything else by construction."""
    y = net.scores(net.measured(net.latent(x)).min(axis=0))

    def value(weights: dict[int, int]) -> float:
        return sum(w * float(y[k]) for k, w in weights.items())

    if any(all(value(w) <= limit - CLEAR for w, limit in each) for each in condition):
        return "sat"

    def impossible(weights: dict[int, int], limit: float) -> bool:
        vector = np.array([weights.get(k, 0) for k in range(CLASSES)], dtype=np.float64)
        return net.least(vector, low, high) > limit + CLEAR

    if all(any(impossible(*form) for form in each) for each in condition):
        return "unsat"
    return None


Made = tuple[str, Real, Real]  # the premises, and ends of the nearest measurements under them


def _nearest_ends(net: Tiny, low: Real, high: Real) -> tuple[Real, Real]:
    first, last = net.measured_ends(low, high)
    return first.min(axis=0), last.min(axis=0)


def _inputs(net: Tiny, x: Real, reach: float) -> Made:
    low, high = x - reach, x + reach
    ends = _nearest_ends(net, *net.latent_ends(low, high))
    return _box("X", X_PLACES, low, high), *ends


def _two_boxes(net: Tiny, x: Real, reach: float) -> Made:
    """The box around the input, or one beside it, whose inputs are in the large box, too."""
    boxes = [(x - reach, x), (x, x + reach)]
    parts = []
    for low, high in boxes:
        ends = zip(X_PLACES, low.reshape(-1).tolist(), high.reshape(-1).tolist(), strict=True)
        each = (f"(>= X[{p}] {spelled(a)}) (<= X[{p}] {spelled(b)})" for p, a, b in ends)
        parts.append(f"(and {' '.join(each)})")
    ends_ = _nearest_ends(net, *net.latent_ends(x - reach, x + reach))
    return f"(assert (or {' '.join(parts)}))", *ends_


def _around(net: Tiny, x: Real, reach: float) -> tuple[Real, Real]:
    """A box of latents with few bits, well around the input's."""
    z = net.latent(x)
    return (np.floor((z - reach) * 4096) - 4) / 4096, (np.ceil((z + reach) * 4096) + 4) / 4096


def _near(x: Real) -> str:
    """Inputs so near that the search for one is short."""
    return _box("X", X_PLACES, x - 2.0**-12, x + 2.0**-12)


def _latent(net: Tiny, x: Real, reach: float) -> Made:
    low, high = _around(net, x, reach)
    text = _box("Z", Z_PLACES, low.T, high.T)
    return f"{_near(x)}\n{text}", *_nearest_ends(net, low, high)


def _pooled_ends(net: Tiny, x: Real, reach: float) -> tuple[Real, Real]:
    nearest = net.measured(net.latent(x)).min(axis=0)
    low = np.maximum(np.floor((nearest - reach) * 4096) - 4, 0) / 4096
    return low, (np.ceil((nearest + reach) * 4096) + 4) / 4096


def _pooled(net: Tiny, x: Real, reach: float) -> Made:
    low, high = _pooled_ends(net, x, reach)
    return f"{_near(x)}\n{_box('T', T_PLACES, low, high)}", low, high


def _activation(net: Tiny, x: Real, reach: float) -> Made:
    low, high = _pooled_ends(net, x, reach)
    of = SIMILARITIES[net.similarity]
    most, least = of(low) + 2.0**-12, of(high) - 2.0**-12
    ends = np.maximum(low - 0.01, 0.0), high + 0.01
    tight = (of(ends[0]) >= most).all() and (of(ends[1]) <= least).all()
    text = f"{_near(x)}\n{_box('A', T_PLACES, least, most)}"
    wide = np.zeros(PROTOTYPES), np.full(PROTOTYPES, 1e6)
    return (text, *ends) if tight else (text, *wide)


def _somewhere(net: Tiny, x: Real, reach: float) -> Made:
    """The nearest measurement, written out over all locations."""
    low, high = _pooled_ends(net, x, reach)
    lines = [_near(x)]
    for j, (a, b) in enumerate(zip(low.tolist(), high.tolist(), strict=True)):
        every = [f"M[0,{j},0,{k}]" for k in range(LOCATIONS)]
        lines += [f"(assert (>= {each} {spelled(a)}))" for each in every]
        lines.append(f"(assert (or {' '.join(f'(<= {each} {spelled(b)})' for each in every)}))")
    return "\n".join(lines), low, high


def _linear(net: Tiny, x: Real, reach: float) -> Made:
    """A box of latents, and a sum of two units between ends that the input's latent keeps."""
    low, high = _around(net, x, reach)
    total = float(net.latent(x).sum())
    every = " ".join(f"Z[{place}]" for place in Z_PLACES)
    text = _box("Z", Z_PLACES, low.T, high.T)
    ends = spelled(np.floor((total - reach) * 4096) / 4096), spelled(total + reach)
    text += f"\n(assert (>= (+ {every}) {ends[0]}))\n(assert (<= (+ {every}) {ends[1]}))"
    return f"{_near(x)}\n{text}", *_nearest_ends(net, low, high)


def _both(net: Tiny, x: Real, reach: float) -> Made:
    """A box of inputs, a box of latents, and the pooled measurements."""
    low, high = _pooled_ends(net, x, reach)
    first, _, _ = _inputs(net, x, reach)
    second, _, _ = _latent(net, x, reach)
    return f"{first}\n{second}\n{_box('T', T_PLACES, low, high)}", low, high


def _contradiction(net: Tiny, x: Real, reach: float) -> Made:
    text, low, high = _inputs(net, x, reach)
    return f"{text}\n(assert (> X[{X_PLACES[0]}] 9.0))", low, high


def answered(case: Case, explainer: Explainer) -> str:
    return decide(parse_query(case.text), explainer).word


def tried(first: int, count: int, folder: Path) -> tuple[Counter[str], list[str]]:
    """How often which answer was given, and the cases with a wrong one."""

    @cache
    def explainer(network: int) -> Explainer:
        path = folder / f"{network}.onnx"
        path.write_bytes(tiny(network).model())
        return Explainer(load(path))

    found: Counter[str] = Counter()
    wrong: list[str] = []
    for number, case in enumerate(cases(first, count), first):
        word = answered(case, explainer(case.network))
        found[f"{case.kind}: {case.answer}, answered {word}"] += 1
        if word in ("sat", "unsat") and word != case.answer:
            wrong.append(f"{number} ({case.kind})")
    return found, wrong


# one network, an input, and pieces of queries about it
NET = tiny(0)
HIDDEN = '(declare-hidden Z {t} [1,2,1,2] "latent") (declare-hidden M {t} [1,4,1,2] "measurement")'
HEAD = (
    "(vnnlib-version <2.0>)\n(declare-network N (declare-input X {t} [1,2,1,2])\n"
    + HIDDEN
    + "\n(declare-output Y {t} [1,3]))\n"
)
ANOTHER = "(declare-network K (declare-input A {t} [1]) (declare-output B {t} [1]))\n"
X = np.array([[[0.25, 0.5]], [[0.75, 0.125]]], dtype=np.float32)


def inputs(reach: float = 2.0**-10) -> str:
    ends = zip(X_PLACES, X.reshape(-1).tolist(), strict=True)
    return "".join(
        f"(assert (>= X[{p}] {spelled(v - reach)}))(assert (<= X[{p}] {spelled(v + reach)}))"
        for p, v in ends
    )


def latents(reach: float = 2.0**-10) -> str:
    z = np.round(NET.latent(X.astype(np.float64)) * 4096) / 4096
    ends = zip(Z_PLACES, z.T.reshape(-1).tolist(), strict=True)
    return "".join(
        f"(assert (>= Z[{p}] {spelled(v - reach)}))(assert (<= Z[{p}] {spelled(v + reach)}))"
        for p, v in ends
    )


def order() -> list[int]:
    nearest = NET.measured(NET.latent(X.astype(np.float64))).min(axis=0)
    return np.argsort(-NET.scores(nearest)).tolist()


BEST, SECOND, LAST = order()
OTHER = f"(assert (or (>= Y[0,{SECOND}] Y[0,{BEST}]) (>= Y[0,{LAST}] Y[0,{BEST}])))"
SAME = f"(assert (and (<= Y[0,{SECOND}] Y[0,{BEST}]) (<= Y[0,{LAST}] Y[0,{BEST}])))"
