"""Find the head of a graph: the output that is meant, and the latent that its head reads.

Nothing is declared: candidates for the latent are tensors that everything from the input to the
output passes through, tried from the output backwards. Each is evaluated on its own. Of those that
give a head, the best measures against stored prototypes (distances and cosines before pooled
products before channels), then has the smallest latent. The others are kept as runners-up.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from protoproof.network.head.head import Head
from protoproof.network.head.layout import Shape
from protoproof.network.head.normal_form import Cut, Form
from protoproof.network.head.paths import LAYOUT
from protoproof.network.head.refusal import NotRecognisedError
from protoproof.network.head.trials import HIGHEST, Search, ShapeOf, compares, rank, trials
from protoproof.network.head.view import Op, View
from protoproof.network.onnx.node import printable

# they change no decision: the largest stays the largest, and a probability of 1/2 is a logit of 0
_LAST = frozenset(
    {"Softmax", "LogSoftmax", "Sigmoid", "Log", "ArgMax", *LAYOUT} - {"Concat", "Split"}
)


@dataclass(frozen=True, eq=False)
class Candidate:
    """A head that was found; ``rank`` orders it among others (more is better)."""

    form: Form
    output: str
    scores: str
    rank: int

    @property
    def latents(self) -> tuple[str, ...]:
        """Names of the cut tensors."""
        return tuple(dict.fromkeys(cut.tensor for cut in self.form.cuts))

    @property
    def size(self) -> int:
        """Numbers in the latent."""
        return sum(math.prod(cut.shape) for cut in self.form.cuts)


@dataclass(frozen=True, eq=False)
class Recognised:
    """The head of a graph.

    ``output``: the graph output that is explained; ``scores``: the tensor that holds its scores,
    before what changes no decision (``stripped``, operators from the output backwards). ``others``:
    outputs that were not chosen. ``runners_up``: other heads that the graph has. ``ratio``: the
    scores are the head's over a positive number that all of them share.
    """

    head: Head
    cuts: tuple[Cut, ...]
    output: str
    scores: str
    stripped: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    runners_up: tuple[Candidate, ...] = ()
    ratio: bool = False

    @property
    def latents(self) -> tuple[str, ...]:
        """Names of the cut tensors."""
        return tuple(dict.fromkeys(cut.tensor for cut in self.cuts))


def recognise(
    view: View,
    shape_of: ShapeOf,
    latent: Sequence[str] = (),
    output: str | None = None,
) -> Recognised:
    """The head of a graph.

    Args:
        view: the graph.
        shape_of: the shape of a tensor for one input, None where it is not known.
        latent: names of the latent tensors, where somebody chose them.
        output: the output that is meant, where somebody chose it.

    Raises:
        NotRecognisedError: no head was found; the message names the node that stopped the best
            attempt, or what the head would have needed.
    """
    for name in latent:
        if name not in view.dependent:
            raise NotRecognisedError(
                f"--latent '{printable(name)}': the graph computes no such tensor from its input"
            )
    if output is not None and output not in view.outputs and output not in view.producers:
        raise NotRecognisedError(f"--output '{printable(output)}': the graph has no such tensor")
    outputs = [output] if output is not None else list(view.outputs)
    search = Search(view, shape_of)
    candidates: list[Candidate] = []
    for name in outputs:
        if name in view.dependent:
            candidates += _candidates(search, name, latent, candidates)
    # a later output that is no decision (activations, distances) is explained only if chosen
    first = next((n for n in outputs if _is_vector(shape_of(_stripped(search, n)[0]))), None)
    good = [c for c in candidates if c.rank > 0 or latent]
    good = [c for c in good if not c.form.trivial or c.output == first]
    if not good:
        raise NotRecognisedError(_reason(search, candidates, outputs[0]))
    # the first output wins among equals
    best = max(good, key=lambda c: (c.rank, not c.form.trivial, -outputs.index(c.output), -c.size))
    others = tuple(name for name in view.outputs if name != best.output)
    able = [c for c in candidates if c.rank > 0 or compares(view, c.form)]
    rest = sorted((c for c in able if c is not best), key=lambda c: (-c.rank, c.size))
    different = {(c.latents, c.scores): c for c in (*reversed(rest), best)}
    rest = [c for c in rest if different[c.latents, c.scores] is c]
    return Recognised(
        head=best.form.head,
        cuts=best.form.cuts,
        output=best.output,
        scores=best.scores,
        stripped=_stripped(search, best.output)[1],
        others=others,
        runners_up=tuple(rest[:8]),
        ratio=best.form.ratio,
    )


def _is_vector(shape: Shape | None) -> bool:
    """Whether a tensor can be the scores of one input."""
    return shape is not None and math.prod(shape) == max(shape, default=0) > 1


def _reason(search: Search, candidates: Sequence[Candidate], first: str) -> str:
    """What stopped the best attempt, and what could be explained all the same."""
    _, place, message = search.furthest
    parts = [message] if place >= 0 else []
    # the first of equals is the nearest to the scores
    known = sorted(candidates, key=lambda c: -c.rank)
    other = next((c for c in known if compares(search.view, c.form)), None)
    if other is not None:
        latents = " ".join(f"--latent '{printable(name)}'" for name in other.latents)
        output = "" if other.output == first else f" --output '{printable(other.output)}'"
        if other.rank > 0:
            parts.append(f"another output is a head ({latents}{output})")
        else:
            where = search.view.producers[other.scores].where
            needed = (
                f"{where}: products with a layer's own weights, as every classifier ends in, where "
                "a head would need distances, angles or prototypes of one length; a layer whose "
                f"own weights would be the prototypes could be explained ({latents}{output})"
            )
            parts.insert(0, needed)
    elif candidates:
        parts.append("dense layers alone compare nothing with a prototype")
    return f"no prototype head is recognised: {'; '.join(parts) or 'no output holds scores'}"


def _candidates(
    search: Search, output: str, latent: Sequence[str], earlier: Sequence[Candidate]
) -> list[Candidate]:
    """The heads that one output has, after those of ``earlier`` outputs."""
    scores, stripped = _stripped(search, output)
    if scores not in search.view.producers:
        return []
    labels = "Sigmoid" in stripped
    tried = [tuple(latent)] if latent else list(trials(search, scores))
    narrower = _narrower(search, tried)
    found: dict[int, Candidate] = {}
    highest = {c.latents for c in earlier if c.rank == HIGHEST and not c.form.trivial}
    for place in sorted(range(len(tried)), key=lambda k: bool(narrower[k])):
        if not highest.isdisjoint(narrower[place]):
            continue
        form = search.tried(tried[place], scores, labels)
        if form is not None and form.head.prototypes.any():  # zeros: differences were the latent
            found[place] = Candidate(form, output, scores, rank(search.view, form))
            highest |= {c.latents for c in (found[place],) if c.rank == HIGHEST}
    return [found[place] for place in sorted(found)]


def _narrower(search: Search, tried: Sequence[tuple[str, ...]]) -> list[list[tuple[str, ...]]]:
    """For every tensor to try the smaller ones that it is computed from alone.

    Such a tensor (the latent less each of the prototypes, say) is tried after them, and not at all
    where one of them has a head of the highest rank: of equals the smallest latent is chosen.
    """
    single = [names for names in tried if len(names) == 1]
    size = {names: math.prod(search.shape_of(names[0]) or ()) for names in single}
    producers = search.view.producers  # of tensors that everything passes through, one by one
    number = {n: producers[n[0]].number if n[0] in producers else -1 for n in single}
    return [
        [n for n in single if 0 < size[n] < size[names] and number[n] < number[names]]
        if names in size
        else []
        for names in tried
    ]


def _stripped(search: Search, output: str) -> tuple[str, tuple[str, ...]]:
    """The tensor before everything at the end that changes no decision."""
    view = search.view
    gone: list[str] = []
    name = output
    while name in view.producers:
        node = view.producers[name]
        source = node.inputs[0] if node.inputs else ""
        if node.op not in _LAST or node.outputs[0] != name or source not in view.dependent:
            break
        if gone == ["Sigmoid"] and node.op not in LAYOUT:
            break  # labels: their signs decide, which nothing else keeps
        if source == view.input or not _over_classes(search, node):
            break
        if node.op not in LAYOUT:
            gone.append(node.op)
        name = source
    return name, tuple(gone)


def _over_classes(search: Search, node: Op) -> bool:
    """Whether what a node does along an axis is done along the classes, all of them."""
    shape = search.shape_of(node.inputs[0])
    if node.op in ("Sigmoid", "Log"):
        return True
    if node.op in LAYOUT:
        after = search.shape_of(node.outputs[0])
        return shape is not None and after is not None and math.prod(shape) == math.prod(after)
    axis = node.integer("axis", 0 if node.op == "ArgMax" else -1)
    return (
        shape is not None
        and -len(shape) <= axis < len(shape)
        and (shape[axis] == math.prod(shape))
        and not node.integer("select_last_index", 0)
    )
