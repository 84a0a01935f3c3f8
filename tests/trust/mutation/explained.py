"""Mutants that no test can notice, and why: by file, a mutant's key, and the reason."""

from __future__ import annotations

_SIGMOID = "return 1 / (1 + (-x).exp()) if x > 0 else x.exp() / (1 + x.exp())"
_SOFTPLUS = "return t + (-t).exp().log1p() if t > 0 else t.exp().log1p()"
_ONE = "of numbers between 0 and 1 both expressions are known alike"
_NO_ZERO = "a constant of 0 is refused where the step is made"

EXPLAINED: dict[str, dict[str, str]] = {
    "kernel/arithmetic/outward.py": {
        f"sigmoid: Gt to GtE: {_SIGMOID}": "at 0 both expressions are 1/2",
        f"sigmoid: one more: {_SIGMOID}": _ONE,
    },
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
}
