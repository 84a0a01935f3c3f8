"""The translated graph as a torch module. This is the one file of the room that loads torch early;
import it lazily.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from protoproof.errors import InternalError
from protoproof.network.onnx.graph import Graph
from protoproof.network.onnx.node import Call
from protoproof.network.onnx.ops import OPERATORS, lookup


class TorchGraph(nn.Module):
    """Runs a :class:`Graph` with the torch meanings of the operator table.

    ``forward`` takes the graph's input with a batch axis and returns its outputs (one tensor, or a
    tuple where there are several). Weights are buffers, so ``.double()`` and ``.to(device)`` work
    as usual. Sub-expressions of constants are computed once, in float64, and rounded to float32.
    """

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        self.graph = graph
        self._steps: list[tuple[Call, tuple[str, ...]]] = []
        self._buffer: dict[str, str] = {}
        folded: dict[str, Tensor] = {
            name: torch.tensor(np.asarray(value), dtype=torch.float64)
            for name, value in graph.constants.items()
            if value.dtype == np.float32
        }
        needed = set(graph.outputs)
        for node in graph.nodes:
            row, call = lookup(node), graph.call(node)
            names = row.data_inputs(node)
            if all(name in folded for name in names if name):
                tensors = [folded[name] if name else None for name in names]
                folded[node.output] = row.meaning(call, *tensors)
            else:
                self._steps.append((call, names))
                needed.update(names)
        for index, name in enumerate(sorted(needed & folded.keys())):
            self._buffer[name] = f"constant_{index}"
            self.register_buffer(f"constant_{index}", folded[name].float())

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        """The outputs for a batch of inputs.

        Raises:
            InternalError: more than one image where the graph is fixed to one.
        """
        if x.shape[0] != 1 and not self.graph.free_batch:
            raise InternalError("this graph is fixed to one image at a time")
        values: dict[str, Tensor | None] = {"": None, self.graph.input: x}
        values.update({name: getattr(self, buffer) for name, buffer in self._buffer.items()})
        for call, names in self._steps:
            meaning = OPERATORS[call.node.op].meaning
            values[call.node.output] = meaning(call, *(values[name] for name in names))
        results = tuple(values[name] for name in self.graph.outputs)
        if any(result is None for result in results):
            raise InternalError("an output of the graph was never computed")
        return results[0] if len(results) == 1 else results  # type: ignore[return-value]
