"""Bound propagation by auto_LiRPA: the encoder only, allow-listed operators only. An optional tool.

The only file that imports the package. What it returns is an assumption of whoever uses it
(:meth:`Lirpa.assumption`), never checked: float64 arithmetic without directed rounding, widened by
:func:`_slack`. Bounds are intersected with our own interval walk, compared with the encoder's value
at a point of the region, and refused where they are not finite or cross.

The normalisation in front of the first layer is not handed over: affine operators with constants
that act on single numbers turn the input box into another box, by our own rules.
"""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor, nn

from protoproof.arithmetic.interval import Interval
from protoproof.errors import BoundsError, MissingDependencyError, UnsupportedOperatorError
from protoproof.network import Network
from protoproof.network.onnx.graph import Graph, part
from protoproof.network.onnx.node import Node
from protoproof.network.onnx.torch_graph import TorchGraph
from protoproof.region.bounds import lirpa_compat
from protoproof.region.bounds.interval import LatentBox, encoder_bounds, require_bounds, walk
from protoproof.region.bounds.locations import in_the_latent
from protoproof.region.bounds.names import METHODS
from protoproof.region.sets.region import InputBox, L2Ball, Region
from protoproof.region.sets.transformations import hull

_log = logging.getLogger(__name__)

Coefficients = Float[NDArray[np.float64], "row location channel"]
Bounds = Float[NDArray[np.float64], "row"]

# cheapest first; what is too large or fails falls back to the one before
_NAMES = {"crown-ibp": "CROWN-IBP", "crown": "CROWN", "alpha-crown": "CROWN-Optimized"}

# Each passed the containment fuzz of the tests, in both dtypes and all methods, for 0.3.
# Left out: Div (0.3 fails behind a convolution) and BatchNormalization (its constants cannot be
# parameters there); a division or a shift in front of the first layer is ours anyway.
ALLOWED = frozenset(
    {"Add", "AveragePool", "Conv", "Dropout", "Flatten", "Gemm", "Identity", "MatMul", "Mul"}
    | {"Neg", "Relu", "Reshape", "Sigmoid", "Sub", "Tanh"}
)
_AFFINE = {"Sub", "Add", "Div", "Mul"}  # of one number and a constant

_ITERATIONS = 10  # of alpha-CROWN
_BYTES = 1 << 31


@dataclass(frozen=True, eq=False)
class FormBounds:
    """``lower <= <coefficients_r, z> <= upper`` over a region, [row].

    ``method`` is the one that gave them; ``fallbacks`` says what was tried before, and why not.
    """

    lower: Bounds
    upper: Bounds
    method: str
    fallbacks: tuple[str, ...] = ()


def available() -> bool:
    """Whether the package is installed."""
    return lirpa_compat.installed_version() is not None


class Lirpa:
    """The encoder of one network, ready for bound propagation.

    Args:
        network: whose encoder.
        device: a torch device.
        memory: bytes that one call may need, by our estimate.

    Raises:
        MissingDependencyError: auto_LiRPA is not installed.
        UnsupportedOperatorError: the encoder has an operator that is not on the allow-list (our
            own interval walk may still serve).
    """

    def __init__(self, network: Network, device: str = "cpu", memory: int = _BYTES) -> None:
        self.network, self.device, self.memory = network, device, memory
        self.release = lirpa_compat.installed_version() or ()
        if not self.release:
            raise MissingDependencyError(
                "auto_LiRPA is not installed; pip install --no-deps auto_LiRPA==0.3 appdirs tqdm"
            )
        graph = network.encoder_graph
        self.start, rest = _split(graph)
        for node in rest.nodes:
            _require_allowed(node, graph)
        self._prefix = (
            part(graph, graph.input, (self.start,)) if self.start != graph.input else None
        )
        self._graph = rest
        self._modules: dict[str, Any] = {}

    def assumption(self, method: str) -> str:
        """What a claim that uses these bounds rests on."""
        release = ".".join(map(str, self.release))
        return f"encoder bound: auto_LiRPA {release} {_NAMES[method]} float64, not replayed"

    def forms(
        self, region: Region | InputBox, coefficients: Coefficients, method: str = "crown"
    ) -> FormBounds:
        """Bounds of linear forms of the latent over a region, all rows in one pass.

        Falls back to a cheaper method where one needs too much memory or fails; ``interval``
        never does.

        Raises:
            BoundsError: no engine gives finite bounds, or two engines contradict each other.
        """
        box = self.latent_interval(region)
        positive, negative = np.maximum(coefficients, 0.0), np.minimum(coefficients, 0.0)
        low = (positive * box.lower[0] + negative * box.upper[0]).sum(axis=(1, 2))
        high = (positive * box.upper[0] + negative * box.lower[0]).sum(axis=(1, 2))
        spare = _slack(coefficients, low, high)
        low, high = low - spare, high + spare
        fallbacks: list[str] = []
        for name in reversed(METHODS[1 : METHODS.index(method) + 1]):
            try:
                found = self._run(region, coefficients, name)
            except (BoundsError, MemoryError, RuntimeError, AssertionError, IndexError) as error:
                problem = " ".join(str(error).split())[:120] or type(error).__name__
                fallbacks.append(f"{name}: {problem}")
                _log.info("auto_LiRPA %s failed: %s", name, problem)
                self._modules.pop(name, None)  # a failed pass leaves it half done
                continue
            lower, upper = np.maximum(low, found[0]), np.minimum(high, found[1])
            require_bounds(lower, upper, f"linear forms by {name}, with those by intervals")
            return FormBounds(lower, upper, name, tuple(fallbacks))
        return FormBounds(low, high, "interval", tuple(fallbacks))

    def latent(self, region: Region | InputBox, method: str = "crown") -> tuple[LatentBox, str]:
        """Bounds of every latent unit, and the method that gave them; dear for large latents."""
        head = self.network.head
        count = head.locations * head.channels
        unit = np.eye(count).reshape(count, head.locations, head.channels)
        found = self.forms(region, unit, method)
        shape = 1, head.locations, head.channels
        return LatentBox(found.lower.reshape(shape), found.upper.reshape(shape)), found.method

    def latent_interval(self, region: Region | InputBox) -> LatentBox:
        """By our own walk: one box around all parts of the region."""
        found = encoder_bounds(self.network, _cover(region))
        return LatentBox(found.lower.min(axis=0)[None], found.upper.max(axis=0)[None])

    def _run(
        self, region: Region | InputBox, coefficients: Coefficients, method: str
    ) -> tuple[Bounds, Bounds]:
        """One method, in chunks of rows.

        Raises:
            BoundsError: too large, NaN, or contradicted by the encoder itself.
        """
        numbers = _numbers(self._graph, method)
        rows = len(coefficients)
        step = min(rows, self.memory // (8 * numbers))
        if step < 1:
            raise BoundsError(f"needs about {8 * numbers >> 20} MiB, {self.memory >> 20} allowed")
        size = math.prod(self._graph.shapes[self._graph.outputs[0]])
        flat = in_the_latent(coefficients, self.network.sites, size)
        with _double(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the package's, not ours
            module = self._module(method)
            pieces = [
                self._bounds(module, region, torch.tensor(flat[at : at + step]), method)
                for at in range(0, rows, step)
            ]
        lower, upper = (np.concatenate(ends) for ends in zip(*pieces, strict=True))
        require_bounds(lower, upper, f"linear forms by {method}")
        spare = _slack(coefficients, lower, upper)
        lower, upper = lower - spare, upper + spare
        value = flat @ self._value(region)
        if ((value < lower) | (value > upper)).any():
            raise BoundsError(f"{method} contradicts the encoder at a point of the region")
        return lower, upper

    def _bounds(
        self, module: Any, region: Region | InputBox, rows: Tensor, method: str
    ) -> tuple[Bounds, Bounds]:
        tensor = self._perturbed(region)
        lower, upper = module.compute_bounds(
            x=(tensor,), C=rows[None].to(self.device), method=_NAMES[method]
        )
        return lower.detach().cpu().numpy()[0], upper.detach().cpu().numpy()[0]

    def _perturbed(self, region: Region | InputBox) -> Any:
        """The input of the rest of the encoder: a box, or an L2 ball where the scale is uniform."""
        package = _package(self.release)
        ball = _l2(region, self._scale())
        box = hull(_cover(region))
        ends = self._through(Interval(_tensor(box.lower), _tensor(box.upper)))
        lower, upper = ends.lower.to(self.device), ends.upper.to(self.device)
        if ball is not None and isinstance(region, L2Ball):
            centre = _tensor(region.centre.astype(np.float64))
            middle = self._through(Interval(centre, centre)).lower.to(self.device)
            perturbation = package.PerturbationLpNorm(norm=2, eps=ball)
            return package.BoundedTensor(middle, perturbation)
        perturbation = package.PerturbationLpNorm(norm=np.inf, x_L=lower, x_U=upper, eps=1.0)
        return package.BoundedTensor((lower + upper) / 2, perturbation)

    def _through(self, ends: Interval) -> Interval:
        return ends if self._prefix is None else walk(self._prefix, ends)[self.start]

    def _scale(self) -> float | None:
        """By how much the prefix stretches distances at most; None where that depends on x."""
        shape = self.network.encoder_graph.shapes[self.network.encoder_graph.input]
        one, none = (torch.full(shape, v, dtype=torch.float64) for v in (1.0, 0.0))
        high, low = (self._through(Interval(v, v)) for v in (one, none))
        stretch = torch.maximum((high.upper - low.lower).abs(), (high.lower - low.upper).abs())
        return float(stretch.max()) * (1 + 2.0**-40)

    def _value(self, region: Region | InputBox) -> NDArray[np.float64]:
        if isinstance(region, InputBox):
            x = region.lower / 2 + region.upper / 2
        else:
            x = region.centre.astype(np.float64)
        with torch.no_grad():
            found = self.network.encoder_double(torch.from_numpy(np.array(x))[None])
        return np.asarray(found.flatten().numpy())

    def _module(self, method: str) -> Any:
        if method not in self._modules:
            package = _package(self.release)
            encoder = _Flat(self._graph).to(self.device).eval()
            shape = self._graph.shapes[self._graph.input]
            options = {
                "conv_mode": "patches",
                "sparse_features_alpha": False,
                "sparse_spec_alpha": False,
                "use_full_conv_alpha": False,
                "optimize_bound_args": {"iteration": _ITERATIONS, "use_shared_alpha": True},
            }
            start = torch.zeros(shape, device=self.device)
            self._modules[method] = package.BoundedModule(
                encoder, start, bound_opts=options, device=self.device
            )
        return self._modules[method]


class _Flat(nn.Module):
    """The encoder in float64 with weights as parameters, its output flattened."""

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        self.inner = TorchGraph(graph).double()
        for name, value in list(self.inner.named_buffers()):
            delattr(self.inner, name)
            self.inner.register_parameter(name, nn.Parameter(value, requires_grad=False))

    def forward(self, x: Tensor) -> Tensor:
        found = self.inner(x)
        return torch.flatten(found, 1)


def _package(release: tuple[int, ...]) -> Any:
    """auto_LiRPA, imported in the surroundings that it needs."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the package's, not ours
        with lirpa_compat.recursion_limit(), lirpa_compat.patched_import(release):
            import auto_LiRPA
    if lirpa_compat.needs_patches(release):
        lirpa_compat.named_members(auto_LiRPA.BoundedModule)
    return auto_LiRPA


@contextmanager
def _double() -> Iterator[None]:
    """float64 as torch's default: 0.3 makes its tables of sigmoid tangents in the default type."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def _split(graph: Graph) -> tuple[str, Graph]:
    """The tensor behind the leading elementwise affine operators, and the graph from there on."""
    start, consumers = graph.input, list(graph.nodes)
    while consumers:
        users = [node for node in consumers if start in node.inputs]
        known = [name in graph.constants or name == start for n in users for name in n.inputs]
        if len(users) != 1 or users[0].op not in _AFFINE or not all(known):
            break
        if users[0].inputs.count(start) != 1 or (
            users[0].op == "Div" and users[0].inputs[0] != start
        ):
            break
        start = users[0].output
    return start, part(graph, start, graph.outputs) if start != graph.input else graph


def _require_allowed(node: Node, graph: Graph) -> None:
    computed = [name for name in node.inputs if name and name not in graph.constants]
    product = node.op in ("Mul", "MatMul", "Gemm", "Conv") and len(computed) > 1
    if node.op not in ALLOWED or product:
        raise UnsupportedOperatorError(
            f"{node.where}: not bounded by auto_LiRPA here; use --method interval"
        )


def _cover(region: Region | InputBox) -> tuple[InputBox, ...]:
    return (region,) if isinstance(region, InputBox) else region.cover()


def _tensor(image: NDArray[np.float64]) -> Tensor:
    return torch.from_numpy(np.array(image))[None]


def _l2(region: Region | InputBox, scale: float | None) -> float | None:
    """The ball's radius behind the prefix."""
    if not isinstance(region, L2Ball) or scale is None:
        return None
    return float(region.radius) * scale * (1 + 2.0**-40)


def _numbers(graph: Graph, method: str) -> int:
    """About how many float64 numbers one row needs: the largest layer, and for CROWN every pair
    of an intermediate unit and a patch of what it sees.
    """
    sizes = [math.prod(graph.shapes[node.output]) for node in graph.nodes]
    total = 4 * (sum(sizes) + math.prod(graph.shapes[graph.input]))
    if method == "crown-ibp":
        return total
    patches = max(
        (
            math.prod(graph.shapes[node.output]) * math.prod(graph.shapes[node.inputs[0]])
            for node in graph.nodes
            if node.op in ("Conv", "Gemm", "MatMul")
        ),
        default=1,
    )
    return total + (patches if method == "crown" else 2 * patches)


def _slack(coefficients: Coefficients, lower: Bounds, upper: Bounds) -> Bounds:
    """What float64 may have lost: far more than was ever seen, far less than matters."""
    size = np.abs(coefficients).sum(axis=(1, 2)) + np.abs(lower) + np.abs(upper)
    return np.asarray(1e-9 * size + 1e-9)
