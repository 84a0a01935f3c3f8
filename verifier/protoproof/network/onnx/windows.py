"""Shape rules of convolution and pooling: a window that slides over rows and columns."""

from __future__ import annotations

from dataclasses import dataclass

from protoproof.network.onnx.node import Call, Shape

LARGEST = 1 << 20  # of a kernel, stride, dilation or pad


@dataclass(frozen=True)
class Window:
    """A sliding window over rows and columns; pads are (top, left, bottom, right)."""

    kernel: tuple[int, int]
    strides: tuple[int, int]
    dilations: tuple[int, int]
    pads: tuple[int, int, int, int]

    @property
    def symmetric(self) -> bool:
        """Whether both sides of each axis are padded alike."""
        return self.pads[:2] == self.pads[2:]


def window(call: Call, kernel: tuple[int, ...] | None) -> Window:
    """The window of a convolution or pooling over [N, C, H, W]."""
    if len(call.shape(0)) != 4:
        raise call.refuse(f"input has rank {len(call.shape(0))}; only [N, C, H, W] is supported")
    if call.node.attributes.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
        raise call.refuse("auto_pad is not supported; export with explicit pads")
    if call.node.attributes.get("auto_pad") == "VALID" and any(call.integers("pads") or ()):
        raise call.refuse("auto_pad VALID contradicts pads; drop one of them")
    kh, kw = _numbers(call, "kernel_shape", kernel, 2, 1)
    sh, sw = _numbers(call, "strides", (1, 1), 2, 1)
    dh, dw = _numbers(call, "dilations", (1, 1), 2, 1)
    top, left, bottom, right = _numbers(call, "pads", (0, 0, 0, 0), 4, 0)
    return Window((kh, kw), (sh, sw), (dh, dw), (top, left, bottom, right))


def _numbers(
    call: Call, name: str, default: tuple[int, ...] | None, length: int, least: int
) -> tuple[int, ...]:
    values = call.integers(name)
    values = default if values is None else values
    if values is None or len(values) != length:
        raise call.refuse(f"attribute {name} needs {length} numbers; export them")
    if any(not least <= value <= LARGEST for value in values):
        raise call.refuse(f"attribute {name} {list(values)} is out of range; correct it")
    return values


def slide(call: Call, window: Window) -> tuple[int, int]:
    """Number of window positions along rows and columns."""
    counts = []
    for axis in (0, 1):
        span = window.dilations[axis] * (window.kernel[axis] - 1) + 1
        size = call.shape(0)[2 + axis] + window.pads[axis] + window.pads[2 + axis]
        if size < span:
            raise call.refuse("the window is larger than the padded input; correct the graph")
        if call.integer("ceil_mode", 0) and (size - span) % window.strides[axis]:
            raise call.refuse("ceil_mode=1 changes the shape here; export with explicit pads")
        counts.append((size - span) // window.strides[axis] + 1)
    return counts[0], counts[1]


def conv(call: Call) -> Shape:
    """[N, C, H, W] and weight [M, C / group, kh, kw], optional bias [M]."""
    data, weight = call.shape(0), call.shape(1)
    if len(weight) != 4:
        raise call.refuse(f"weight has rank {len(weight)}; only two-dimensional kernels are known")
    shape = window(call, weight[2:])
    group = call.integer("group", 1)
    if shape.kernel != weight[2:]:
        raise call.refuse("kernel_shape contradicts the weight; correct it")
    if group < 1 or weight[0] % group or data[1] != weight[1] * group:
        raise call.refuse("channels, weight and group do not fit; correct them")
    if len(call.shapes) > 2 and call.shapes[2] not in (None, (weight[0],)):
        raise call.refuse("bias must have one number per output channel; correct it")
    return (data[0], weight[0], *slide(call, shape))


def max_pool(call: Call) -> Shape:
    """Largest value under the window; padding never wins."""
    shape = window(call, None)
    if call.integer("storage_order", 0):
        raise call.refuse("storage_order=1 is not supported; export without it")
    _pool_pads(call, shape)
    return (*call.shape(0)[:2], *slide(call, shape))


def average_pool(call: Call) -> Shape:
    """Mean under the window."""
    shape = window(call, None)
    if shape.dilations != (1, 1):
        raise call.refuse("dilated average pooling is not supported; remove the dilations")
    _pool_pads(call, shape)
    return (*call.shape(0)[:2], *slide(call, shape))


def _pool_pads(call: Call, shape: Window) -> None:
    # beyond half the kernel a window could lie in the padding alone
    pairs = zip(shape.pads, shape.kernel * 2, strict=True)
    if not shape.symmetric or any(2 * pad > kernel for pad, kernel in pairs):
        raise call.refuse("pads must be symmetric and at most half the kernel; use Pad before it")


def global_pool(call: Call) -> Shape:
    """[N, C, H, W] -> [N, C, 1, 1]."""
    if len(call.shape(0)) != 4:
        raise call.refuse("only [N, C, H, W] is supported; reshape before it")
    return (*call.shape(0)[:2], 1, 1)
