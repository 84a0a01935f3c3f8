"""Mutants that are no mistakes, and why: by file, a mutant's key, and the reason.

Each computes the same, or says less; none of them can make a check accept what is false.
"""

from __future__ import annotations

from tests.trust.mutation.equivalent import EQUIVALENT

_SOFTPLUS = "return t + (-t).exp().log1p() if t > 0 else t.exp().log1p()"
_LEAST = "least = 0, head.factor**2 * squares[index] << 2 * (self._shift - head.shift)"
_LEADING = "leading = leading if leading > 0 else leading.lower()"
_START = "here, shape = _Range(low, high), Shape(1, convex=True, concave=True)"
_INSIDE = "return _Range(_least(low, high, *inside), _most(low, high, *inside))"
_NO_INNER = "the direction of what is inside does not enter a composition"
_SEEN = "what was looked at before is looked at again"
_LEAST_INSIDE = "of every function with extremes inside of a range, the least value is one of them"
_ONE = "of numbers between 0 and 1 both expressions are known alike"
_LENGTHS = "they have one length: one entry per prototype, or per point, that was asked for"
_FINER = "everything is over a finer unit: the numbers are the same"
_NO_SHIFT = "without a box both shifts are the head's: nothing is shifted, by whatever factor"
_COUNTED = "``charge`` and ``leading``, which are asked before, refuse other lengths"
_OTHER_LENGTH = "``box_minimum`` refuses a slope of another length than the box"
_VERTEX = "where the end is the vertex, its value is that of the vertex"
_LESS_CURVED = (
    "a lower bound of A, also one from 0 on, gives a lower bound: squares are not negative"
)
_NO_ZERO = "a constant of 0 is refused where the step is made"

EXPLAINED: dict[str, dict[str, str]] = {
    "kernel/model/primitives.py": {
        f"_softplus: Gt to GtE: {_SOFTPLUS}": "at 0 both expressions are log 2",
        f"_softplus: one more: {_SOFTPLUS}": _ONE,
        "_scaled: Gt to GtE: return (-math.inf, math.inf) if c > 0 else (math.inf, -math.inf)": (
            _NO_ZERO
        ),
        "_absolute: GtE to Gt: if t >= 0:": "at 0 both branches say from 0 to a hair",
        "_one_plus: Gt to GtE: if bent.direction is None or c > 0:": _NO_ZERO,
        "_log_one_plus: GtE to Gt: return Shape(-1, convex=True) if c >= 0 else "
        "Shape(1, concave=True)": _NO_ZERO,
        "_power: Lt to LtE: if c.q == 1 and 0 < c.p <= 8 and isinstance(t, fmpq):": _NO_ZERO,
        "_power_limits: Gt to GtE: return math.nan, math.inf if c > 0 else ZERO": _NO_ZERO,
        "_power_shape: Lt to LtE: if c < 0:": _NO_ZERO,
        "<lambda>: Gt to GtE: lambda t, c: t * c, lambda t, c: c, _scaled, "
        "lambda a, b, c: _line(1 if c > 0 else -1)": _NO_ZERO,
        '<lambda>: Gt to GtE: "one_plus": lambda c: math.inf if c > 0 else -math.inf,': _NO_ZERO,
    },
    "kernel/latent/measurer.py": {
        "Measurer.numerators: one more: finer, raised = 0, constants": (
            "constants times 1 are the constants"
        ),
        "Measurer.numerators: another truth: "
        "pairs = zip(products[index], raised, strict=True)": _LENGTHS,
        "Measurer.numerators: another truth: "
        "rows.append([n - twice * e + c for n, (e, c) in zip(own, pairs, strict=True)])": _LENGTHS,
        "Measurer._signed_squares: another truth: "
        "for row, square, denominator in zip(products, squares, denominators, strict=True):": (
            _LENGTHS
        ),
        "Measurer._signed_squares: one more: "
        "unit = math.lcm(*[n.denominator for length in set(lengths) for n in length[:2]])": (
            "a common factor of all numerators and units: the quotients are the same"
        ),
    },
    "kernel/latent/lagrangian.py": {
        "Lagrangian.__init__: Sub to Add: self._unit = max([2 * self._shift, "
        "*(end[1].bit_length() - 1 for end in known)])": _FINER,
        "Lagrangian.__init__: one less (3): self._unit = max([2 * self._shift, "
        "*(end[1].bit_length() - 1 for end in known)])": _FINER,
        "Lagrangian.charge: another truth: "
        "for t, (low, high) in zip(multipliers, self._charges, strict=True):": (
            "their lengths are compared before"
        ),
        "Lagrangian.charge: Gt to GtE: end = high if t > 0 else low": "a t of 0 charges nothing",
        f"Lagrangian.rows: LShift to RShift: {_LEAST}": _NO_SHIFT,
        f"Lagrangian.rows: one more (3): {_LEAST}": _NO_SHIFT,
        f"Lagrangian.rows: one less (2): {_LEAST}": _NO_SHIFT,
        "Lagrangian._added: another truth: "
        "for t, constraint in zip(multipliers[count:], self._constraints, strict=True):": _COUNTED,
        "Lagrangian._added: another truth: "
        "slope = [g + step * n for g, n in zip(slope, constraint.slope, strict=True)]": (
            _OTHER_LENGTH
        ),
        "Lagrangian.form: another truth: "
        "slope = [g - step * n for g, n in zip(slope, normal, strict=True)]": _OTHER_LENGTH,
        "Lagrangian._squares: another truth: "
        "pairs = list(zip(prototypes, (row[:count] for row in theta), strict=True))": (
            "``rows`` refuses another number of rows than of prototypes"
        ),
        "Lagrangian._squares: one less: if count == 1:": (
            "the matrices say the same of one fact, and cost more"
        ),
        "Lagrangian._squares: another truth: "
        "for (j, row), product in zip(pairs, products, strict=True)": (
            "both have an entry per row"
        ),
        "unit_ball: one more (4): return [Constraint(1, [0] * head.channels, (0, 1), (1, 1))]": (
            "0 over 2 is 0"
        ),
        "box_minimum: GtE to Gt: if low is not None and 2 * leading * low >= -g:": _VERTEX,
        "box_minimum: LtE to Lt: elif high is not None and 2 * leading * high <= -g:": _VERTEX,
        f"ball_minimum: Gt to GtE: {_LEADING}": _LESS_CURVED,
        f"ball_minimum: Gt to Lt: {_LEADING}": _LESS_CURVED,
        f"ball_minimum: one more: {_LEADING}": _LESS_CURVED,
    },
    "kernel/model/chain.py": {
        f"Chain._shape: one more: {_START}": _NO_INNER,
        f"Chain._shape: one less: {_START}": _NO_INNER,
        "Chain._through: another truth: "
        "for name, constants in zip(self._names, self._constants, strict=True):": (
            "they are made together, one of each for a step"
        ),
        "Chain.require_decreasing: one more: "
        "key = str(low), str(high), 0 if self.uniform else prototype": (
            "some number, which is the same for all prototypes"
        ),
        "Chain.require_decreasing: without Continue: continue": _SEEN,
        "Chain.require_decreasing: without Expr: seen.add(key)": _SEEN,
        "_shape: one more: return PRIMITIVES[name].shape(fmpq(1), math.inf, c)": (
            "the shape is the same from every positive number on"
        ),
        '_at_pole: Gt to GtE: positive = name != "log_one_plus" or c > 0': _NO_ZERO,
        f"_image: low to high: {_INSIDE}": _LEAST_INSIDE,
        f"_image: high to low: {_INSIDE}": _LEAST_INSIDE,
        "_most: one less: for end in known[1:]:": "the first is compared with itself",
    },
}
EXPLAINED |= {
    module: {key: reason for reason, keys in reasons.items() for key in keys}
    for module, reasons in EQUIVALENT.items()
}
