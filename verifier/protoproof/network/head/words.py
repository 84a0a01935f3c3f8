"""A head in words: one line per part of the normal form."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from protoproof.network.head.decision import Best, Labels, Linear, Tree
from protoproof.network.head.head import Head
from protoproof.network.head.normal_form import Cut
from protoproof.network.head.search import Candidate, Recognised
from protoproof.network.onnx.node import printable

RANGES = {
    "sigmoid": "values in [0, 1] (made by Sigmoid)",
    "relu": "values in [0, inf) (made by Relu)",
    "normalised": "length 1 at every location",
    "ball": "length at most 1 at every location",
    "softmax": "values from 0 on with sum 1 at every location",
    "free": "unbounded",
}
GEOMETRIES = {
    "euclidean": "squared distance",
    "diagonal": "weighted squared distance",
    "linear": "dot product",
    "angular": "cosine",
}
_MEASUREMENTS = {
    "euclidean": "m = |z - p|^2",
    "diagonal": "m = sum of w (z - p)^2",
    "linear": "m = -<g, z>, its negative",
    "angular": "m = -<g, z> / |z|, its negative",
}
_INNER = "uvwxyz"  # constants before the pooling have letters of their own
_POOLINGS = {
    "nearest": "the least m over locations",
    "mean": "the mean over locations",
    "sum": "the sum over locations",
    "k-largest mean": "the mean of the k largest over locations",
    "focal": "largest minus mean over locations",
}


def parts(found: Recognised, latent_range: str) -> Iterator[tuple[str, str]]:
    """(label, line) of every part, in the order in which they are computed."""
    head = found.head
    for cut in dict.fromkeys((cut.tensor, cut.shape) for cut in found.cuts):
        yield "latent", f"{_latent(found.cuts, cut[0], head)}, {RANGES[latent_range]}"
    yield "geometry", _geometry(head)
    yield "pooling", pooling(head)
    yield "similarity", similarity(head)
    yield "decision", decision(head)
    yield "output", output(found)


def _latent(cuts: Sequence[Cut], tensor: str, head: Head) -> str:
    own = [cut for cut in cuts if cut.tensor == tensor]
    count = sum(len(cut.sites) for cut in own)
    rows, columns = head.grid
    places = f"{rows} x {columns} locations" if rows > 1 else _count(count, "location")
    shape = ", ".join(str(n) for n in own[0].shape)
    return f"'{printable(tensor)}' [{shape}], {places}, {_count(head.channels, 'channel')}"


def _geometry(head: Head) -> str:
    groups = duplicates(head.prototypes if head.scales is None else
                        np.concatenate([head.prototypes, head.scales], axis=1))  # fmt: skip
    same = "; ".join(" = ".join(str(j) for j in group) for group in groups[:5])
    more = f" and {len(groups) - 5} more groups" if len(groups) > 5 else ""
    alike = f" (identical: {same}{more})" if groups else " (all different)"
    banks = int(np.max(head.prototype_bank)) + 1 if head.prototype_bank is not None else 1
    several = f" in {banks} banks" if banks > 1 else ""
    measured = f"{GEOMETRIES[head.geometry]} {_MEASUREMENTS[head.geometry]}"
    return f"{measured}, {len(head.prototypes)} prototypes{several}{alike}"


def pooling(head: Head) -> str:
    """What is pooled, and how."""
    kinds = Counter(head.pooling_of.kinds)
    if head.all_nearest:
        return f"t = {_POOLINGS['nearest']}"
    texts = []
    for kind, count in kinds.items():
        what = "m" if kind == "nearest" else head.inner_chain.words("m", _INNER)
        texts.append(f"{count} of them t = {_POOLINGS[kind]} of {what}")
    ks = {k for k, kind in zip(head.pooling_of.count, head.pooling_of.kinds, strict=True)
          if kind == "k-largest mean"}  # fmt: skip
    return "; ".join(texts) + (f", k = {', '.join(map(str, sorted(ks)))}" if ks else "")


def similarity(head: Head) -> str:
    """The chain, and whether all prototypes share it."""
    letters = head.chain.letters()
    alike = "the same for all prototypes"
    if letters:
        alike = f"constants {', '.join(letters)} per prototype"
    return f"a = {head.chain.words()}, {alike}"


def decision(head: Head) -> str:
    """What the activations decide."""
    found = head.decision
    if isinstance(found, Tree):
        leaves = f"{len(found.feature)} nodes and {len(found.leaf)} leaves"
        return f"soft tree of {leaves}, {_READINGS[found.routing]}, {found.classes} classes"
    if isinstance(found, Best):
        return f"best of {found.then.inputs} groups, then {_linear(found.then)} classes"
    if isinstance(found, Labels):
        return f"every label by itself (on above 0), {_linear(found)} labels"
    return f"{_linear(found)} classes, the largest wins"


_READINGS = {
    "distributed": "every path weighed",
    "greedy": "the way of the larger shares",
    "sample-max": "the leaf with the largest share",
}


def _linear(found: Linear) -> str:
    bias = "with bias" if found.bias.any() else "without bias"
    return f"linear {bias}, {found.classes}"


def output(found: Recognised) -> str:
    """Which output is explained."""
    text = f"'{printable(found.output)}'"
    if found.scores != found.output:
        text += f" (scores '{printable(found.scores)}'"
        text += f", {' and '.join(found.stripped)} after them)" if found.stripped else ")"
    if found.ratio:
        text += ", votes over a common positive denominator"
    if found.others:
        text += f"; not explained: {', '.join(repr(printable(n, 40)) for n in found.others[:6])}"
    return text


def runner_up(candidate: Candidate) -> str:
    """Another head that the graph has, with the options that choose it."""
    head = candidate.form.head
    options = " ".join(f"--latent {printable(name)}" for name in candidate.latents)
    return (
        f"{GEOMETRIES[head.geometry]}, {len(head.prototypes)} prototypes of {head.channels} at "
        f"{_count(head.locations, 'location')}, {head.decision.kind}: {options} "
        f"--output {printable(candidate.output)}"
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def duplicates(prototypes: NDArray[np.float64]) -> list[list[int]]:
    """Groups of prototypes that are the same point (they say the same thing twice)."""
    groups: dict[bytes, list[int]] = {}
    for index, row in enumerate(prototypes + 0.0):  # -0.0 + 0.0 is 0.0
        groups.setdefault(row.tobytes(), []).append(index)
    return [group for group in groups.values() if len(group) > 1]
