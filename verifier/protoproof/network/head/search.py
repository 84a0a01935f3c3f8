"""Find the head of a graph: the output that is meant, and the latent that its head reads.

Nothing is declared: candidates for the latent are tensors that everything from the input to the
output passes through, tried from the output backwards. Each is evaluated on its own. Of those that
give a head, the best measures against stored prototypes (distances and cosines before pooled
products before channels), then has the smallest latent. The others are kept as runners-up.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from protoproof.network.head.evaluate import Evaluation, UnknownNodeError
from protoproof.network.head.head import Head
from protoproof.network.head.latent_range import latent_range
from protoproof.network.head.layout import Shape
from protoproof.network.head.normal_form import Cut, Form, normal_form
from protoproof.network.head.paths import LAYOUT, branches, is_layout, separators
from protoproof.network.head.refusal import NotRecognisedError
from protoproof.network.head.symbols import Value
from protoproof.network.head.view import Op, View
from protoproof.network.onnx.node import printable

# they change no decision: the largest stays the largest, and a probability of 1/2 is a logit of 0
_LAST = frozenset(
    {"Softmax", "LogSoftmax", "Sigmoid", "Log", "ArgMax", *LAYOUT} - {"Concat", "Split"}
)
_DEEPEST = 160
_MOST_BANKS = 4
ShapeOf = Callable[[str], Shape | None]


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


@dataclass(eq=False)
class _Search:
    view: View
    shape_of: ShapeOf
    folded: dict[str, Value] = field(default_factory=dict)
    # the evaluation that came furthest: whether it met measurements, how many nodes it took, and
    # what stopped it
    furthest: tuple[bool, int, str] = (False, -1, "")

    def tried(self, cuts: Sequence[str], scores: str, labels: bool) -> Form | None:
        """The head over these latents, or None."""
        shapes: dict[str, Shape] = {}
        for name in cuts:
            shape = self.shape_of(name)
            if shape is None or math.prod(shape) < 1 or shape[:1] != (1,):
                return None
            shapes[name] = shape
        evaluation = Evaluation(self.view, shapes, self.folded)
        try:
            value = evaluation.output(scores)
        except UnknownNodeError as error:
            self._note(evaluation, evaluation.passed, str(error))
            return None
        except NotRecognisedError as error:
            self._note(evaluation, 0, str(error))
            return None
        try:
            return normal_form(evaluation.tables, value, shapes, labels)
        except NotRecognisedError as error:
            last = self.view.producers[scores]
            self._note(
                evaluation, evaluation.passed + 1, f"the head that ends in {last.where}: {error}"
            )
            return None

    def _note(self, evaluation: Evaluation, passed: int, message: str) -> None:
        found = evaluation.tables.sums > 0, passed
        if found > self.furthest[:2]:
            self.furthest = *found, message


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
    search = _Search(view, shape_of)
    candidates: list[Candidate] = []
    for name in outputs:
        if name in view.dependent:
            candidates += _candidates(search, name, latent)
    # a later output that is no decision (activations, distances) is explained only if chosen
    first = next((name for name in outputs if _is_vector(shape_of(name))), None)
    good = [c for c in candidates if c.rank > 0 or latent]
    good = [c for c in good if not c.form.trivial or c.output == first]
    if not good:
        raise NotRecognisedError(_reason(search, candidates))
    # the first output wins among equals
    best = max(good, key=lambda c: (c.rank, not c.form.trivial, -outputs.index(c.output), -c.size))
    others = tuple(name for name in view.outputs if name != best.output)
    rest = sorted((c for c in candidates if c is not best), key=lambda c: (-c.rank, c.size))
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


def _reason(search: _Search, candidates: Sequence[Candidate]) -> str:
    _, place, message = search.furthest
    if candidates:
        names = ", ".join(f"'{printable(name)}'" for name in candidates[0].latents)
        last = f"only its last layer is a head (--latent {names} explains that)"
        message = f"{message}; {last}" if place >= 0 else last
    return f"no prototype head is recognised: {message or 'the graph has no output of scores'}"


def _candidates(search: _Search, output: str, latent: Sequence[str]) -> list[Candidate]:
    """All heads that one output has."""
    scores, stripped = _stripped(search, output)
    if scores not in search.view.producers:
        return []
    labels = "Sigmoid" in stripped
    found = []
    trials: Iterator[tuple[str, ...]]
    trials = iter([tuple(latent)]) if latent else _trials(search, scores)
    for cuts in trials:
        form = search.tried(cuts, scores, labels)
        if form is not None and form.head.prototypes.any():  # zeros: differences were the latent
            found.append(Candidate(form, output, scores, _rank(search.view, form)))
    return found


def _stripped(search: _Search, output: str) -> tuple[str, tuple[str, ...]]:
    """The tensor before everything at the end that changes no decision."""
    view = search.view
    gone: list[str] = []
    name = output
    while name in view.producers:
        node = view.producers[name]
        source = node.inputs[0] if node.inputs else ""
        if node.op not in _LAST or node.outputs[0] != name or source not in view.dependent:
            break
        if source == view.input or not _over_classes(search, node):
            break
        if node.op not in LAYOUT:
            gone.append(node.op)
        name = source
    return name, tuple(gone)


def _over_classes(search: _Search, node: Op) -> bool:
    """Whether what a node does along an axis is done along the classes, all of them."""
    if node.op in LAYOUT or node.op in ("Sigmoid", "Log"):
        shape = search.shape_of(node.inputs[0])
        return node.op not in LAYOUT or math.prod(shape or ()) == math.prod(
            search.shape_of(node.outputs[0]) or (-1,)
        )
    shape = search.shape_of(node.inputs[0])
    axis = node.integer("axis", 0 if node.op == "ArgMax" else -1)
    return (
        shape is not None
        and -len(shape) <= axis < len(shape)
        and (shape[axis] == math.prod(shape))
        and not node.integer("select_last_index", 0)
    )


def _rank(view: View, form: Form) -> int:
    """How much of a head it is: 0 for a last layer alone, whose 'prototypes' are its weights."""
    head = form.head
    if head.geometry in ("euclidean", "diagonal"):
        return 4
    if (head.prototypes == head.prototypes[:, :1]).all() and head.channels > 1:
        return 0  # sums over channels: no stored prototype is read
    known = latent_range(view, form.cuts)
    if head.geometry == "angular" or known in ("ball", "normalised"):
        return 3
    # products that nothing pools are what every layer of a network is
    pooled = head.locations > len(form.cuts) and head.all_nearest
    channels = bool(((head.prototypes != 0).sum(axis=1) == 1).all())
    if channels:
        return 1 if pooled and known == "softmax" else 0
    return 0 if form.trivial or not pooled else 2


def _trials(search: _Search, scores: str) -> Iterator[tuple[str, ...]]:
    """Latents to try: single tensors from the scores backwards, then one for each branch."""
    view = search.view
    tried = 0
    single = list(separators(view, view.input, scores))
    for name in single:
        if not is_layout(view, name):
            tried += 1
            yield (name,)
            if tried >= _DEEPEST:
                break
    several = _several(search, scores)
    if several is not None:
        yield several


def _several(search: _Search, scores: str) -> tuple[str, ...] | None:
    """One latent for each branch of a head that reads several: each branch's own best."""
    view = search.view
    found = branches(view, scores, _MOST_BANKS)
    if not 2 <= len(found) <= _MOST_BANKS:
        return None
    chosen = []
    for branch in found:
        best: tuple[tuple[int, int], str] | None = None
        for name in [branch, *separators(view, view.input, branch)]:
            if is_layout(view, name) or name == view.input:
                continue
            form = search.tried((name,), branch, False) if name != branch else None
            if form is not None and form.head.prototypes.any():
                key = _rank(view, form), -math.prod(form.cuts[0].shape)
                if best is None or key > best[0]:
                    best = key, name
        if best is None:
            return None
        chosen.append(best[1])
    return tuple(chosen) if len(set(chosen)) == len(chosen) else None
