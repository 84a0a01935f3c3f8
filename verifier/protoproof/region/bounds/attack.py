"""The falsifier: projected gradient descent on the margin, before anything expensive starts.

What it finds counts only after a replay: ONNX Runtime predicts another class, and so do intervals
around the very point, in real arithmetic. A candidate on which the two disagree is no
counterexample but a :class:`Flip`: whatever is proved of the region over the reals, its float32
execution is another matter. Deterministic for a given seed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from protoproof.errors import FragileError, InternalError
from protoproof.network import Network, Observation
from protoproof.region.bounds.interval import encoder_bounds
from protoproof.region.bounds.margins import activations, margin_ends
from protoproof.region.sets.region import Boxed, Image, Images, InputBox, L2Ball, Region
from protoproof.region.sets.transformations import Brightness, Shifts

STEPS, RESTARTS = 30, 4
_SAMPLES = 32  # random members, half of them corners where the region has such
_GRID = 65  # parameter values per axis of a brightness family


@dataclass(frozen=True, eq=False)
class Counterexample:
    """An input of the region that is predicted differently, as ONNX Runtime ran it.

    ``x`` is float32. A member of a brightness family is in general no float32 image: then ``x`` is
    the member rounded, and ``box`` encloses the member itself.
    """

    x: Image
    observation: Observation
    box: InputBox


@dataclass(frozen=True, eq=False)
class Flip:
    """An input of the region that ONNX Runtime predicts differently, or not at all, and that real
    arithmetic does not certainly predict so. ``predicted`` is None where a result is not finite.
    """

    x: Image
    predicted: int | None

    def words(self, names: Sequence[str]) -> str:
        """Why the region is not called proved."""
        if self.predicted is None:
            return "numerically fragile: ONNX Runtime returns NaN or infinity for an input of it"
        return (
            f"numerically fragile: ONNX Runtime predicts {names[self.predicted]} for an input of "
            "it, which real arithmetic does not confirm"
        )


Found = Counterexample | Flip | None
Watch = Callable[[Observation], None]


def attack(
    network: Network,
    region: Region,
    predicted: int,
    *,
    seed: int = 0,
    steps: int = STEPS,
    restarts: int = RESTARTS,
    device: str = "cpu",
    watch: Watch | None = None,
) -> Found:
    """Search an input of the region that is not predicted ``predicted``; None where none is found.

    The centre comes first, then finite regions and parameter families point by point, then balls
    and boxes by gradients of the smallest margin from random starts, then random members. A flip is
    returned only where no counterexample is found. ``watch`` is told what ONNX Runtime made of
    every input that it was asked about.
    """
    rng = np.random.default_rng(seed)
    search = _Search(network, predicted, watch)
    if isinstance(region, Shifts):
        search.first((x, _around(x)) for x in region.images())
    elif isinstance(region, Brightness):
        search.first(_family(region))
    else:
        search.first([(region.centre, _around(region.centre))])
        if search.refuted is None and isinstance(region, Boxed | L2Ball):
            _descend(search, region, rng, steps, restarts, device)
        search.first(_drawn(region, rng))
    return search.refuted or search.flip


def replay(
    network: Network, x: Image, box: InputBox, predicted: int, watch: Watch | None = None
) -> Found:
    """The point as a counterexample, if runtime and real arithmetic both say so.

    ``box`` is a tiny box that holds the point of the region which ``x`` stands for: if some rival
    is certainly ahead all over it, it is ahead at that point.
    """
    try:
        seen = network.observe(x)
    except FragileError:
        return Flip(x, None)
    if watch is not None:
        watch(seen)
    if seen.predicted == predicted:
        return None
    found = activations(network.head, encoder_bounds(network, [box]))
    _, upper = margin_ends(network.head, found, predicted)
    ahead = upper[0, seen.predicted] < 0
    return Counterexample(x, seen, box) if ahead else Flip(x, seen.predicted)


class _Search:
    """Replays candidates until one is a counterexample; keeps the first flip."""

    def __init__(self, network: Network, predicted: int, watch: Watch | None = None) -> None:
        self.network, self.predicted, self.watch = network, predicted, watch
        self.refuted: Counterexample | None = None
        self.flip: Flip | None = None

    def found(self, x: Image, box: InputBox) -> bool:
        """Whether the point is a counterexample."""
        seen = replay(self.network, x, box, self.predicted, self.watch)
        if isinstance(seen, Counterexample):
            self.refuted = seen
        elif self.flip is None:
            self.flip = seen
        return self.refuted is not None

    def first(self, points: Iterable[tuple[Image, InputBox]]) -> None:
        """Go on until one of the points is a counterexample."""
        if self.refuted is None:
            any(self.found(x, box) for x, box in points)


def _drawn(region: Region, rng: np.random.Generator) -> Iterator[tuple[Image, InputBox]]:
    """The least and the largest corner of a box, then random members."""
    corners = region.float32_ends() if isinstance(region, Boxed) else ()
    for x in (*corners, *region.sample(rng, _SAMPLES)):
        yield x, _around(x)


def _around(x: Image) -> InputBox:
    """The point itself."""
    return InputBox(x.astype(np.float64), x.astype(np.float64))


def _family(region: Brightness) -> Iterator[tuple[Image, InputBox]]:
    """A grid of parameters, extremes first, each with the box around its exact member."""
    shifts = _values(float(region.brightness))
    scales = _values(float(region.contrast))
    if len(shifts) > 1 and len(scales) > 1:
        shifts, scales = shifts[:17], scales[:17]
    for s in shifts:
        for t in scales:
            yield region.member(s, t)


def _values(radius: float) -> list[float]:
    if not radius:
        return [0.0]
    radius = float(np.nextafter(radius, 0.0))
    return sorted(np.linspace(-radius, radius, _GRID).tolist(), key=lambda v: (-abs(v), v))


def _descend(
    search: _Search,
    region: Boxed | L2Ball,
    rng: np.random.Generator,
    steps: int,
    restarts: int,
    device: str,
) -> None:
    """Signed or normalised gradient steps from the centre and from random members."""
    network, predicted = search.network, search.predicted
    start: Images = np.concatenate([region.centre[None], region.sample(rng, restarts)])
    encoder = network.encoder.to(device)
    free = network.encoder_graph.free_batch
    low, high = (_wide(region, end, device) for end in (0, 1))
    for batch in [start] if free else [start[i : i + 1] for i in range(len(start))]:
        x = torch.from_numpy(np.array(batch)).to(device)
        for step in range(steps):
            x = x.detach().requires_grad_()
            margin = margins(network, encoder(x), predicted)
            for index in torch.nonzero(margin < 0).flatten().tolist():
                image = _member(region, x[index].detach())
                if search.found(image, _around(image)):
                    return
            (gradient,) = torch.autograd.grad(margin.sum(), x)
            share = 2.0 / (step + 4) if step else 0.5
            with torch.no_grad():
                x = _step(region, x, gradient, share, low, high)
        image = _member(region, x[int(torch.argmin(margins(network, encoder(x), predicted)))])
        if search.found(image, _around(image)):
            return


def _wide(region: Boxed | L2Ball, end: int, device: str) -> Tensor:
    """Ends of the region per input number, in float32."""
    if isinstance(region, Boxed):
        return torch.from_numpy(region.float32_ends()[end]).to(device)
    box = region.cover()[0]
    return torch.from_numpy((box.lower, box.upper)[end].astype(np.float32)).to(device)


def _step(
    region: Boxed | L2Ball, x: Tensor, gradient: Tensor, share: float, low: Tensor, high: Tensor
) -> Tensor:
    if isinstance(region, Boxed):
        return torch.clamp(x - share * (high - low) * gradient.sign(), low, high)
    centre = torch.from_numpy(np.array(region.centre)).to(x.device)
    radius = float(region.radius)
    length = gradient.flatten(1).norm(dim=1).clamp(min=1e-30).view(-1, 1, 1, 1)
    away = torch.clamp(x - 2 * share * radius * gradient / length, low, high) - centre
    size = away.flatten(1).norm(dim=1).clamp(min=1e-30).view(-1, 1, 1, 1)
    return centre + away * torch.clamp(radius / size, max=1.0)


def _member(region: Boxed | L2Ball, x: Tensor) -> Image:
    """An image that exactly belongs to the region.

    Raises:
        InternalError: it does not; a law of the region was broken.
    """
    image: NDArray[np.float32] = x.detach().cpu().numpy()
    if isinstance(region, L2Ball):
        image = region.nearest(image.astype(np.float64))
    else:
        image = np.clip(image, *region.float32_ends())
    if not region.inside(image):
        raise InternalError("the falsifier left the region")
    return image


def margins(network: Network, latent: Tensor, predicted: int) -> Tensor:
    """The smallest margin of the predicted class, per image; differentiable, float32.

    ``latent``: what the encoder makes of the images.
    """
    head = network.head
    prototypes, weight, offset = (
        torch.tensor(values, dtype=latent.dtype, device=latent.device)
        for values in (
            head.prototypes,
            head.weight[predicted] - head.weight,
            head.bias[predicted] - head.bias,
        )
    )
    points = latent.flatten(1)[:, torch.from_numpy(network.sites).to(latent.device)]
    nearest = torch.cdist(points, prototypes[None].expand(len(points), -1, -1)).square().amin(dim=1)
    activation = head.chain.value(nearest)
    rivals = torch.arange(len(head.bias), device=latent.device) != predicted
    return (activation @ weight.T + offset)[:, rivals].amin(dim=1)
