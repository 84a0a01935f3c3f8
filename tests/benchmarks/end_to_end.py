"""auto_LiRPA over the whole network, encoder and prototype head: what it certifies by itself.

The head is written in operators that release 0.3 bounds soundly, in two ways, and an image counts
if either proves it:

* ``apart``: d_jd = z_d - p_jd as one linear layer, q_j = sum of d_jd * d_jd;
* ``expanded``: q_j = sum of z_d * z_d - 2 <p_j, z> + |p_j|^2, with one square per channel.

The normalisation in front of the first layer is applied to the box by our own rules (release 0.3
fails on a division behind a convolution). Then relu(q), which is q, and keeps bounds of q from
falling below 0; the similarity as log(relu(q) + 1) - log(relu(q) + epsilon); the last layer. The
squares are products of a tensor with itself, because powers have no sound rule in every release.
The specification matrix asks for the margins against all rivals. Only for networks with one
location (else a maximum over locations would have to be bounded, for which it has no sound rule)
and log similarity. Convolutions are matrices (patches fail in CROWN of this network).

Bounds are float64 and rounded to nearest, and not widened: in its favour. alpha-CROWN is left
out: it is unsound through logarithms.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from verifier.bounds import lirpa
from verifier.bounds.region import Region
from verifier.network import Network
from verifier.network.graph import Graph
from verifier.network.torch_graph import TorchGraph

METHODS = {"IBP": "IBP", "CROWN-IBP": "CROWN-IBP", "CROWN": "CROWN"}
FORMS = ("apart", "expanded")


class Whole(nn.Module):
    """Encoder and head in float64, all constants parameters."""

    def __init__(self, network: Network, encoder: Graph, form: str) -> None:
        super().__init__()
        head = network.head
        if head.locations != 1 or head.similarity.kind != "log_ratio":
            raise ValueError("one location and log similarity only")
        self.encoder = TorchGraph(encoder).double()
        for name, value in list(self.encoder.named_buffers()):
            delattr(self.encoder, name)
            self.encoder.register_parameter(name, nn.Parameter(value, requires_grad=False))
        self.form, self.epsilon = form, float(head.similarity.constant)
        points = torch.tensor(head.prototypes, dtype=torch.float64)
        count, channels = points.shape
        if form == "apart":
            self.first = _linear(torch.eye(channels).repeat(count, 1), -points.flatten())
            self.sums = _linear(torch.eye(count).repeat_interleave(channels, 1))
        else:
            self.first = _linear(torch.eye(channels))
            self.sums = _linear(torch.ones(count, channels))
            self.cross = _linear(-2 * points, (points * points).sum(1))
        self.last = _linear(torch.tensor(head.weight), torch.tensor(head.bias))

    def forward(self, x: Tensor) -> Tensor:
        """Logits, [batch, class_]."""
        z = torch.flatten(self.encoder(x), 1)
        d = self.first(z) if self.form == "apart" else z
        q = self.sums(d * d)
        if self.form == "expanded":
            q = q + self.cross(z)
        q = torch.relu(q)
        found: Tensor = self.last(torch.log(q + 1.0) - torch.log(q + self.epsilon))
        return found


def _linear(weight: Tensor, bias: Tensor | None = None) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None).double()
    layer.weight = nn.Parameter(weight.double(), requires_grad=False)
    if bias is not None:
        layer.bias = nn.Parameter(bias.double(), requires_grad=False)
    return layer


class EndToEnd:
    """auto_LiRPA's own bounds of the margins of one network."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.engine = lirpa.Lirpa(network)
        self.package = lirpa._package(self.engine.release)
        graph = self.engine._graph  # behind the normalisation, which maps boxes to boxes
        shape = graph.shapes[graph.input]
        options = {"conv_mode": "matrix"}  # patches fail in CROWN of this network
        self.models: dict[str, Any] = {}
        with lirpa._double(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for form in FORMS:
                whole = Whole(network, graph, form).eval()
                module = self.package.BoundedModule(whole, torch.zeros(shape).double(), options)
                self.models[form] = module

    def margins(
        self, region: Region, predicted: int, method: str, form: str
    ) -> NDArray[np.float64]:
        """Lower bounds of the margins against every rival, NaN where the method fails."""
        classes = len(self.network.class_names)
        rows = torch.eye(classes, dtype=torch.float64)[predicted] - torch.eye(classes)
        rows = rows[[k for k in range(classes) if k != predicted]].double()
        x = self.engine._perturbed(region)
        with lirpa._double(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found, _ = self.models[form].compute_bounds(
                x=(x,), C=rows[None], method=METHODS[method], bound_upper=False
            )
        return np.asarray(found.detach().numpy()[0])
