"""Named rewrites of a graph. Each keeps the value of every tensor that remains (see its test)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from protoproof.network.onnx.graph import Graph
from protoproof.network.onnx.node import Node


@dataclass(frozen=True, eq=False)
class Rewritten:
    """A graph after a rewrite, and the new names of tensors that the rewrite removed."""

    graph: Graph
    renamed: dict[str, str]

    def name(self, tensor: str) -> str:
        """The name that a tensor of the original graph has now."""
        return self.renamed.get(tensor, tensor)


def drop_identities(graph: Graph) -> Rewritten:
    """Remove Identity nodes: their consumers read the input instead."""
    renamed: dict[str, str] = {}
    nodes: list[Node] = []
    for node in graph.nodes:  # sorted, so a source is renamed before it is used
        inputs = tuple(renamed.get(name, name) for name in node.inputs)
        if node.op == "Identity":
            renamed[node.output] = inputs[0]
        else:
            nodes.append(replace(node, inputs=inputs))
    outputs = tuple(renamed.get(name, name) for name in graph.outputs)
    return Rewritten(replace(graph, nodes=tuple(nodes), outputs=outputs), renamed)
