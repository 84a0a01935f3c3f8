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
out: it is unsound through logarithms. Every row counts with those before it, as in ``region``;
``ours`` are certificates that the checker accepted without any assumption about the encoder.
"""

from __future__ import annotations

import time
import warnings
from collections import defaultdict
from fractions import Fraction
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from protoproof.certification.certify import Certifier
from protoproof.network import Network
from protoproof.network.onnx.graph import Graph
from protoproof.network.onnx.torch_graph import TorchGraph
from protoproof.region.bounds import lirpa
from protoproof.region.sets.region import LinfBall, Region
from protoproof.verdict import Status
from tests.benchmarks.measure import Settings
from tests.benchmarks.mnist import explainer
from tests.benchmarks.region import images

METHODS = ("IBP", "CROWN-IBP", "CROWN")
FORMS = ("expanded", "apart")
OURS = ("interval", "linear", "linear-deep")
NETWORK = "mnist-certified"
RADIUS = Fraction(1, 10)


class Whole(nn.Module):
    """Encoder and head in float64, all constants parameters."""

    def __init__(self, network: Network, encoder: Graph, form: str) -> None:
        super().__init__()
        head = network.head
        steps = head.chain.steps
        if head.locations != 1 or [s.name for s in steps] != ["add", "one_plus", "log"]:
            raise ValueError("one location and log similarity only")
        self.encoder = TorchGraph(encoder).double()
        for name, value in list(self.encoder.named_buffers()):
            delattr(self.encoder, name)
            self.encoder.register_parameter(name, nn.Parameter(value, requires_grad=False))
        self.form, self.epsilon = form, float(np.asarray(steps[0].constant)[0])
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
                x=(x,), C=rows[None], method=method, bound_upper=False
            )
        return np.asarray(found.detach().numpy()[0])


def end_to_end(settings: Settings) -> list[dict[str, Any]]:
    """Who certifies which of the images of ``region``."""
    x, labels = images(settings.regions)
    known = explainer(NETWORK)
    theirs = EndToEnd(known.network)
    certifier = Certifier(known)
    first: dict[str, list[str | None]] = {"auto_LiRPA": [], "ours": []}
    seconds: dict[str, float] = defaultdict(float)
    for image, label in zip(x, labels, strict=True):
        predicted = known.network.observe(image).predicted
        ball = LinfBall(image, known.network.input_range, RADIUS)
        found: list[str | None] = [None, None]
        if predicted == int(label):
            found[0] = _theirs(theirs, ball, predicted, seconds)
            answer = certifier.certify(ball, falsify=False, timeout=600.0)
            if answer.verdict.status is Status.PROVED:
                found[1] = answer.method
            for stage in answer.stages:
                seconds[stage.name] += stage.seconds
        for name, method in zip(first, found, strict=True):
            first[name].append(method)
    one, other = ([method is not None for method in first[name]] for name in first)
    rows = []
    for name, methods in (("auto_LiRPA", METHODS), ("ours", OURS)):
        total = 0
        for method in methods:
            total += first[name].count(method)
            rows.append(
                {
                    "method": f"{name}, {method}",
                    "images": len(x),
                    "proved": total,
                    "certified_accuracy": round(total / len(x), 4),
                    "seconds_per_image": round(seconds[method] / len(x), 4),
                }
            )
    return [
        {
            "workload": f"whole network {NETWORK}, L-inf {float(RADIUS)}",
            "rows": rows,
            "both": sum(a and b for a, b in zip(one, other, strict=True)),
            "only_auto_lirpa": sum(a and not b for a, b in zip(one, other, strict=True)),
            "only_ours": sum(b and not a for a, b in zip(one, other, strict=True)),
        }
    ]


def _theirs(
    engine: EndToEnd, ball: LinfBall, predicted: int, seconds: dict[str, float]
) -> str | None:
    """The first method that proves every margin, in either form of the head."""
    for method in METHODS:
        begun = time.perf_counter()
        proved = any(
            bool((engine.margins(ball, predicted, method, form) > 0).all()) for form in FORMS
        )
        seconds[method] += time.perf_counter() - begun
        if proved:
            return method
    return None
