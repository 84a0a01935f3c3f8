"""A model file, understood: encoder, head, runtime, and how they were found."""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from protoproof.errors import FragileError, ModelError, UsageError
from protoproof.network.head.about import About, ReceptiveField, find_about, named
from protoproof.network.head.agreement import disagreement
from protoproof.network.head.decision import ROUTINGS, Tree
from protoproof.network.head.head import Head
from protoproof.network.head.latent_range import LatentRange, latent_range
from protoproof.network.head.search import Recognised, recognise
from protoproof.network.head.view import View, read_view
from protoproof.network.onnx.external import Files
from protoproof.network.onnx.file import OnnxFile, read_model
from protoproof.network.onnx.graph import Graph, build_graph, part
from protoproof.network.onnx.inferred import exposing
from protoproof.network.onnx.limits import DEFAULT_LIMITS, Limits
from protoproof.network.onnx.node import printable
from protoproof.network.onnx.runtime import (
    Image,
    Observation,
    Session,
    check_image,
)
from protoproof.network.onnx.screen import refusals
from protoproof.network.pixels import PixelRule, first_operators, pixel_rule
from protoproof.network.receptive import receptive_field
from protoproof.notebook import line, table

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import nn

    from protoproof.data.preprocess import Preprocessing


_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Network:
    """See :func:`load`.

    ``files``: the model's data files, by name; ``sha256`` covers them, too. ``recognised``: the
    head, where its latent and scores are, and the other heads that the graph has.
    ``latent_range`` names what the operator that makes the latent guarantees. ``pixels``: how an
    image becomes its input.
    """

    file: OnnxFile = field(repr=False)
    about: About
    recognised: Recognised
    head: Head
    latent_range: LatentRange
    graph: Graph = field(repr=False)
    view: View = field(repr=False)
    session: Session = field(repr=False)
    pixels: PixelRule

    def _words(self) -> dict[str, str]:
        """What a person wants to see of it."""
        head = self.head
        return {
            "input": " x ".join(map(str, self.input_shape)),
            "prototypes": f"{len(head.prototypes)} ({head.geometry})",
            "decision": f"{len(self.class_names)} classes by {head.decision.kind}",
            "latent": ", ".join(self.recognised.latents),
            "output": self.recognised.output,
            "sha256": self.sha256,
        }

    def __repr__(self) -> str:
        words = self._words()
        told = [f"{name} {words[name]}" for name in ("input", "prototypes", "decision")]
        return line("Network", self.about.name, *told, f"sha256 {self.sha256[:12]}")

    def _repr_html_(self) -> str:
        """A short table for notebooks."""
        return table(f"ProtoProof network {self.about.name}", **self._words())

    @property
    def path(self) -> Path:
        """The model file."""
        return self.file.path

    @property
    def data(self) -> bytes:
        """The bytes of the model file."""
        return self.file.data

    @property
    def files(self) -> Files:
        """The data files."""
        return self.file.files

    @property
    def sha256(self) -> str:
        """Of the model file, and its data files where it has some."""
        return self.file.sha256

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Without the batch axis: [C, h, w] for images."""
        return self.graph.shapes[self.graph.input][1:]

    @property
    def input_range(self) -> tuple[float, float]:
        """Closed range of input values.

        What pixels become where that is stated; bytes have their own, else what is said, else
        [0, 1].
        """
        return self.pixels.range

    @property
    def range_stated(self) -> bool:
        """Whether that range is known: a range that nobody states is none."""
        return self.pixels.known

    @cached_property
    def receptive_fields(self) -> tuple[ReceptiveField | None, ...]:
        """What the locations of each latent see: as somebody says, else as the graph shows.

        None where that may be all of the input, or where they are no grid over it.
        """
        said = self.about.receptive_field
        if said is not None and len(self.recognised.cuts) == 1:
            return (said,)
        return self.graph_fields

    @cached_property
    def graph_fields(self) -> tuple[ReceptiveField | None, ...]:
        """What the locations of each latent see by the graph, whatever somebody says."""
        return tuple(
            receptive_field(self.view, self.graph.shapes.get, cut, self.input_shape)
            for cut in self.recognised.cuts
        )

    @property
    def class_names(self) -> tuple[str, ...]:
        """One name per class (any characters)."""
        return self.about.classes

    def labels(self, label: str | None) -> tuple[int, ...]:
        """The label of a name or number, alone; all where None is asked for; () without labels.

        Raises:
            UsageError: a label that there is not, or one of a head without labels.
        """
        every = tuple(range(len(self.class_names))) if self.head.decision.kind == "labels" else ()
        if label is None:
            return every
        if not every:
            raise UsageError("--label: this network predicts one class, and no labels")
        found = [k for k in every if label in (self.class_names[k], str(k))]
        if not found:
            raise UsageError(f"--label {label}: there is no such label")
        return (found[0],)

    def class_named(self, text: str | None, option: str) -> str | None:
        """The class that a name or a number means; None for None.

        Raises:
            UsageError: there is no such class, or labels are predicted, each by itself.
        """
        if text is None:
            return None
        if self.head.decision.kind == "labels":
            raise UsageError(f"{option}: this network predicts labels, and no class")
        names = self.class_names
        if text in names:
            return text
        if text.isdecimal() and int(text) < len(names):
            return names[int(text)]
        some = ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")
        raise UsageError(f"{option} {text}: there is no such class; use one of {some}")

    def observe(self, x: Image) -> Observation:
        """Run ONNX Runtime on one input, float32.

        Raises:
            InputError: wrong type, shape or range, NaN.
            FragileError: a result is NaN or infinite.
        """
        limits = self.input_range if self.range_stated else (-math.inf, math.inf)
        image = check_image(x, self.input_shape, limits)
        names = (*self.recognised.latents, self.recognised.scores)
        *tensors, scores = self.session.run(names, {self.view.input: image[None]})
        by_name = dict(zip(names, tensors, strict=False))
        rows = [by_name[cut.tensor].reshape(-1)[cut.sites] for cut in self.recognised.cuts]
        latent = np.ascontiguousarray(np.concatenate(rows), dtype=np.float32)
        logits = np.array(scores.reshape(-1), dtype=np.float32)
        for array in (latent, logits):
            array.setflags(write=False)
        labels = self.head.decision.kind == "labels"
        return Observation(
            x=image,
            latent=latent,
            logits=logits,
            predicted=self._predicted(latent, logits),
            labels=tuple(np.flatnonzero(logits > 0).tolist()) if labels else (),
        )

    def _predicted(self, latent: NDArray[np.float32], logits: NDArray[np.float32]) -> int:
        """The class with the largest score; where one leaf of a tree counts, that of the leaf."""
        head = self.head
        if isinstance(head.decision, Tree) and head.decision.routing != "distributed":
            measured = head.measurement(latent.astype(np.float64))
            return int(np.argmax(head.logits(head.activation(measured))))
        return int(np.argmax(logits))

    def observe_batch(
        self, x: Float[NDArray[np.float32], "image channel_in row column"]
    ) -> list[Observation]:
        """Observations of several images, each run on its own.

        ONNX Runtime may give other bits for an image in a larger batch (measured for heads that
        write the distance as |z|^2 - 2 z.p + |p|^2: most measurements and logits, by some float32
        units) and is hardly faster then. What a certificate records must not depend on an image's
        neighbours, so there is no batch.
        """
        return [self.observe(image) for image in x]

    def check_head(self, seen: Observation) -> None:
        """Compare the runtime's scores with those of :class:`Head`, within rounding.

        Raises:
            FragileError: rounding cannot explain the difference.
        """
        # the graph's own scores, whichever reading of a tree is explained
        problem = disagreement(
            self.recognised.head, seen.latent, seen.logits, self.recognised.ratio
        )
        if problem:
            raise FragileError(f"runtime and head disagree: {problem}; nothing can be decided")

    @cached_property
    def sites(self) -> NDArray[np.int64]:
        """[L, D]: places in the encoder's output (several latents one after another, flattened)."""
        starts: dict[str, int] = {}
        first = 0
        for cut in self.recognised.cuts:
            if cut.tensor not in starts:
                starts[cut.tensor] = first
                first += int(np.prod(cut.shape))
        return np.concatenate([cut.sites + starts[cut.tensor] for cut in self.recognised.cuts])

    @cached_property
    def encoder_graph(self) -> Graph:
        """The graph from the input to the latents."""
        return part(self.graph, self.graph.input, self.recognised.latents)

    @cached_property
    def encoder_double(self) -> nn.Module:
        """The encoder in float64, on the CPU."""
        from protoproof.network.onnx.torch_graph import TorchGraph

        return TorchGraph(self.encoder_graph).double()

    @cached_property
    def encoder(self) -> nn.Module:
        """The encoder as a torch module: images [N, C, h, w] to latents [N, ...].

        Loads torch. Buffers are float32 on the CPU; call ``.to(device)`` or ``.double()`` on a
        ``copy.deepcopy`` of it.
        """
        from protoproof.network.onnx.torch_graph import TorchGraph

        return TorchGraph(self.encoder_graph)

    def routed(self, routing: str) -> Network:
        """The same network, another reading of whose tree is explained (see ``decision.Tree``).

        Raises:
            UsageError: the decision is no tree, or there is no such reading.
        """
        decision = self.head.decision
        known = {name: name for name in ROUTINGS}
        if routing not in known:
            raise UsageError(f"--routing {routing}: unknown; use " + ", ".join(ROUTINGS))
        if not isinstance(decision, Tree):
            raise UsageError(
                f"--routing {routing}: routes a soft tree, and this network's decision is "
                f"'{decision.kind}'; leave it out"
            )
        read = replace(decision, routing=known[routing])
        return replace(self, head=replace(self.head, decision=read))

    @property
    def names_sha256(self) -> str:
        """sha256 of the text about the network, names and range of inputs, as stored."""
        return hashlib.sha256(self.about.text.encode()).hexdigest()


def load(
    path: str | Path,
    limits: Limits = DEFAULT_LIMITS,
    *,
    latent: str | Sequence[str] = (),
    output: str | None = None,
    routing: str | None = None,
    preprocess: str | Preprocessing | None = None,
) -> Network:
    """Read and screen a model file, and find its head.

    Args:
        path: the ONNX file; nothing else has to be said about it.
        limits: how large it may be.
        latent: names of the tensors that the head reads, where another choice than the found one
            is wanted (see ``inspect``).
        output: the output to explain, likewise.
        routing: of a soft tree, which reading of it is explained; what the graph computes
            (``distributed``) by default.
        preprocess: what is done to a picture before the network sees it, as ``--preprocess``
            says it (see :mod:`protoproof.data.preprocess`); what the description says by default.

    Raises:
        UsageError: see :meth:`Network.routed`; or ``preprocess`` is malformed, or contradicts what
            the network states.
        ModelError: the file is refused (see ``onnx_file`` and ``screen``), or no head is
            recognised in it.
        UnsupportedOperatorError: an operator outside the table or its preconditions.
        DescriptionError: what is said about the model is malformed.
    """
    file = read_model(path, limits)
    try:
        for refusal in refusals(file.model, limits, file.files):
            raise refusal
        found = assemble(file, limits, latent=latent, output=output, preprocess=preprocess)
    except ModelError as error:
        raise type(error)(f"{printable(file.path, 400)}: {error}") from error
    return found if routing is None else found.routed(routing)


def assemble(
    file: OnnxFile,
    limits: Limits = DEFAULT_LIMITS,
    *,
    latent: str | Sequence[str] = (),
    output: str | None = None,
    preprocess: str | Preprocessing | None = None,
) -> Network:
    """Find the head of a screened file, and start the runtime.

    Raises:
        ModelError: no head is recognised, or ONNX Runtime refuses the model.
        DescriptionError, UsageError: see :func:`load`.
    """
    said = find_about(file.model, file.path)
    graph = build_graph(file.model, limits, file.files, file.data)
    view = read_view(file.model, file.files)
    latent = (latent,) if isinstance(latent, str) else tuple(latent)
    found = recognise(view, graph.shapes.get, latent, output)
    chosen = bool(latent) or output is not None
    about = named(said, file.path, found.head.classes, len(found.head.prototypes), chosen)
    needed = dict.fromkeys((*found.latents, found.scores))
    hidden = tuple(name for name in needed if name not in graph.outputs)
    begins = first_operators(graph)
    shape = graph.shapes[graph.input][1:]
    pixels = pixel_rule(shape, about, graph.bytes_in, preprocess, begins)
    if pixels.against and isinstance(preprocess, str):  # asked for now, and not recorded earlier
        _log.warning("--preprocess %s: %s", pixels.text, pixels.against)
    return Network(
        file=file,
        about=about,
        recognised=found,
        head=replace(found.head, prototype_class=about.prototype_class),
        latent_range=latent_range(view, found.cuts),
        graph=graph,
        view=view,
        session=Session(exposing(file.data, hidden), file.files),
        pixels=pixels,
    )
