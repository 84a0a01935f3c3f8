"""The shape of an encoder, planned from the image size: which convolutions lead to the grid.

Only strided convolutions reduce the size (no pooling layers: bound propagation is tighter without
them). The plan is plain data, so it is stored in the checkpoint, gives the receptive field in
closed form, and is the one source of the torch module and of the ONNX graph.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from protoproof.errors import UsageError

SMALLEST, LARGEST = 8, 64
"""Image sizes (rows or columns) for which an encoder can be planned."""
LARGEST_GRID = 16

Pair = tuple[int, int]


class Layer(BaseModel):
    """One convolution with optional batch norm, then an activation."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    inputs: int
    outputs: int
    kernel: Pair
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    batch_norm: bool = False
    activation: Literal["relu", "sigmoid"] = "relu"


class ReceptiveField(BaseModel):
    """Box of location (r, c): ``size`` rows and columns from ``start + (r, c) * stride``."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    size: Pair
    stride: Pair
    start: Pair

    def box(self, location: Pair, image: Pair) -> tuple[int, int, int, int]:
        """The box (y0, x0, y1, x1) of a location, clipped to the image; y1 and x1 are exclusive."""
        low = [self.start[axis] + location[axis] * self.stride[axis] for axis in (0, 1)]
        high = [low[axis] + self.size[axis] for axis in (0, 1)]
        return (
            max(0, low[0]),
            max(0, low[1]),
            min(image[0], high[0]),
            min(image[1], high[1]),
        )


class Architecture(BaseModel):
    """An encoder from ``input_shape`` (channels, rows, columns) to ``channels`` x ``grid``."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    input_shape: tuple[int, int, int]
    grid: Pair
    channels: int
    layers: tuple[Layer, ...]

    def receptive_field(self) -> ReceptiveField:
        """Receptive field of a location, from kernel sizes, strides and paddings."""
        size, stride, start = [1, 1], [1, 1], [0, 0]
        for layer in self.layers:
            for axis in (0, 1):
                size[axis] += (layer.kernel[axis] - 1) * stride[axis]
                start[axis] -= layer.padding[axis] * stride[axis]
                stride[axis] *= layer.stride[axis]
        return ReceptiveField(
            size=(size[0], size[1]), stride=(stride[0], stride[1]), start=(start[0], start[1])
        )


def plan(
    input_shape: tuple[int, int, int],
    grid: int,
    channels: int,
    certified: bool = False,
    absorbing: bool = False,
) -> Architecture:
    """Choose the convolutions that lead from an image to a ``grid`` x ``grid`` latent.

    Strided convolutions halve each axis while it stays at least as long as the grid (and at
    least 4); one convolution without padding then trims the rest. The certified encoder is
    smaller and has no batch norm, because interval bounds widen with every layer. With
    ``absorbing`` two layers of 1x1 go first, which can absorb what moves a pixel (see
    :mod:`models.absorbing`).
    Raises UsageError when the image or the grid is outside what can be built.
    """
    _refuse(input_shape, grid, channels)
    planned = _certified if certified else _ordinary
    colours = input_shape[0]
    ramp = Layer(inputs=colours, outputs=colours, kernel=(1, 1))
    return Architecture(
        input_shape=input_shape,
        grid=(grid, grid),
        channels=channels,
        layers=(*((ramp, ramp) if absorbing else ()), *planned(input_shape, grid, channels)),
    )


def _refuse(input_shape: tuple[int, int, int], grid: int, channels: int) -> None:
    _, rows, columns = input_shape
    if not (SMALLEST <= rows <= LARGEST and SMALLEST <= columns <= LARGEST):
        raise UsageError(
            f"images of {rows}x{columns} cannot be trained on: the encoder takes "
            f"{SMALLEST} to {LARGEST} rows and columns; resize the images"
        )
    largest = min(rows, columns, LARGEST_GRID)
    if not 1 <= grid <= largest:
        raise UsageError(
            f"grid {grid} does not fit images of {rows}x{columns}: choose 1 to {largest}"
        )
    if not 2 <= channels <= 512:
        raise UsageError(f"{channels} latent channels: choose 2 to 512")


def _ordinary(input_shape: tuple[int, int, int], grid: int, channels: int) -> list[Layer]:
    """Backbone with batch norm, then the published add-on layers (1x1 ReLU, 1x1 sigmoid)."""
    strides, left = _strides(input_shape[1:], grid)
    layers: list[Layer] = []
    inputs = input_shape[0]
    width = 32
    for number, stride in enumerate(strides):
        kernel = 5 if number == 0 else 3
        layers.append(
            _backbone(inputs, width, (kernel, kernel), stride, (kernel // 2, kernel // 2))
        )
        inputs, width = width, min(2 * width, 128)
    if grid > 1:
        # One more look around each location; at grid 1 the trimming convolution sees everything.
        layers.append(_backbone(inputs, width, (3, 3), (1, 1), (1, 1)))
        inputs = width
    trim = (left[0] - grid + 1, left[1] - grid + 1)
    if trim != (1, 1):
        outputs = max(inputs, channels)
        layers.append(_backbone(inputs, outputs, trim, (1, 1), (0, 0)))
        inputs = outputs
    layers.append(Layer(inputs=inputs, outputs=channels, kernel=(1, 1)))
    layers.append(Layer(inputs=channels, outputs=channels, kernel=(1, 1), activation="sigmoid"))
    return layers


def _certified(input_shape: tuple[int, int, int], grid: int, channels: int) -> list[Layer]:
    """Strided convolutions, a trimming one (fully connected at grid 1), a 1x1 sigmoid layer."""
    strides, left = _strides(input_shape[1:], grid, shortest=7)
    layers: list[Layer] = []
    inputs = input_shape[0]
    width = 16
    for stride in strides:
        layers.append(
            Layer(inputs=inputs, outputs=width, kernel=(5, 5), stride=stride, padding=(2, 2))
        )
        inputs, width = width, min(2 * width, 64)
    trim = (left[0] - grid + 1, left[1] - grid + 1)
    hidden = max(128, channels) if grid == 1 else max(64, channels)
    layers.append(Layer(inputs=inputs, outputs=hidden, kernel=trim))
    layers.append(Layer(inputs=hidden, outputs=channels, kernel=(1, 1), activation="sigmoid"))
    return layers


def _backbone(inputs: int, outputs: int, kernel: Pair, stride: Pair, padding: Pair) -> Layer:
    return Layer(
        inputs=inputs,
        outputs=outputs,
        kernel=kernel,
        stride=stride,
        padding=padding,
        batch_norm=True,
    )


def _strides(size: tuple[int, int], grid: int, shortest: int = 4) -> tuple[list[Pair], Pair]:
    """Strides of the size-reducing convolutions, and the size that is left after them.

    With padding (kernel - 1) / 2 a convolution of stride 2 leaves ceil(size / 2).
    """
    floor = max(grid, shortest)
    left = list(size)
    strides: list[Pair] = []
    while True:
        stride = [2 if (length + 1) // 2 >= floor else 1 for length in left]
        if stride == [1, 1]:
            # An image that is hardly larger than its grid still gets one convolution.
            return strides or [(1, 1)], (left[0], left[1])
        left = [-(-length // step) for length, step in zip(left, stride, strict=True)]
        strides.append((stride[0], stride[1]))
