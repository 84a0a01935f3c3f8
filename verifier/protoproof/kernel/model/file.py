"""A model file, read once and used for any number of certificates."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import NamedTuple

from protoproof.errors import DescriptionError, ModelError
from protoproof.kernel.arithmetic.exact import Ratio
from protoproof.kernel.budget import Budget, current
from protoproof.kernel.model.description import Description, read_description
from protoproof.kernel.model.graph import MAX_BYTES, Graph
from protoproof.kernel.model.reading import read_head
from protoproof.kernel.model.recognise import why_not_recognised

# What the operator that outputs the latent can output: all that justifies a box domain.
OUTPUT_RANGES: dict[str, tuple[Ratio, Ratio | None]] = {
    "Sigmoid": ((0, 1), (1, 1)),
    "Relu": ((0, 1), None),
}
# Operators that normalise, with the attributes (ONNX's defaults filled in) with which they do so
# over the channels of [N, D, H, W]: all that justifies a sphere or a simplex domain.
NORMALISERS: dict[str, tuple[str, dict[str, tuple[int, tuple[int, ...]]]]] = {
    "LpNormalization": ("sphere", {"axis": (-1, (1, -3)), "p": (2, (2,))}),
    "Softmax": ("simplex", {"axis": (-1, (1, -3))}),
}


class LatentTensor(NamedTuple):
    """The tensor of a graph that a head takes, and the shape in which it does: channels, rows,
    columns."""

    name: str
    shape: tuple[int, int, int]


class BoundHead:
    """A head as it is read from one graph.

    Attributes:
        head: the exact numbers.
        inputs: the names of the graph's inputs.
        latents: the names of the latent tensors, one per bank of prototypes.
        output: the name of the tensor that decides.
        latent_range: range of the latent that its operator guarantees; None if it guarantees none.
        normalised: ``sphere`` or ``simplex`` where its operator guarantees that; else empty.
    """

    def __init__(self, graph: Graph, description: Description) -> None:
        self.head = read_head(graph, description)
        departure = why_not_recognised(graph, description)
        if departure is not None:
            raise ModelError(f"model: no head that the checker knows: {departure}")
        self.latents = (description.latent,)
        self._grid = description.grid
        self.latent_operator = graph.operator(description.latent)
        self.inputs = graph.inputs
        self.output = description.logits
        self.latent_range = _range(graph, description.latent)
        self.normalised = _normalised(graph, description.latent)

    @property
    def latent_tensor(self) -> LatentTensor:
        """The latent's name and shape."""
        return LatentTensor(self.latents[0], (self.head.channels, *self._grid))


def _range(graph: Graph, tensor: str) -> tuple[Ratio, Ratio | None] | None:
    """What the operator behind a tensor guarantees; it has no attributes that could change it."""
    bare = graph.simple(tensor) and not graph.attributes(tensor)
    return OUTPUT_RANGES.get(graph.operator(tensor)) if bare else None


def _normalised(graph: Graph, tensor: str) -> str:
    """The domain that the operator behind a tensor puts every location in, or ''."""
    domain, wanted = NORMALISERS.get(graph.operator(tensor), ("", {}))
    stated = graph.attributes(tensor) if domain else {}
    if not set(stated) <= set(wanted) or not graph.simple(tensor):
        return ""
    known = all(stated.get(name, default) in good for name, (default, good) in wanted.items())
    return domain if known else ""


class ModelFile:
    """The bytes of an ONNX file. Hash and parser share them; parsing waits until it is needed.

    Pass one object to many calls of :func:`protoproof.kernel.check` to parse the model only once.
    """

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.sha256 = hashlib.sha256(data).hexdigest()
        self._heads: dict[tuple[tuple[str, ...], str], tuple[BoundHead, Budget]] = {}
        self._graph: tuple[Graph, Budget] | None = None

    @classmethod
    def read(cls, path: str | Path) -> ModelFile:
        """Read a file.

        Raises:
            ModelError: it cannot be read, or is too large.
        """
        if not Path(path).exists():
            raise ModelError(f"cannot read model {str(path)!r}: no such file")
        if not Path(path).is_file():  # a pipe or device would never end
            raise ModelError(f"cannot read model {str(path)!r}: not a regular file")
        try:
            with Path(path).open("rb") as stream:
                # as much as there is: reading allocates what is asked for
                data = stream.read(min(MAX_BYTES, os.fstat(stream.fileno()).st_size) + 1)
        except OSError as error:
            raise ModelError(f"cannot read model {str(path)!r}: {error.strerror}") from error
        if len(data) > MAX_BYTES:
            raise ModelError(f"model {str(path)!r} is larger than {MAX_BYTES >> 20} MiB")
        return cls(data)

    @property
    def graph(self) -> Graph:
        """The parsed graph. Every check pays for it once, also where an earlier one parsed it.

        Raises:
            ModelError: see :class:`Graph`.
        """
        budget = current()
        if self._graph is None:
            with budget.recorded() as cost:
                self._graph = Graph(self.data), cost
            budget.first("graph")
        elif budget.first("graph"):
            budget.repeat("the graph", self._graph[1])
        return self._graph[0]

    def bound(self, latents: tuple[str, ...], output: str) -> BoundHead:
        """The head between these tensors; computed once.

        Every check pays for it, also where an earlier one left it here.

        Raises:
            DescriptionError, ModelError: there is none that the checker knows.
        """
        graph, key = self.graph, (latents, output)
        text = graph.description
        if text is None:
            raise DescriptionError("the model has no head description")
        if key not in self._heads:
            self._heads.clear()  # certificates about many cuts must not fill the memory
            with current().recorded() as cost:
                head = BoundHead(graph, read_description(text))
            if (head.latents, head.output) != key:
                raise ModelError(f"model: there is no head from {latents!r} to {output!r}")
            self._heads[key] = head, cost
            return head
        head, cost = self._heads[key]
        current().repeat("the head", cost)
        return head
