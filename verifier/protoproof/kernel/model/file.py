"""A model file, read once and used for any number of certificates."""

from __future__ import annotations

import os
from collections.abc import Mapping
from copy import copy
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from protoproof.errors import ModelError
from protoproof.kernel.budget import Budget, current, hold
from protoproof.kernel.model.data_files import (
    MAX_TOTAL,
    described,
    identity,
    names_in,
    read_beside,
)
from protoproof.kernel.model.decision import Routing
from protoproof.kernel.model.graph import Graph
from protoproof.kernel.model.reading import (
    Evaluated,
    evaluated,
    find_head,
    hold_head,
)
from protoproof.kernel.model.symbolic.domains import OperatorDomain


class LatentTensor(NamedTuple):
    """A tensor of a graph that a head takes.

    ``shape``: for one input, whose size 1 comes first. ``sites`` [L, D]: the flat index of every
    coordinate of the head's locations.
    """

    name: str
    shape: tuple[int, ...]
    sites: NDArray[np.int64]


class BoundHead:
    """A head as it is read from one graph.

    Attributes:
        head: the exact numbers.
        cuts: the latent tensors, in the order of the head's locations.
        inputs: the names of the graph's inputs.
        latents: the names of the latent tensors.
        output: the name of the tensor that decides.
        first_output: the network's first output where it is another one; else empty.
        final: the operators between logits and output, the last one first.
        latent_operator: the operator that outputs the latent; '' for none, or several.
        latent_range: range of the latent that its operator guarantees; None if it guarantees none.
        normalised: ``simplex``, ``sphere`` (of norm 1, unless what is normalised is zero) or
            ``ball`` (of norm at most 1) where its operator guarantees that; else empty.
        graph: what it was read from.
        evaluated: all values between latents and output; None where they are free again.
        kept: what other rooms found out about it, for all certificates.

    Raises:
        DescriptionError, ModelError: there is no head that the checker knows.
    """

    def __init__(self, known: Evaluated, latents: tuple[str, ...], output: str) -> None:
        found, graph = find_head(known), known.here.graph
        self.head, self.cuts = found.head, found.cuts
        self.final, self.inputs = found.final, graph.inputs
        self.graph = graph
        self.evaluated: Evaluated | None = known
        self.kept: dict[str, object] = {}
        self.latents, self.output = latents, output
        first = graph.outputs[0]  # what is taken by whoever runs a file without a thought
        self.first_output = "" if first in known.published else first
        domains = {cut.domain for cut in found.cuts}
        domain = domains.pop() if len(domains) == 1 else OperatorDomain("")
        self.latent_operator = domain.operator
        self.latent_range, self.normalised = domain.box, domain.kind

    def routed(self, routing: Routing) -> BoundHead:
        """The same, with another reading of its tree; made once for a model.

        Raises:
            ModelError: the decision is no tree.
        """
        known = self.kept.get(f"routed {routing}")
        if isinstance(known, BoundHead):
            return known
        other = copy(self)
        other.head, other.kept = self.head.routed(routing), {}
        self.kept[f"routed {routing}"] = other
        return other

    @property
    def latent_tensor(self) -> LatentTensor:
        """The latent's name, shape, and place of every coordinate.

        Raises:
            ModelError: there are several.
        """
        if len(self.cuts) != 1:
            raise ModelError("model: a head of several latents is not walked over regions")
        return LatentTensor(self.cuts[0].tensor, self.cuts[0].shape, self.cuts[0].sites)


class _Known(NamedTuple):
    """A head, what reading it costs a check, and the bytes of what it was read from."""

    bound: BoundHead
    cost: Budget
    source: int


def _read(graph: Graph, latents: tuple[str, ...], output: str) -> _Known:
    """The head; where a graph means nothing, whatever the reader trips over is a refusal."""
    with current().recorded() as cost:
        try:
            known = evaluated(graph, latents, output)
            source = cost.alive
            bound = BoundHead(known, latents, output)
        except (ArithmeticError, LookupError, RecursionError, TypeError, ValueError) as error:
            raise ModelError(
                f"model: what makes {output!r} means nothing: operands or sizes do not fit together"
            ) from error
        cost.release(source)
        hold_head(bound.head)
    return _Known(bound, cost, source)


class ModelFile:
    """The bytes of an ONNX file, and of the data files that it names, which must be given with it.

    Hash and parser share them; parsing waits until it is needed. Pass one object to many calls of
    :func:`protoproof.kernel.check` to parse the model only once.

    Attributes:
        sha256: of the model's file, or of the manifest of all files (see ``data_files``).
        files: name, sha256 and size of each data file, by name.
        data_files: their bytes, by name.
    """

    def __init__(self, data: bytes, data_files: Mapping[str, bytes] | None = None) -> None:
        self.data = data
        self.data_files = dict(data_files or {})
        self.sha256 = identity(data, self.data_files)
        self.files = described(self.data_files)
        self._heads: dict[tuple[tuple[str, ...], str], _Known] = {}
        self._graph: tuple[Graph, Budget] | None = None

    @classmethod
    def read(cls, path: str | Path) -> ModelFile:
        """Read a file, and the data files beside it that it names.

        Raises:
            ModelError: one of them cannot be read, or all are too large.
        """
        if not Path(path).exists():
            raise ModelError(f"cannot read model {str(path)!r}: no such file")
        if not Path(path).is_file():  # a pipe or device would never end
            raise ModelError(f"cannot read model {str(path)!r}: not a regular file")
        try:
            with Path(path).open("rb") as stream:
                # as much as there is: reading allocates what is asked for
                data = stream.read(min(MAX_TOTAL, os.fstat(stream.fileno()).st_size) + 1)
        except OSError as error:
            raise ModelError(f"cannot read model {str(path)!r}: {error.strerror}") from error
        if len(data) > MAX_TOTAL:
            raise ModelError(f"model {str(path)!r} is larger than {MAX_TOTAL} bytes")
        return cls(data, read_beside(Path(path).parent, names_in(data), MAX_TOTAL - len(data)))

    @property
    def graph(self) -> Graph:
        """The parsed graph. Every check pays for it once, also where an earlier one parsed it.

        Raises:
            ModelError: see :class:`Graph`.
        """
        budget = current()
        if self._graph is None:
            with budget.recorded() as cost:
                self._graph = Graph(self.data, self.data_files), cost
            budget.first("graph")
        elif budget.first("graph"):
            budget.repeat("the graph", self._graph[1])
        return self._graph[0]

    def bound(self, latents: tuple[str, ...], output: str, *, whole: bool = False) -> BoundHead:
        """The head between these tensors; computed once.

        Every check pays for it, also where an earlier one left it here.

        Args:
            whole: with what it was read from, which level F needs; else that is free again.

        Raises:
            DescriptionError, ModelError: there is none that the checker knows.
        """
        graph, key = self.graph, (latents, output)
        known = self._heads.get(key)
        if known is None or (whole and known.bound.evaluated is None):
            self._heads.clear()  # certificates about many cuts must not fill the memory
            known = self._heads[key] = _read(graph, latents, output)
            if not whole:
                known.bound.evaluated = None
        else:
            current().repeat("the head", known.cost)
        if whole:
            hold("what the head is read from", known.source)
        return known.bound
