"""A model file, read once and used for any number of certificates."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from protoproof.errors import DescriptionError, ModelError
from protoproof.kernel.arithmetic.exact import Ratio
from protoproof.kernel.budget import Budget, current
from protoproof.kernel.model.data_files import (
    MAX_TOTAL,
    described,
    identity,
    names_in,
    read_beside,
)
from protoproof.kernel.model.description import Description, read_description
from protoproof.kernel.model.graph import Graph
from protoproof.kernel.model.head import Head
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
    """A head as one description reads it from one graph.

    Attributes:
        head: the exact numbers.
        inputs: the names of the graph's inputs.
        latent: the name of the latent tensor.
        logits: the name of the tensor whose largest entry is the predicted class.
        departure: where the graph departs from the canonical head; None where it is recognised.
        latent_range: range of the latent that its operator guarantees; None if it guarantees none.
        normalised: ``sphere`` or ``simplex`` where its operator guarantees that; else empty.
    """

    def __init__(self, graph: Graph, description: Description) -> None:
        self.head = Head(graph, description)
        self.departure = why_not_recognised(graph, description)
        self.latent = description.latent
        self.latent_operator = graph.operator(description.latent)
        self.inputs = graph.inputs
        self.logits = description.logits
        self.latent_range = _range(graph, description.latent)
        self.normalised = _normalised(graph, description.latent)

    @property
    def latent_tensor(self) -> LatentTensor:
        """The latent's name and shape."""
        return LatentTensor(self.latent, (self.head.channels, *self.head.grid))


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
    """The bytes of an ONNX file, and of the data files that it names, which must be given with it.

    Hash and parser share them; parsing waits until it is needed. Pass one object to many calls of
    :func:`protoproof.kernel.check` to parse the model only once.

    Attributes:
        sha256: of the model's file, or of the manifest of all files (see ``data_files``).
        files: name, sha256 and size of each data file, by name.
    """

    def __init__(self, data: bytes, data_files: Mapping[str, bytes] | None = None) -> None:
        self.data = data
        self._data_files = dict(data_files or {})
        self.sha256 = identity(data, self._data_files)
        self.files = described(self._data_files)
        self._heads: dict[str, tuple[BoundHead, Budget]] = {}
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
                self._graph = Graph(self.data, self._data_files), cost
            budget.first("graph")
        elif budget.first("graph"):
            budget.repeat("the graph", self._graph[1])
        return self._graph[0]

    def description(self, external: str | None) -> str:
        """The JSON text of the head description: the file's own, else the certificate's.

        Raises:
            DescriptionError: there is none, or the certificate brings one although the file has
                its own (then the file's author, not the certificate's, has the word).
        """
        embedded = self.graph.description
        if embedded is not None and external is not None:
            raise DescriptionError("the model has its own head description; the certificate's is "
                                   "not needed and not believed")  # fmt: skip
        text = external if embedded is None else embedded
        if text is None:
            raise DescriptionError("neither the model nor the certificate has a head description")
        return text

    def bound(self, external: str | None) -> BoundHead:
        """The head under the applicable description; computed once per description.

        Every check pays for it, also where an earlier one left it here.

        Raises:
            CertificateError, DescriptionError, ModelError: description or tensors are not usable.
        """
        graph, text = self.graph, self.description(external)
        if text not in self._heads:
            self._heads.clear()  # certificates that bring descriptions must not fill the memory
            with current().recorded() as cost:
                head = BoundHead(graph, read_description(text))
            self._heads[text] = head, cost
            return head
        head, cost = self._heads[text]
        current().repeat("the head", cost)
        return head
