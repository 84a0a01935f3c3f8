"""Margins over cases of a region, as high as gradient steps in all that is free bring them.

Free are the slopes of lines and the multipliers of sides (``dual``), tangents and points of the
head (``margin_lines``). Whatever is chosen, the bound is one; Adam (Kingma and Ba, 2015) looks for
better ones, and the best of every row is kept. Slopes are rounded to those that a certificate can
state before the last bound is taken.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from protoproof.region.bounds.dual import Choice, Dual
from protoproof.region.bounds.margin_lines import Free, MarginLines

_RATES = {"slope": 0.1, "curve": 0.005, "dual": 0.02, "tangent": 0.05, "point": 0.1}
_DECAY = 0.98
_FIRST_MOMENT, _SECOND_MOMENT = 0.9, 0.999
_WARM = 6  # steps of tangents alone, towards where the forms are least
_DAMPING = 0.5


@dataclass(frozen=True, eq=False)
class Ascent:
    """Lower bounds of the margins [row], and what gave them."""

    bound: Tensor
    choice: Choice
    free: Free


class Problem:
    """Margins over rivals, one row each, over the case of each row."""

    def __init__(
        self, dual: Dual, lines: MarginLines, shape: tuple[int, ...], sites: Tensor
    ) -> None:
        self.dual, self.lines, self.shape, self.sites = dual, lines, shape, sites

    def bounds(self, choice: Choice, free: Free) -> Tensor:
        """The margins' bounds with these choices."""
        slopes, constant = self.lines.forms(free)
        return self.dual.least(self.in_the_latent(slopes), choice) + constant

    def in_the_latent(self, slopes: Tensor) -> Tensor:
        """Forms [row, L, D] as those of the latent in the graph."""
        form = torch.zeros(len(slopes), math.prod(self.shape), dtype=slopes.dtype)
        form = form.index_copy(1, self.sites.flatten(), slopes.flatten(1))
        return form.reshape(len(slopes), *self.shape)

    @torch.no_grad()
    def warm(self, free: Free) -> Free:
        """Tangents where the forms are least over the box of latents."""
        lines = self.lines
        for _ in range(_WARM):
            slopes, _ = lines.forms(free)
            worst = torch.where(slopes >= 0, lines.low, lines.high)
            aim = lines.measurement(worst)
            free = Free((1 - _DAMPING) * lines.tangents(free) + _DAMPING * aim, free.point)
        return free

    def ascend(self, choice: Choice, free: Free, enough: float, steps: int) -> Ascent:
        """Up to so many steps, until every bound exceeds ``enough``."""
        span = (self.lines.most - self.lines.least).clamp(min=1e-12)
        width = (self.lines.high - self.lines.low).clamp(min=1e-12)
        choice = choice.map(lambda t: t.detach().clone().requires_grad_())
        share = ((self.lines.tangents(free) - self.lines.least) / span).detach().requires_grad_()
        place = ((free.point - self.lines.low) / width).clamp(0, 1).detach().requires_grad_()
        groups = [
            (list(choice.high.values()), "curve"), ([choice.duals], "dual"),
            ([share], "tangent"), ([place], "point"),
            ([v for n, v in choice.low.items() if n in choice.high], "curve"),
            ([v for n, v in choice.low.items() if n not in choice.high], "slope"),
        ]  # fmt: skip
        steepest = _Adam([(t, _RATES[kind]) for tensors, kind in groups for t in tensors])

        def now() -> Free:
            return Free(self.lines.least + share * span, self.lines.low + place * width)

        best: Ascent | None = None
        for step in range(max(1, steps)):
            bound = self.bounds(choice, now())
            best = _better(best, bound.detach(), choice, now())
            if step + 1 >= steps or bool((best.bound > enough).all()):
                break
            steepest.step(bound.sum())
            with torch.no_grad():
                self.dual.allowed(choice)
                share.clamp_(0, 1)
                place.clamp_(0, 1)
        if best is None:  # the loop runs at least once
            raise AssertionError
        return self.stated(best)

    @torch.no_grad()
    def stated(self, best: Ascent) -> Ascent:
        """The same with slopes that a certificate can state."""
        choice = best.choice
        low, high = (
            {name: value.half().double() for name, value in part.items()}
            for part in (choice.low, choice.high)
        )
        rounded = Choice(low, high, choice.duals)
        return Ascent(self.bounds(rounded, best.free), rounded, best.free)


class _Adam:
    """Ascends; torch's own imports a compiler, which takes seconds."""

    def __init__(self, variables: Sequence[tuple[Tensor, float]]) -> None:
        self.variables, self.count = variables, 0
        self.means = [(torch.zeros_like(v), torch.zeros_like(v)) for v, _ in variables]

    def step(self, value: Tensor) -> None:
        """One step towards a larger value; the steps get smaller."""
        wanted = [v for v, _ in self.variables]
        found: tuple[Tensor | None, ...] = torch.autograd.grad(value, wanted, allow_unused=True)
        self.count += 1
        corrections = 1 - _FIRST_MOMENT**self.count, 1 - _SECOND_MOMENT**self.count
        with torch.no_grad():
            for (variable, rate), (mean, square), slope in zip(
                self.variables, self.means, found, strict=True
            ):
                if slope is None:
                    continue
                mean.mul_(_FIRST_MOMENT).add_(slope, alpha=1 - _FIRST_MOMENT)
                square.mul_(_SECOND_MOMENT).addcmul_(slope, slope, value=1 - _SECOND_MOMENT)
                size = (square / corrections[1]).sqrt_().add_(1e-8)
                rate *= _DECAY ** (self.count - 1) / corrections[0]
                variable.addcdiv_(mean, size, value=rate)


def _better(best: Ascent | None, bound: Tensor, choice: Choice, free: Free) -> Ascent:
    """Per row, the better of both."""
    choice = choice.map(lambda t: t.detach().clone())
    free = Free(free.tangent.detach().clone(), free.point.detach().clone())
    if best is None:
        return Ascent(bound, choice, free)
    wins = bound > best.bound

    def of(new: Tensor, old: Tensor) -> Tensor:
        return torch.where(wins.reshape(-1, *[1] * (new.dim() - 1)), new, old)

    return Ascent(
        of(bound, best.bound),
        Choice(
            {n: of(v, best.choice.low[n]) for n, v in choice.low.items()},
            {n: of(v, best.choice.high[n]) for n, v in choice.high.items()},
            of(choice.duals, best.choice.duals),
        ),
        Free(of(free.tangent, best.free.tangent), of(free.point, best.free.point)),
    )
