"""ONNX Runtime: the truth about predictions. Everything else is compared with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from protoproof.errors import FragileError, InputError, ModelError
from protoproof.extras import installed, require
from protoproof.network.onnx.external import NO_FILES, Files, embedded
from protoproof.network.onnx.node import printable
from protoproof.notebook import line

if TYPE_CHECKING:
    from jaxtyping import Float

    Image = Float[NDArray[np.float32], "channel_in row column"]
else:
    Image = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Observation:
    """What ONNX Runtime computed for one input, bit for bit.

    ``latent`` [L, D] by the head's locations (those of all banks, one after the other) and
    ``logits`` [K], float32; ``predicted`` is the first largest logit; ``labels`` those that are on,
    where the head decides about labels.
    """

    x: Image
    latent: Float[NDArray[np.float32], "location channel"]
    logits: Float[NDArray[np.float32], " class_"]
    predicted: int
    labels: tuple[int, ...] = ()

    def __repr__(self) -> str:
        shapes = (("input", self.x), ("latent", self.latent), ("scores", self.logits))
        told = [f"{name} {' x '.join(map(str, array.shape))}" for name, array in shapes]
        return line("Observation", f"predicted {self.predicted}", *told)


class Session:
    """One single-threaded ONNX Runtime session over model bytes, and those of its data files.

    Nothing is opened: the runtime gets the bytes that were read, hashed and parsed.

    One thread, sequential execution and deterministic kernels: the same bytes and the same input
    give the same bits on one machine. It is made again from the bytes after unpickling.

    Without ONNX Runtime a model can be read and described, but not run.

    Raises:
        ModelError: ONNX Runtime refuses the model.
    """

    def __init__(self, data: bytes, files: Files = NO_FILES) -> None:
        self._data, self._files = data, files
        self._session: Any = _started(data, files) if installed("onnxruntime") else None

    def __reduce__(self) -> tuple[Any, ...]:
        return Session, (self._data, self._files)

    def run(self, outputs: tuple[str, ...], feed: Mapping[str, Any]) -> list[NDArray[np.float32]]:
        """Tensors by name.

        Raises:
            FragileError: a result is NaN or infinite.
            ModelError: ONNX Runtime fails.
            MissingDependencyError: it is not installed.
        """
        results = self._results(outputs, feed)
        for name, result in zip(outputs, results, strict=True):
            if not np.isfinite(result).all():
                raise FragileError(
                    f"tensor '{printable(name)}' is NaN or infinite for this input; nothing can "
                    "be decided about it"
                )
            result.setflags(write=False)
        return [np.asarray(result) for result in results]

    def shapes(
        self, outputs: tuple[str, ...], feed: Mapping[str, Any]
    ) -> dict[str, tuple[int, ...]]:
        """Shapes of tensors by name, whatever their values; () of a sequence of tensors.

        Raises:
            ModelError: ONNX Runtime fails.
            MissingDependencyError: it is not installed.
        """
        results = self._results(outputs, feed)
        return {
            name: () if isinstance(result, list) else np.shape(result)
            for name, result in zip(outputs, results, strict=True)
        }

    def _results(self, outputs: tuple[str, ...], feed: Mapping[str, Any]) -> list[Any]:
        if self._session is None:
            require("explain", "running the network")
        fed = self._fed(feed)
        try:
            results = self._session.run(list(outputs), fed)
        except Exception as error:  # see above
            raise ModelError(
                f"ONNX Runtime fails on the model ({printable(error)}); export it again"
            ) from error
        return list(results)

    def _fed(self, feed: Mapping[str, Any]) -> dict[str, Any]:
        """The inputs in the number types that the graph takes: bytes where it casts them itself.

        Raises:
            InputError: numbers that no byte holds.
        """
        kinds = {value.name: value.type for value in self._session.get_inputs()}
        return {
            name: as_bytes(x) if kinds.get(name) == "tensor(uint8)" else x
            for name, x in feed.items()
        }


def _started(data: bytes, files: Files) -> Any:
    import onnxruntime

    # where somebody imported it before this package, which says so too (see QUIET)
    onnxruntime.disable_telemetry_events()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.use_deterministic_compute = True
    options.log_severity_level = 4  # fatal: errors come back as exceptions
    names = sorted(files)
    try:
        if names:
            contents = [files[name] for name in names]
            lengths = [len(content) for content in contents]
            options.add_external_initializers_from_files_in_memory(names, contents, lengths)
            data = embedded(data, files)
        return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the runtime's exceptions share no root but Exception
        raise ModelError(
            f"ONNX Runtime refuses the model ({printable(error)}); export it again"
        ) from error


def as_bytes(x: NDArray[Any]) -> NDArray[np.uint8]:
    """Whole numbers 0..255 as bytes.

    Raises:
        InputError: others are among them.
    """
    if not ((x >= 0) & (x <= 255) & (x == np.rint(x))).all():
        raise InputError("the network takes whole numbers 0..255 (uint8); give those")
    return np.asarray(x, dtype=np.uint8)


def check_image(x: NDArray[Any], shape: tuple[int, ...], range_: tuple[float, float]) -> Image:
    """The image as contiguous float32, if it is one that the model declares to accept.

    Raises:
        InputError: not float32, wrong shape, NaN or infinite, or outside the declared range.
    """
    if not isinstance(x, np.ndarray) or x.dtype != np.float32:
        kind = x.dtype if isinstance(x, np.ndarray) else type(x).__name__
        raise InputError(f"input is {kind}; give a float32 array of shape {list(shape)}")
    if x.shape != shape:
        raise InputError(f"input has shape {list(x.shape)}; this model needs {list(shape)}")
    if not np.isfinite(x).all():
        raise InputError("input holds NaN or infinity; clean it first")
    low, high = range_
    # the declared ends in float32: 0.1 declared as a decimal admits the float32 next to it
    if x.min() < np.float32(low) or x.max() > np.float32(high):
        raise InputError(
            f"input values span [{x.min()}, {x.max()}], the model declares [{low}, {high}]; "
            "scale the input"
        )
    image = np.array(x, order="C")  # a private copy: the caller's array may change
    image.setflags(write=False)
    return image
