"""Regions of pictures in which some pixels may be anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, TypeVar

import numpy as np
from jaxtyping import Bool
from numpy.typing import NDArray

from protoproof.errors import InputError, UsageError
from protoproof.network.layout import planes
from protoproof.region.sets.region import Boxed, InputBox, Region, Wide

T = TypeVar("T", bound=np.generic)


@dataclass(frozen=True, eq=False)
class Occlusion(Boxed):
    """The pixels of ``mask`` (all channels) may be anything in the domain; the others stay.

    ``shape`` says which mask: rectangle ``row, column, height, width`` or circle ``row, column,
    radius`` (pixels whose centre is at most that far away). The part outside the image is cut off.

    Raises:
        InputError: no pixel is freed, or nobody can tell which axes are rows and columns.
    """

    shape: tuple[int, ...]
    kind: ClassVar[str] = "occlude"

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.shape) not in (3, 4):
            raise UsageError("region occlude: give row,column,height,width or row,column,radius")
        if not self.mask.any():
            raise InputError(f"region {self}: it frees no pixel of the image; move it inside")

    @property
    def parameters(self) -> Mapping[str, str | int | list[int]]:
        """The numbers of the rectangle or circle."""
        return {"circle" if len(self.shape) == 3 else "rectangle": list(self.shape)}

    def __str__(self) -> str:
        return f"{self.kind}:{','.join(map(str, self.shape))}"

    @property
    def mask(self) -> Bool[NDArray[np.bool_], "row column"]:
        """Which pixels are free."""
        rows, columns = np.indices(image_planes(self, self.centre).shape[1:])
        if len(self.shape) == 3:
            row, column, radius = self.shape
            return np.asarray((rows - row) ** 2 + (columns - column) ** 2 <= radius**2)
        row, column, height, width = self.shape
        return np.asarray(
            (rows >= row) & (rows < row + height) & (columns >= column) & (columns < column + width)
        )

    def cover(self) -> tuple[InputBox, ...]:
        """One box."""
        lower, upper = self.inner()
        return (InputBox(lower, upper),)

    def inner(self) -> tuple[Wide, Wide]:
        """Exact: domain ends and the centre's numbers are float64."""
        low, high = self.limits
        centre = self.centre.astype(np.float64)
        free = np.zeros(centre.shape, dtype=bool)
        image_planes(self, free)[:] = self.mask
        return np.where(free, low, centre), np.where(free, high, centre)


def image_planes(region: Region, values: NDArray[T]) -> NDArray[T]:
    """A view [channel, row, column] of what has the shape of the region's inputs.

    Raises:
        InputError: nobody can tell which axes these are.
    """
    seen = planes(values)
    if seen is None:
        raise InputError(
            f"region {region}: of an input of shape {list(values.shape)} nobody can tell which "
            "axes are its rows and columns; use linf:R, l2:R or box:FILE.npz"
        )
    return seen
