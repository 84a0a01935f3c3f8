"""Forms of single units of convolutional layers, each kept in the window of the input that it sees.

A unit of a feature map depends on few units of the map before, so its form is zero elsewhere. All
units of a layer have windows of one size at each map before, whose origins follow from strides and
pads; what a row meets there is cut out of the map, and is zero where the window reaches beyond it,
as a convolution pads. float32, unproved; see ``sketch``.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from protoproof.network.onnx.graph import Graph
from protoproof.network.onnx.node import Node
from protoproof.network.onnx.windows import window


@dataclass(frozen=True, eq=False)
class Rows:
    """Forms [row, channel, h, w] in windows whose first unit is at ``top``, ``left`` of a map."""

    values: Tensor
    top: Tensor
    left: Tensor

    def met(self, field: Tensor) -> Tensor:
        """What every row meets of a map [1, channel, H, W]."""
        height, width = self.values.shape[2:]
        places = torch.stack([self.top, self.left], 1)
        kinds, which = torch.unique(places, dim=0, return_inverse=True)
        before = (-kinds).clamp(min=0).amax(0)
        size = torch.tensor(field.shape[2:])
        after = (kinds + torch.tensor([height, width]) - size).clamp(min=0).amax(0)
        (above, beside), (below, behind) = before.tolist(), after.tolist()
        padded = torch.nn.functional.pad(field, (beside, behind, above, below))[0]
        cut = [
            padded[:, r + above : r + above + height, c + beside : c + beside + width]
            for r, c in kinds.tolist()
        ]
        return torch.stack(cut)[which]

    def through(self, graph: Graph, node: Node, weight: Tensor) -> Rows:
        """Forms of what goes into a convolution."""
        call = graph.call(node)
        shape = window(call, call.shape(1)[2:])
        values = torch.nn.functional.conv_transpose2d(
            self.values,
            weight,
            stride=shape.strides,
            groups=call.integer("group", 1),
            dilation=shape.dilations,
        )
        top, left = shape.pads[:2]
        return Rows(values, self.top * shape.strides[0] - top, self.left * shape.strides[1] - left)


def of_units(graph: Graph, node: Node, weight: Tensor, units: Tensor) -> Rows:
    """Forms of what goes into a convolution, one for each of these units of its output."""
    call = graph.call(node)
    shape = window(call, call.shape(1)[2:])
    channels, height, width = graph.shapes[node.output][1:]
    channel = units // (height * width)
    row, column = units // width % height, units % width
    one = torch.zeros(len(units), channels, 1, 1)
    one[torch.arange(len(units)), channel] = 1.0
    start = Rows(one, row, column)
    if call.integer("group", 1) == 1 and shape.dilations == (1, 1):
        top, left = shape.pads[:2]
        return Rows(weight[channel], row * shape.strides[0] - top, column * shape.strides[1] - left)
    return start.through(graph, node, weight)
