"""Which tensors are tried as latents, what came of it, and how good a head is."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from protoproof.network.head.evaluate import Evaluation, UnknownNodeError
from protoproof.network.head.head import Head
from protoproof.network.head.latent_range import latent_range
from protoproof.network.head.layout import Shape
from protoproof.network.head.normal_form import Form, normal_form
from protoproof.network.head.paths import branches, is_join, is_layout, separators
from protoproof.network.head.refusal import NotRecognisedError, NumberTypeError, ProductsError
from protoproof.network.head.symbols import Value
from protoproof.network.head.view import View
from protoproof.network.onnx.node import printable

_DEEPEST = 160
_MOST_BANKS = 4
_DECISIVE = 1 << 30  # more nodes than a graph has
HIGHEST = 4  # the rank of distances
ShapeOf = Callable[[str], Shape | None]


@dataclass(eq=False)
class Search:
    """All attempts at one graph.

    ``furthest``: of the attempt that came furthest, whether it met measurements, how many nodes it
    took, and what stopped it.
    """

    view: View
    shape_of: ShapeOf
    folded: dict[str, Value] = field(default_factory=dict)
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
            # of attempts that measure nothing, this one says most
            decisive = isinstance(error.__cause__, NumberTypeError)
            passed = _DECISIVE if decisive else evaluation.passed
            self._note(evaluation, passed, str(error), not decisive)
            return None
        except NotRecognisedError as error:
            self._note(evaluation, 0, str(error))
            return None
        try:
            return normal_form(evaluation.tables, value, shapes, labels)
        except NotRecognisedError as error:
            last = self.view.producers[scores]
            message = f"the head that ends in {last.where}: {error}"
            measured = not isinstance(error, ProductsError)
            self._note(evaluation, evaluation.passed + 1, message, measured)
            return None

    def _note(
        self, evaluation: Evaluation, passed: int, message: str, measured: bool = True
    ) -> None:
        # what stops the input itself is the encoder's first layers, mostly
        behind = self.view.input not in evaluation.cuts
        found = measured and behind and evaluation.tables.sums > 0, passed
        if found > self.furthest[:2]:
            # what stops one attempt need not stop another
            latents = " and ".join(f"'{printable(name)}'" for name in evaluation.cuts)
            many = "s" if len(evaluation.cuts) > 1 else ""
            self.furthest = *found, f"with {latents} as the latent{many}, {message}"


def rank(view: View, form: Form) -> int:
    """How much of a head it is: 0 for a last layer alone, whose 'prototypes' are its weights."""
    head = form.head
    if head.geometry in ("euclidean", "diagonal"):
        return HIGHEST
    if (head.prototypes == head.prototypes[:, :1]).all() and head.channels > 1:
        return 0  # sums over channels: no stored prototype is read
    known = latent_range(view, form.cuts)
    if head.geometry == "angular" or known in ("ball", "normalised"):
        return 3
    # products that nothing pools, or only a mean, are what every layer of a network is
    pooled = head.locations > len(form.cuts) and not {"mean", "sum"} & {*head.pooling_of.kinds}
    channels = bool(((head.prototypes != 0).sum(axis=1) == 1).all())
    if channels:
        return 1 if pooled and known == "softmax" else 0
    # one for each class is what every last layer is, unless they were made directions
    return 2 if pooled and (not form.trivial or _directions(head)) else 0


def _directions(head: Head) -> bool:
    """Whether all prototypes have one length, or are divided by theirs, as no layer's own weights
    are."""
    length = np.sqrt((head.prototypes**2).sum(axis=1))
    for step in head.chain.steps if head.all_nearest else head.inner_chain.steps:
        if step.constant is None or step.name not in ("mul", "div_root"):
            break
        length = length * (
            np.abs(step.constant) if step.name == "mul" else 1.0 / np.sqrt(step.constant)
        )
    return head.channels > 1 and bool((np.abs(length - length[0]) <= 1e-5 * length[0]).all())


def compares(view: View, form: Form) -> bool:
    """Whether a head of rank 0 can be explained all the same, if somebody chooses it.

    What the checker calls comparing: not the channels alone, nor their sums, nor dense layers on
    one vector that nothing bounds.
    """
    head = form.head
    if head.geometry != "linear":
        return True
    alone = (head.prototypes != 0).sum(axis=1) == 1
    if alone.all() or (head.prototypes == head.prototypes[:1]).all():
        return False
    return head.locations > 1 or latent_range(view, form.cuts) not in ("free", "relu")


def trials(search: Search, scores: str) -> Iterator[tuple[str, ...]]:
    """Latents to try.

    Single tensors from the scores backwards, then one for each branch, then what is put together
    of several tensors.
    """
    view = search.view
    single = [n for n in separators(view, view.input, scores) if not is_layout(view, n)]
    for name in single[:_DEEPEST]:
        yield (name,)
    several = _several(search, scores)
    if several is not None:
        yield several
    # last, so that of equals the latents win that are put together
    yield from ((n,) for n in separators(view, view.input, scores) if is_join(view, n))


def _several(search: Search, scores: str) -> tuple[str, ...] | None:
    """One latent for each branch of a head that reads several: each branch's own best."""
    view = search.view
    found = branches(view, scores, _MOST_BANKS)
    if not 2 <= len(found) <= _MOST_BANKS:
        return None
    chosen = []
    for branch in found:
        best: tuple[tuple[int, int], str] | None = None
        for name in [branch, *separators(view, view.input, branch)]:
            if name == view.input or (is_layout(view, name) and not is_join(view, name)):
                continue
            form = search.tried((name,), branch, False) if name != branch else None
            if form is not None and form.head.prototypes.any():
                key = rank(view, form), -math.prod(form.cuts[0].shape)
                if best is None or key > best[0]:
                    best = key, name
        if best is None:
            return None
        chosen.append(best[1])
    return tuple(chosen) if len(set(chosen)) == len(chosen) else None
