"""Interval bounds through the whole network, differentiable, for certified training.

Interval bound propagation (Gowal et al., "Scalable Verified Training", ICCV 2019) through the
encoder, and on through squared distance, similarity, pooling and the margin rows W_y - W_k.
Every step maps a box to a box that holds the exact image of the first (up to rounding: these
bounds steer training and measure it; proofs come from the verifier's own outward-rounded ones).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from models.protopnet import Block, Encoder, ProtoPNet, similarity

CELLS = 1 << 25
"""Largest number of interval distances (image x prototype x channel x location) in one piece."""


class Box(NamedTuple):
    """Elementwise bounds of equal shape."""

    lower: Tensor
    upper: Tensor


def input_box(x: Float[Tensor, "image channel row column"], radius: float) -> Box:
    """The L-infinity ball around x, cut to the pixel range [0,1]."""
    return Box((x - radius).clamp(0.0, 1.0), (x + radius).clamp(0.0, 1.0))


def block_bounds(block: Block, box: Box) -> Box:
    """Bounds of one block; batch norm must be in evaluation mode (then it is affine)."""
    convolution = block.convolution
    weight, bias = convolution.weight, convolution.bias
    if block.norm is not None:
        weight, bias = folded(block)
    centre, radius = (box.lower + box.upper) / 2, (box.upper - box.lower) / 2
    layer = block.layer
    # |W r| <= |W| r: an affine map moves the centre by W and the radius by |W|.
    if layer.kernel == (1, 1) and layer.inputs == 1:  # a product, at which conv2d is slow
        scale = weight.view(1, -1, 1, 1)
        middle, spread = centre * scale + bias.view(1, -1, 1, 1), radius * scale.abs()
    else:
        middle = nn.functional.conv2d(centre, weight, bias, layer.stride, layer.padding)
        spread = nn.functional.conv2d(radius, weight.abs(), None, layer.stride, layer.padding)
    monotone = torch.relu if layer.activation == "relu" else torch.sigmoid
    return Box(monotone(middle - spread), monotone(middle + spread))


def folded(block: Block) -> tuple[Tensor, Tensor]:
    """Weight and bias of a convolution with its batch norm (evaluation mode) multiplied in."""
    weight, bias, norm = block.convolution.weight, block.convolution.bias, block.norm
    if norm is None:
        return weight, torch.zeros(len(weight), dtype=weight.dtype) if bias is None else bias
    if norm.running_mean is None or norm.running_var is None:
        raise ValueError("batch norm without running statistics cannot be folded")
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    shift = norm.bias - norm.running_mean * scale
    return weight * scale.view(-1, 1, 1, 1), shift if bias is None else shift + bias * scale


def encoder_bounds(encoder: Encoder, box: Box) -> Box:
    """Bounds of the latent over a box of images."""
    box = Box((box.lower - encoder.mean) / encoder.std, (box.upper - encoder.mean) / encoder.std)
    for block in encoder.blocks:
        if not isinstance(block, Block):
            raise TypeError(f"no interval rule for {type(block).__name__}")
        box = block_bounds(block, box)
    return box


def measurement_bounds(latent: Box, prototypes: Float[Tensor, "prototype channel 1 1"]) -> Box:
    """Bounds of sum_d (z_d - p_d)^2, [image, prototype, row, column].

    Per channel the squared distance to a point is smallest at the point's projection on the
    interval and largest at one of the ends; the channels of a box vary independently, so the
    sums of these extremes are exact.
    """
    size = max(1, CELLS // latent.lower.numel())
    if size >= len(prototypes):
        return _measurement_bounds(latent.lower, latent.upper, prototypes)
    parts = [
        # Recomputed in the backward pass, so that only one part is in memory at a time.
        checkpoint(_measurement_bounds, *latent, part, use_reentrant=False)
        for part in torch.split(prototypes, size)
    ]
    return Box(
        torch.cat([part.lower for part in parts], dim=1),
        torch.cat([part.upper for part in parts], dim=1),
    )


def _measurement_bounds(lower: Tensor, upper: Tensor, prototypes: Tensor) -> Box:
    point = prototypes.view(1, *prototypes.shape[:2], 1, 1)
    below, above = lower.unsqueeze(1) - point, upper.unsqueeze(1) - point
    gap = torch.relu(below) + torch.relu(-above)
    reach = torch.maximum(above, -below)
    return Box((gap * gap).sum(dim=2), (reach * reach).sum(dim=2))


def activation_bounds(measurement: Box) -> Box:
    """Bounds of the pooled similarity; it decreases in the smallest measurement."""
    return Box(
        similarity(measurement.upper.flatten(2).amin(dim=2)),
        similarity(measurement.lower.flatten(2).amin(dim=2)),
    )


def margin_bounds(
    activation: Box, weight: Float[Tensor, "class_ prototype"], labels: Int[Tensor, "image"]
) -> Float[Tensor, "image class_"]:
    """Lower bounds of logit[label] - logit[k] for every class k (0 at k = label).

    The rows are subtracted before they meet the bounds: prototypes that vote alike for both
    classes cancel, which bounding the two logits apart would lose.
    """
    rows = weight[labels].unsqueeze(1) - weight.unsqueeze(0)
    low, high = activation.lower.unsqueeze(2), activation.upper.unsqueeze(2)
    return (rows.clamp(min=0) @ low + rows.clamp(max=0) @ high).squeeze(2)


def worst_margins(
    model: ProtoPNet,
    x: Tensor,
    labels: Tensor,
    radius: float,
) -> Float[Tensor, "image class_"]:
    """Lower bounds of all margins over the L-infinity ball of the given radius."""
    latent = encoder_bounds(model.encoder, input_box(x, radius))
    activation = activation_bounds(measurement_bounds(latent, model.prototypes))
    return margin_bounds(activation, model.head.weight, labels)


@torch.no_grad()
def certified(
    model: ProtoPNet, x: Tensor, labels: Tensor, radius: float, batch: int = 32
) -> Bool[Tensor, "image"]:
    """Which images keep their label over the whole ball, by intervals alone (evaluation mode)."""
    proved = []
    for start in range(0, len(x), batch):
        part, truth = x[start : start + batch], labels[start : start + batch]
        proved.append(all_won(worst_margins(model, part, truth, radius), truth))
    return torch.cat(proved)


def all_won(
    margins: Float[Tensor, "image class_"], labels: Int[Tensor, "image"]
) -> Bool[Tensor, "image"]:
    """Whether every margin but the label's own is positive; one that is no number is not."""
    rivals = torch.ones_like(margins, dtype=torch.bool).scatter_(1, labels[:, None], False)
    return ((margins > 0) | ~rivals).all(dim=1)
