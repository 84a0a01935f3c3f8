"""EfficientNet-Lite (Tan & Le, ICML 2019, without squeeze-and-excitation, with ReLU6).

Tensors are named as timm names them. Two trainings share these names and differ in padding and in
the norm's epsilon: which one is asked for.
"""

from __future__ import annotations

from protoproof.errors import InputError
from protoproof.importing.answers import Answers, one_of
from protoproof.importing.encoders.encoder import Build, Encoder, Wish, counted
from protoproof.importing.pickled.checkpoint import Checkpoint
from protoproof.importing.writer import Value, Writer

STRIDES = (1, 2, 2, 2, 1, 2, 1)  # of the first block of each stage
KNOWN: dict[tuple[int, ...], str] = {(1, 2, 2, 3, 3, 4, 1): "efficientnet_lite0"}
VARIANTS = ("efficientnet_lite0", "tf_efficientnet_lite0")


def here(checkpoint: Checkpoint, prefix: str) -> bool:
    return checkpoint.has(f"{prefix}conv_stem.weight") and not any(
        ".se." in name for name in checkpoint.tensors
    )


def _stages(checkpoint: Checkpoint, prefix: str) -> tuple[int, ...]:
    return tuple(
        counted(checkpoint, f"{prefix}blocks.{stage}.{{}}.conv_dw.weight") for stage in range(7)
    )


def name(checkpoint: Checkpoint, prefix: str) -> str:
    stages = _stages(checkpoint, prefix)
    return KNOWN.get(stages, f"efficientnet_lite of {', '.join(map(str, stages))} blocks")


def plan(checkpoint: Checkpoint, prefix: str, wish: Wish, answers: Answers) -> Build:
    if wish.last is not None:
        raise InputError(f"{checkpoint.path}: layer '{wish.last}' is not imported")
    variant = answers.need(
        "backbone",
        "efficientnet_lite0 or tf_efficientnet_lite0: they differ in padding",
        None,
        one_of(*VARIANTS),
    )
    same = variant == VARIANTS[1]
    stages = _stages(checkpoint, prefix)

    def build(writer: Writer, x: Value) -> Value:
        step = _Step(writer, same)
        x = step(x, f"{prefix}conv_stem", f"{prefix}bn1", 2)
        for stage, (blocks, stride) in enumerate(zip(stages, STRIDES, strict=True)):
            for block in range(blocks):
                path = f"{prefix}blocks.{stage}.{block}."
                x = _block(step, x, path, stride if block == 0 else 1)
        return step(x, f"{prefix}conv_head", f"{prefix}bn2", 1)

    return build


class _Step:
    """Convolution, norm, and ReLU6 unless it is the last of a block."""

    def __init__(self, writer: Writer, same: bool) -> None:
        self.writer, self._same = writer, same
        writer.constant("six", 6.0)
        writer.constant("nought", 0.0)

    def __call__(self, x: Value, conv: str, norm: str, stride: int, bent: bool = True) -> Value:
        writer = self.writer
        size = writer.checkpoint.shape(f"{conv}.weight")[-1]
        if self._same and stride == 2:
            x, padding = self._padded(x, size), 0
        else:
            padding = size // 2
        x = writer.norm(writer.conv(x, conv, stride, padding), norm, 1e-3 if self._same else 1e-5)
        if not bent:
            return x
        return writer.add("Clip", [x.name, "nought", "six"], x.shape)

    def _padded(self, x: Value, size: int) -> Value:
        """Zeros so that ceil(n / 2) windows fit, the odd one at the end."""
        total = [max((-(-n // 2) - 1) * 2 + size - n, 0) for n in x.shape[1:]]
        before = [n // 2 for n in total]
        after = [n - b for n, b in zip(total, before, strict=True)]
        pads = self.writer.constant(f"pads.{x.name}", [0, 0, *before, 0, 0, *after])
        shape = (x.shape[0], *(n + t for n, t in zip(x.shape[1:], total, strict=True)))
        return self.writer.add("Pad", [x.name, pads], shape)


def _block(step: _Step, x: Value, path: str, stride: int) -> Value:
    if step.writer.checkpoint.has(f"{path}conv_pwl.weight"):
        inner = step(x, f"{path}conv_pw", f"{path}bn1", 1)
        inner = step(inner, f"{path}conv_dw", f"{path}bn2", stride)
        inner = step(inner, f"{path}conv_pwl", f"{path}bn3", 1, bent=False)
    else:
        inner = step(x, f"{path}conv_dw", f"{path}bn1", stride)
        inner = step(inner, f"{path}conv_pw", f"{path}bn2", 1, bent=False)
    return step.writer.join("Add", inner, x) if inner.shape == x.shape and stride == 1 else inner


ENCODER = Encoder(here, name, plan)
