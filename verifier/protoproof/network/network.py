"""A model file, understood: encoder, head, runtime, and how they were tied together."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from protoproof.errors import DescriptionError, FragileError, ModelError
from protoproof.network.head.agreement import disagreement
from protoproof.network.head.binding import LatentRange, bind, tensors
from protoproof.network.head.description import (
    METADATA_KEY,
    Binding,
    HeadDescription,
    parse_description,
)
from protoproof.network.head.description_yaml import read_yaml_description
from protoproof.network.head.head import Head
from protoproof.network.onnx.external import Files
from protoproof.network.onnx.file import OnnxFile, read_model
from protoproof.network.onnx.graph import Graph, build_graph
from protoproof.network.onnx.limits import DEFAULT_LIMITS, Limits
from protoproof.network.onnx.node import printable
from protoproof.network.onnx.runtime import Image, Observation, Session, check_image
from protoproof.network.onnx.screen import refusals

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import nn


@dataclass(frozen=True, eq=False)
class Network:
    """See :func:`load`.

    ``files``: the model's data files, by name; ``sha256`` covers them, too.
    ``description_sha256`` is over the description's text as stored; ``description_external`` is
    that text where it is not in the model file. ``latent_range`` names the operator that makes
    the latent: ``sigmoid`` [0, 1], ``relu`` [0, inf), over channels ``normalised`` |z| = 1 or
    ``softmax`` (sum 1), else ``free``. ``reason`` says why the head
    was not recognised ("" if it was).
    """

    path: Path
    data: bytes = field(repr=False)
    sha256: str
    description: HeadDescription
    description_sha256: str
    description_external: str | None
    binding: Binding
    reason: str
    head: Head
    latent_range: LatentRange
    graph: Graph = field(repr=False)
    encoder_graph: Graph = field(repr=False)
    head_graph: Graph = field(repr=False)
    session: Session = field(repr=False)
    files: Files = field(default_factory=dict, repr=False)

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """[C, h, w]."""
        return self.description.input.shape

    @property
    def input_range(self) -> tuple[float, float]:
        """Closed range of input values; bytes have their own."""
        return (0.0, 255.0) if self.graph.bytes_in else self.description.input.range

    @property
    def class_names(self) -> tuple[str, ...]:
        """One name per class, as the description has them (any characters)."""
        return self.description.classes

    def observe(self, x: Image) -> Observation:
        """Run ONNX Runtime on one image [C, h, w], float32.

        Raises:
            InputError: wrong type, shape or range, NaN.
            FragileError: a result is NaN or infinite.
        """
        image = check_image(x, self.input_shape, self.input_range)
        results = self.session.run(tensors(self.description), {self.graph.input: image[None]})
        latent, measurement, activation, logits = results
        return Observation(
            x=image,
            latent=_by_location(latent),
            measurement=_by_location(measurement),
            activation=activation[0],
            logits=logits[0],
            predicted=int(np.argmax(logits[0])),
        )

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
        """Compare the runtime's head with :class:`Head`, stage by stage, within rounding.

        Raises:
            FragileError: rounding cannot explain the difference.
        """
        problem = disagreement(
            self.head, seen.latent, seen.measurement, seen.activation, seen.logits
        )
        if problem:
            raise FragileError(f"runtime and head disagree: {problem}; nothing can be decided")

    def cross_check(self, x: Image) -> Observation:
        """Observe an image and compare encoder (translated to torch) and head with the runtime.

        Raises:
            InputError: see :meth:`observe`.
            FragileError: they disagree beyond rounding, or a result is NaN or infinite.
        """
        from protoproof.network.onnx.crosscheck import check_encoder

        seen = self.observe(x)
        check_encoder(self.encoder, self.encoder_double, seen)
        self.check_head(seen)
        return seen

    @cached_property
    def encoder_double(self) -> nn.Module:
        """The encoder in float64, on the CPU."""
        from protoproof.network.onnx.torch_graph import TorchGraph

        return TorchGraph(self.encoder_graph).double()

    @cached_property
    def encoder(self) -> nn.Module:
        """The encoder as a torch module: images [N, C, h, w] to latents [N, D, H, W].

        Loads torch. Buffers are float32 on the CPU; call ``.to(device)`` or ``.double()`` on a
        ``copy.deepcopy`` of it.
        """
        from protoproof.network.onnx.torch_graph import TorchGraph

        return TorchGraph(self.encoder_graph)


def _by_location(tensor: NDArray[np.float32]) -> NDArray[np.float32]:
    """[1, X, H, W] -> [L, X], contiguous."""
    matrix = np.array(tensor.reshape(tensor.shape[1], -1).T, order="C")
    matrix.setflags(write=False)
    return matrix


def find_description(model: ModelProto, path: Path) -> tuple[HeadDescription, str, bool]:
    """The description, its text, and whether it came from beside the model.

    Raises:
        DescriptionError: missing or malformed.
    """
    for entry in model.metadata_props:
        if entry.key == METADATA_KEY:
            where = f"metadata '{METADATA_KEY}'"
            return parse_description(entry.value, where), entry.value, False
    text = read_yaml_description(path)
    if text is None:
        raise DescriptionError(
            f"no head description: neither metadata '{METADATA_KEY}' nor a file "
            f"{path.stem}.yaml beside the model; export with one, or write one"
        )
    return parse_description(text, f"{path.stem}.yaml"), text, True


def load(path: str | Path, limits: Limits = DEFAULT_LIMITS) -> Network:
    """Read, screen and bind a model file.

    Raises:
        ModelError: the file is refused (see ``onnx_file`` and ``screen``).
        UnsupportedOperatorError: an operator outside the table or its preconditions.
        DescriptionError: the head description is missing, malformed, or contradicts the graph.
    """
    file = read_model(path, limits)
    try:
        for refusal in refusals(file.model, limits, file.files):
            raise refusal
        return assemble(file, build_graph(file.model, limits, file.files, file.data))
    except ModelError as error:
        raise type(error)(f"{printable(file.path, 400)}: {error}") from error


def assemble(file: OnnxFile, graph: Graph) -> Network:
    """Bind the description of a screened file to its graph, and start the runtime.

    Raises:
        DescriptionError: see :func:`load`.
        ModelError: ONNX Runtime refuses the model.
    """
    description, text, external = find_description(file.model, file.path)
    session = Session(file.data, file.files)
    bound = bind(file.model, graph, description)
    bound.head_part.require_finite()
    return Network(
        path=file.path,
        data=file.data,
        sha256=file.sha256,
        description=description,
        description_sha256=hashlib.sha256(text.encode()).hexdigest(),
        description_external=text if external else None,
        binding=bound.binding,
        reason=bound.reason,
        head=bound.head,
        latent_range=bound.latent_range,
        graph=graph,
        encoder_graph=bound.encoder,
        head_graph=bound.head_part,
        session=session,
        files=file.files,
    )
