"""Ways through a graph: what everything passes through, and what comes together at the end."""

from __future__ import annotations

from collections.abc import Iterator

from protoproof.network.head.view import Op, View

# operators that only move elements: what they make is no latent but what they read may be
LAYOUT = frozenset(
    {
        "Reshape", "Transpose", "Flatten", "Squeeze", "Unsqueeze", "Expand", "Slice", "Split",
        "Gather", "GatherND", "Identity", "Dropout", "Cast", "Concat", "SplitToSequence",
        "SequenceAt",
    }
)  # fmt: skip


def is_layout(view: View, name: str) -> bool:
    """Whether a tensor is made by an operator that only moves elements."""
    node = view.producers.get(name)
    return node is not None and node.op in LAYOUT


def is_join(view: View, name: str) -> bool:
    """Whether a tensor puts several together that the input can change: none of them is it."""
    node = view.producers.get(name)
    if node is None or node.op != "Concat":
        return False
    return len({source for source in node.inputs if source in view.dependent}) > 1


def separators(view: View, source: str, target: str) -> Iterator[str]:
    """Tensors that every path from ``source`` to ``target`` passes through, backwards.

    Walks back with the set of tensors that are still needed; where it is a single one, that one
    separates.
    """
    nodes = view.needed(target)
    needed = {target}
    for node in reversed(nodes):
        if needed.isdisjoint(node.outputs):
            continue
        needed -= set(node.outputs)
        needed |= {name for name in node.inputs if name in view.dependent}
        if len(needed) == 1:
            (name,) = needed
            yield name
            if name == source:
                return


def branches(view: View, scores: str, most: int) -> list[str]:
    """What comes together at the end of a graph: nested sums and concatenations as one."""
    waiting = [scores]
    found: list[str] = []
    while waiting and len(found) + len(waiting) <= most:
        name = waiting.pop(0)
        joined = _join(view, name)
        if joined is None:
            found.append(name)
        else:
            waiting = [n for n in dict.fromkeys(joined.inputs) if n in view.dependent] + waiting
    return [*found, *waiting]


def _join(view: View, name: str) -> Op | None:
    """The sum or concatenation that a tensor is, before what has one input only."""
    while name in view.producers:
        node = view.producers[name]
        inputs = [n for n in dict.fromkeys(node.inputs) if n in view.dependent]
        if len(inputs) > 1:
            return node if node.op in ("Add", "Sum", "Concat") else None
        if node.op not in LAYOUT and node.op not in ("Gemm", "MatMul", "Add", "Mul", "Div"):
            return None
        name = inputs[0]
    return None
