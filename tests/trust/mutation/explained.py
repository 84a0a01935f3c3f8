"""Mutants that no test can notice, and why: by file, a mutant's key, and the reason."""

from __future__ import annotations

_SIGMOID = "return 1 / (1 + (-t).exp()) if t > 0 else t.exp() / (1 + t.exp())"
_SOFTPLUS = "return t + (-t).exp().log1p() if t > 0 else t.exp().log1p()"

EXPLAINED: dict[str, dict[str, str]] = {
    "kernel/model/primitives.py": {
        f"sigmoid: Gt to GtE: {_SIGMOID}": "at 0 both expressions are 1/2",
        f"_softplus: Gt to GtE: {_SOFTPLUS}": "at 0 both expressions are log 2",
        "_scaled: Gt to GtE: return (-math.inf, math.inf) if c > 0 else (math.inf, -math.inf)": (
            "a factor of 0 is refused where the step is made"
        ),
        "_power: one more (2): if c.q == 1 and 0 < c.p <= 8 and isinstance(t, fmpq):": (
            "how far powers stay exact: the ball of the ninth holds the same number"
        ),
    },
}
