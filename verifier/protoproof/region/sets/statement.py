"""Regions as plain data, in the words of a certificate: parameters exact, arrays in base64."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import numpy as np

from protoproof.errors import UsageError
from protoproof.region.sets.kept import Kept
from protoproof.region.sets.occlusion import Occlusion
from protoproof.region.sets.region import BoxRegion, L2Ball, LinfBall, Region
from protoproof.region.sets.transformations import Brightness


def statement(region: Region) -> Mapping[str, Any] | None:
    """What a certificate says about a region; None for kinds that it has no words for."""
    low, high = region.limits
    around = {
        "kind": region.kind,
        "shape": tuple(region.centre.shape),
        "centre": _base64(region.centre, "<f4"),
        "low": float(low).hex(),
        "high": float(high).hex(),
    }
    match region:
        case LinfBall(radius=radius) | L2Ball(radius=radius):
            return around | {"radius": str(radius)}
        case Kept(radius=radius, tile=tile, kept=kept):
            return around | {"radius": str(radius), "tile": tile, "kept": kept}
        case BoxRegion(box=box):
            return around | {
                "lower": _base64(box.lower, "<f8"),
                "upper": _base64(box.upper, "<f8"),
            }
        case Occlusion(shape=shape):
            return around | {"circle" if len(shape) == 3 else "rectangle": shape}
        case Brightness(brightness=shift, contrast=scale, parts=parts):
            return around | {"brightness": str(shift), "contrast": str(scale), "parts": parts}
    return None


def require_statement(region: Region) -> Mapping[str, Any]:
    """What a certificate says about a region.

    Raises:
        UsageError: a certificate has no words for its kind.
    """
    words = statement(region)
    if words is None:
        raise UsageError(f"region {region}: a certificate has no words for it")
    return words


def _base64(values: Any, kind: str) -> str:
    return base64.b64encode(np.ascontiguousarray(values, dtype=kind).tobytes()).decode()
