"""Whether a graph computes its head in the steps that its statement has.

The theorem about float32 executes a head step by step as it is stated. The checker reads heads
over the real numbers, where a number that is added and taken away again leaves no trace. So a graph
counts as stepwise only if it has no more operators that round than its statement has steps.
"""

from __future__ import annotations

from protoproof.kernel.float32.budget import rounding
from protoproof.kernel.model.file import BoundHead
from protoproof.kernel.model.head import Head

# extremes, signs, comparisons and layout are exact; sums are described in any order
_ROUNDING = frozenset(
    {
        "Add", "Div", "Elu", "Exp", "HardSigmoid", "HardSwish", "LayerNormalization", "LeakyRelu",
        "Log", "LogSoftmax", "LpNormalization", "Mod", "Mul", "PRelu", "Pow", "Reciprocal",
        "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceProd", "Sigmoid",
        "Softmax", "Softplus", "Softsign", "Sqrt", "Sub", "Tanh",
    }
)  # fmt: skip
# of one measurement, as each form writes it
_MEASURED = {"direct": 2, "expanded": 4, "product": 0, "angle": 3}
_EXACT = {"max", "min", "abs", "zero_below"}
_TWO = {"one_plus", "div_root"}


def stepwise(bound: BoundHead) -> bool:
    """Whether the statement of a head accounts for every operator that rounds."""
    found = rounding(bound)
    if found.execution is None:
        return False
    head, form = bound.head, found.execution.form
    made = sum(operator.kind in _ROUNDING for operator in found.known.here.done)
    banks = len(bound.latents)
    return made <= banks * (_measured(head, form) + _similar(head, form)) + _decided(head, banks)


def _measured(head: Head, form: str) -> int:
    return _MEASURED[form] + (head.geometry == "diagonal")


def _similar(head: Head, form: str) -> int:
    names = [step.name for step in (*head.inner.steps, *head.chain.steps)]
    if form == "expanded" and names[:1] == ["add"]:
        names = names[1:]  # what rounding of the stored |p|^2 left: no operator adds it
    if form != "direct" and "div_root" in names:
        names = [name for name in names if name != "div_root"]  # prototypes may be what is divided
    return sum(2 if name in _TWO else 1 for name in names if name not in _EXACT)


def _decided(head: Head, banks: int) -> int:
    return banks - 1 + any(head.decision.bias)
