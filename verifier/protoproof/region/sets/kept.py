"""Regions of pictures in which some tiles stay as they are, and the rest moves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import ClassVar

import numpy as np
from jaxtyping import Bool
from numpy.typing import NDArray

from protoproof.errors import InputError, UsageError
from protoproof.region.sets.occlusion import image_planes
from protoproof.region.sets.region import Boxed, InputBox, LinfBall, Wide
from protoproof.wording import plural


@dataclass(frozen=True, eq=False)
class Kept(Boxed):
    """Pixels of the ``kept`` tiles (all channels) stay; every other number is within ``radius``.

    Tiles of ``tile`` x ``tile`` pixels, numbered row by row from the upper left corner; those at
    the right and lower border may be smaller. A radius of at least the domain's width frees the
    rest altogether.

    Raises:
        UsageError: a tile of no pixel.
        InputError: a tile that the picture does not have; nobody can tell its rows and columns.
    """

    radius: Fraction
    tile: int
    kept: tuple[int, ...]
    kind: ClassVar[str] = "keep"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.tile < 1:
            raise UsageError(f"tiles of {plural(self.tile, 'pixel')}; use 1 or more")
        count = self.count
        if list(self.kept) != sorted(set(self.kept)) or any(not 0 <= k < count for k in self.kept):
            raise InputError(f"kept tiles: not numbers from 0 to {count - 1}, each once, in order")

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of tiles."""
        rows, columns = image_planes(self, np.zeros(self.centre.shape, dtype=bool)).shape[1:]
        return -(-rows // self.tile), -(-columns // self.tile)

    @property
    def count(self) -> int:
        """How many tiles there are."""
        rows, columns = self.grid
        return rows * columns

    @property
    def tiles(self) -> NDArray[np.int64]:
        """The tile of every input number, in the shape of the input."""
        found = np.zeros(self.centre.shape, dtype=np.int64)
        view = image_planes(self, found)
        row, column = np.indices(view.shape[1:]) // self.tile
        view[:] = row * self.grid[1] + column
        return found

    @property
    def stays(self) -> Bool[NDArray[np.bool_], "channel_in row column"]:
        """The input numbers that are kept."""
        return np.isin(self.tiles, self.kept)

    @property
    def parameters(self) -> Mapping[str, str | int | list[int]]:
        """Radius, size of tiles, and those that stay."""
        return {"radius": str(self.radius), "tile": self.tile, "kept": list(self.kept)}

    def __str__(self) -> str:
        return f"keep:{self._ball},{len(self.kept)} of {self.count} tiles of {self.tile}"

    @property
    def _ball(self) -> LinfBall:
        return LinfBall(self.centre, self.domain, self.radius)

    def cover(self) -> tuple[InputBox, ...]:
        """One box."""
        (box,) = self._ball.cover()
        centre, stays = self.centre.astype(np.float64), self.stays
        return (InputBox(np.where(stays, centre, box.lower), np.where(stays, centre, box.upper)),)

    def inner(self) -> tuple[Wide, Wide]:
        """See :meth:`Boxed.inner`."""
        lower, upper = self._ball.inner()
        centre, stays = self.centre.astype(np.float64), self.stays
        return np.where(stays, centre, lower), np.where(stays, centre, upper)

    def keeping(self, kept: tuple[int, ...]) -> Kept:
        """The region with other tiles that stay."""
        return replace(self, kept=kept)
