"""Linear bounds of the latent, propagated back through the encoder to the inputs.

*Theorem* (Zhang et al., Efficient Neural Network Robustness Certification with General Activation
Functions, 2018; "CROWN"). Let f = <a, y> + b with y = op(x). If op is affine, f is <a W, x> plus a
constant. If op acts on single numbers and s x + t <= op(x) <= s' x + t' holds over bounds of x,
f is at least <a+ s + a- s', x> + <a+, t> + <a-, t'>. So a lower bound of a form of a tensor turns
into one of a form of the tensor before, and at the input it is bounded over the region.

*Rounding.* Every coefficient below is a float64 number that was *chosen*, next to the exact one.
What the choice leaves out, the exact coefficient less the chosen one times x, is at most the
rounding error times the magnitude of x, and the propagation has bounds of x already. The sum of all
that is lost, per form, is computed upwards and subtracted at the end. No coefficient is an
interval.

*Slopes.* Any slopes serve that the lines are proved for: the usual ones, or those that somebody
chose (Xu et al., Fast and Complete, 2021; "alpha-CROWN"); the intercepts are computed upwards
(``activation``). An operator without a rule here ends its
part of the form: <a, y> is bounded over the bounds of y that the propagation has. Stopping anywhere
is sound, so the best of all places counts.

*Sides.* Where a number x_u of a tensor is known to be on one side of a threshold t, that is
s (x_u - t) >= 0 with s = 1 or -1, any form f is at least f - b s (x_u - t) for every b >= 0 (weak
duality; Wang et al., Beta-CROWN, 2021). So a multiplier b changes one coefficient by -b s, and the
constant by b s t.

*Layers.* The lines of an activation depend on bounds of its input. Those are forms, too: one unit
each, bounded in the same way (:class:`LinearPropagation`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from protoproof.kernel.arithmetic import outward
from protoproof.kernel.arithmetic.outward import FLOOR, UNIT, Array, Range
from protoproof.kernel.budget import NODE, current, room, spend
from protoproof.kernel.encoder.activation import RELAXATIONS, Chosen, LinearRelaxation
from protoproof.kernel.encoder.affine import AFFINE, scale_of
from protoproof.kernel.encoder.interval import IntervalPropagation
from protoproof.kernel.encoder.operators import MOVES
from protoproof.kernel.encoder.parametric import ParametricSet
from protoproof.kernel.encoder.step import ReplayError, Step
from protoproof.kernel.model.graph import Graph
from protoproof.kernel.model.onnx_reader import OnnxNode

_MANY = 1 << 22  # numbers of the rows that are propagated at once
# What it costs to bound one number of a row, to pass it on, and to find the lines of one
# activation, in multiply-adds; lines of curves need balls.
_PER_NUMBER, _PER_LINE, _PER_CURVE = 256, 64, 1 << 18
# What it costs to pass any row through one operator, and copies of the rows that this needs.
_PER_NODE, _COPIES = 4 * NODE, 10


class Side(NamedTuple):
    """That a number (row-major) of a tensor is at least ``at``, or (not ``above``) at most."""

    tensor: str
    number: int
    at: float
    above: bool


class LinearPropagation(IntervalPropagation):
    """A propagation that bounds the inputs of activations by linear bounds, too.

    ``most``: layers with more units than this keep the bounds of the propagation. So do layers that
    are sums of products of the input itself, whose bounds are exact but for rounding.
    """

    def __init__(
        self, graph: Graph, start: Range, parametric: ParametricSet | None, most: int
    ) -> None:
        super().__init__(graph, start, parametric)
        self.most = most

    def _charge(self, order: Sequence[OnnxNode]) -> None:
        """Every layer of activations is propagated back through all operators before it, twice."""
        super()._charge(order)
        places = [place for place, node in enumerate(order, 1) if node.op_type in RELAXATIONS]
        current().afford("linear bounds of every layer", 2 * _PER_NODE * sum(places))

    def _run(self, node: OnnxNode) -> Range:
        if node.op_type in RELAXATIONS and node.input[0] in self.known:
            self._refine(node.input[0], node.op_type in ("Relu", "LeakyRelu"))
        return super()._run(node)

    def _refine(self, name: str, only_crossing: bool) -> None:
        """Units that are on one side of a ReLU's kink need no better bounds."""
        low, high = self.known[name]
        wanted = (low < 0) & (high > 0) if only_crossing else low < high
        units = np.flatnonzero(wanted)
        if low.size > self.most or not len(units) or self._first(name):
            return
        found = [low.ravel().copy(), -high.ravel()]
        step = _at_once(self)
        for start in range(0, len(units), step):
            some = units[start : start + step]
            rows = np.zeros((len(some), low.size))
            rows[np.arange(len(some)), some] = 1.0
            rows = rows.reshape(len(some), *low.shape[1:])
            for sign, end in zip((1.0, -1.0), found, strict=True):
                end[some] = np.maximum(end[some], least_of_forms(self, name, sign * rows))
        self.known[name] = Range(found[0].reshape(low.shape), -found[1].reshape(low.shape))

    def _first(self, name: str) -> bool:
        """Whether only operators that act on single numbers come before one sum of products."""
        sums = 0
        while name != self.input:
            node = self.graph.producers[name][0]
            computed = [i for i in node.input if i and not self.stored(i)]
            sums += node.op_type in AFFINE
            if len(computed) != 1 or (
                node.op_type not in AFFINE
                and node.op_type not in MOVES
                and scale_of(Step(self, node)) is None
            ):
                return False
            name = computed[0]
        return sums == 1


def least_of_forms(
    propagation: IntervalPropagation,
    tensor: str,
    rows: Array,
    chosen: Mapping[str, Chosen] | None = None,
    duals: Sequence[tuple[Side, float]] = (),
) -> Array:
    """Lower bounds of <row, y> for every y that the tensor can be over the propagation's inputs.

    Args:
        propagation: that has reached the tensor.
        tensor: the name of y.
        rows: [row, ...] float64, with the shape of y but for its first axis.
        chosen: slopes of the lines of some activations, by their output.
        duals: sides that hold over all that is propagated, each with its multiplier >= 0.

    Raises:
        ReplayError: too much work, or numbers that are not finite.
        CertificateError: slopes of no line.
    """
    some, chosen = _at_once(propagation), chosen or {}
    with np.errstate(all="ignore"):  # what is not finite is refused at the end
        parts = [rows[start : start + some] for start in range(0, len(rows), some)]
        found = np.concatenate(
            [_Forms(propagation, tensor, part, chosen, duals).run() for part in parts]
        )
    if not np.isfinite(found).all():
        raise ReplayError("a linear bound is not finite")
    return found


def _at_once(propagation: IntervalPropagation) -> int:
    """How many rows may be propagated together: they become as large as the largest tensor."""
    return max(1, _MANY // max(v.low.size for v in propagation.known.values()))


class _Forms:
    """Forms of several tensors at once whose sum, plus ``fixed``, is a lower bound."""

    def __init__(
        self,
        propagation: IntervalPropagation,
        tensor: str,
        rows: Array,
        chosen: Mapping[str, Chosen],
        duals: Sequence[tuple[Side, float]],
    ) -> None:
        self.propagation, self.open = propagation, {tensor: rows}
        self.chosen = chosen
        self.duals: dict[str, list[tuple[Side, float]]] = {}
        for side, dual in duals:
            self.duals.setdefault(side.tensor, []).append((side, dual))
        self.fixed = np.zeros(len(rows))
        self.best = np.full(len(rows), -np.inf)

    def run(self) -> Array:
        """From outputs to inputs: tensors are known in the order in which they were reached."""
        for name in reversed(list(self.propagation.known)):
            self._charge_sides(name)
            if name not in self.open:
                continue
            self._stop_here()
            if name == self.propagation.input:
                continue
            rows = self.open.pop(name)
            step = Step(self.propagation, self.propagation.graph.producers[name][0])
            spend("linear bounds", _PER_NODE + _PER_NUMBER * rows.size)
            room("linear bounds", 8 * _COPIES * rows.size)
            if not self._passed(step, rows):
                self._add(least(rows, self.propagation.known[name]))
        self._stop_here()
        return self.best

    def _charge_sides(self, name: str) -> None:
        """Subtract b s (x_u - t) for every side of a number of this tensor: see above."""
        for side, dual in self.duals.get(name, ()):
            if not dual:
                continue
            shape = self.propagation.known[name].low.shape
            row = np.zeros((len(self.fixed), *shape[1:]))
            spend("linear bounds", _PER_NODE + _PER_NUMBER * row.size)
            room("linear bounds", 8 * _COPIES * row.size)
            signed = dual if side.above else -dual
            row.reshape(len(row), -1)[:, side.number] = -signed
            self._keep(name, row)
            self._add(outward.below(np.full(len(row), signed * side.at)))

    def _stop_here(self) -> None:
        total = self.fixed
        for name, rows in self.open.items():
            bound = least(rows, self.propagation.known[name])
            parametric = self.propagation.parametric.get(name)
            if parametric is not None:
                flat = rows.reshape(len(rows), -1)
                zero = np.zeros(len(rows))
                along = parametric.affine(
                    flat, zero, lambda w, v: v.reshape(1, -1) @ w.T, flat.shape[1]
                )
                bound = np.maximum(bound, along.low[0])
            total = outward.below(total + bound)
        self.best = np.maximum(self.best, total)

    def _passed(self, step: Step, rows: Array) -> bool:
        """Whether the form got past a node, to what goes into it."""
        kind, names = step.node.op_type, list(step.node.input)
        if not any(name in self.propagation.known for name in names):
            return False  # computed from stored numbers alone: there is nothing to get past it
        if kind in AFFINE:
            self._affine(step, rows)
        elif kind in RELAXATIONS:
            self._lines(names[0], self._lines_of(step), rows)
        elif kind in MOVES:
            self._moved(step, rows)
        elif (scale := scale_of(step)) is not None:
            factor = scale.factor
            chosen = _middle(factor)
            away = outward.above(np.maximum(factor.high - chosen, chosen - factor.low))
            self._add(least(rows, scale.offset))
            self._push(scale.name, rows * chosen, np.abs(rows), away + UNIT * np.abs(chosen))
        elif kind in ("Add", "Sub") and not any(map(self.propagation.stored, names)):
            return self._sum(names, rows, -1.0 if kind == "Sub" else 1.0)
        else:
            return False
        return True

    def _affine(self, step: Step, rows: Array) -> None:
        """<a, W x + c> = <a W, x> + <a, c>; every number of a W is a sum of products."""
        linear, name = AFFINE[step.node.op_type](step), step.node.input[0]
        size = self.propagation.known[name].size
        spend("linear bounds", len(rows) * linear.work)
        room("linear bounds", 8 * _COPIES * len(rows) * size.size)
        reach = linear.apply(np.abs(linear.weight), size)  # sum_i |W_ji| |x_i|
        shape = reach.shape
        offset = np.broadcast_to(linear.offset, shape)
        self._add(least(rows, Range(offset, offset)))
        self._lose(np.abs(rows), (linear.back_terms + 16) * UNIT * reach, size)
        self._keep(name, linear.back(rows))

    def _lines_of(self, step: Step) -> LinearRelaxation:
        """The lines of a node. The usual ones are found once per walk, because the first bounds of
        x stay bounds."""
        kind, output = step.node.op_type, step.node.output[0]
        chosen = self.chosen.get(output)
        if chosen is not None or output not in self.propagation.lines:
            curved = kind in ("Sigmoid", "Tanh")
            spend("lines", (_PER_CURVE if curved else _PER_LINE) * step.data().low.size)
            lines = RELAXATIONS[kind](step, chosen)
            if chosen is not None:
                return lines
            self.propagation.lines[output] = lines
        return self.propagation.lines[output]

    def _lines(self, name: str, lines: LinearRelaxation, rows: Array) -> None:
        """Positive coefficients take the line below, negative ones that above."""
        up, down = np.maximum(rows, 0.0), np.minimum(rows, 0.0)
        self._add(least(up, Range(lines.low_offset, lines.low_offset)))
        self._add(least(down, Range(lines.high_offset, lines.high_offset)))
        slopes = np.where(rows >= 0, lines.low_slope, lines.high_slope)
        most = np.maximum(np.abs(lines.low_slope), np.abs(lines.high_slope))
        self._push(name, rows * slopes, np.abs(rows), UNIT * most)

    def _moved(self, step: Step, rows: Array) -> None:
        """Back to where the numbers came from: a permutation of positions tells."""
        name = step.node.input[0]
        shape = self.propagation.known[name].low.shape
        count = int(np.prod(shape))
        places = self.propagation.moved(
            step.node, np.arange(count, dtype=np.float64).reshape(shape)
        )
        flat = np.empty((len(rows), count))
        flat[:, places.ravel().astype(np.int64)] = rows.reshape(len(rows), -1)
        self._keep(name, flat.reshape(len(rows), *shape[1:]))

    def _sum(self, names: list[str], rows: Array, sign: float) -> bool:
        """Both terms of a sum, where nothing is broadcast."""
        shapes = {self.propagation.known[name].low.shape for name in names}
        if len(shapes) != 1 or next(iter(shapes))[1:] != rows.shape[1:]:
            return False
        self._keep(names[0], rows)
        self._keep(names[1], rows * sign)
        return True

    def _push(self, name: str, rows: Array, size: Array, error: Array) -> None:
        """Keep rows, each number of which is off by at most ``size * error``."""
        magnitude = self.propagation.known[name].size
        self._lose(size, error * magnitude, magnitude)
        self._keep(name, rows)

    def _keep(self, name: str, rows: Array) -> None:
        """A tensor that is used several times collects the sum of its forms."""
        before = self.open.get(name)
        if before is not None:
            rows = before + rows
            size = self.propagation.known[name].size
            self._lose(np.abs(rows), UNIT * size, size)
        self.open[name] = rows

    def _lose(self, rows: Array, error: Array, size: Array) -> None:
        """Subtract at least <rows, error>, all numbers of which are non-negative.

        The products and sums that lead to the result, those in ``error`` included, err by less than
        half of it (fewer than 2**50 operations in a row); FLOOR pays for what underflowed in a
        coefficient, times all magnitudes.
        """
        lost = 2.0 * (rows.reshape(len(rows), -1) @ error.ravel())
        self._add(-outward.above(lost + FLOOR * (1.0 + float(size.sum()))))

    def _add(self, bound: Array) -> None:
        self.fixed = outward.below(self.fixed + bound)


def least(rows: Array, values: Range) -> Array:
    """Lower bounds of <row, v> over all v in a box; [row]."""
    flat = rows.reshape(len(rows), -1)
    box = Range(values.low.reshape(1, -1), values.high.reshape(1, -1))
    zero = np.zeros(len(rows))
    found: Array = outward.affine(box, flat, zero, lambda w, v: v @ w.T, flat.shape[1]).low[0]
    return found


def _middle(values: Range) -> Array:
    return np.asarray(values.low / 2 + values.high / 2)
