"""Collisions with the files they leave behind: the numbers as JSON and a page."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from protoproof.errors import OutputError
from protoproof.files import make_directory, require_writable, write_together
from protoproof.network import Network
from protoproof.report.ambiguity.collisions import Ambiguity, ambiguity
from protoproof.report.ambiguity.html import render_ambiguity
from protoproof.report.ambiguity.page import AmbiguityPage, PageInput, PageLevel, PagePrototype
from protoproof.report.page.images import input_picture
from protoproof.report.page.patches import patches_of
from protoproof.report.page.told import date_words, told_command
from protoproof.wording import plural


@dataclass(frozen=True)
class AmbiguityFiles:
    """The counts, where they were written, and which inputs were used, in words."""

    result: Ambiguity
    numbers: Path
    page: Path
    used: str


def spread(count: int, limit: int | None) -> tuple[int, ...]:
    """At most ``limit`` of the indices 0 to ``count`` - 1, evenly spread, the first among them."""
    if limit is None or limit >= count:
        return tuple(range(count))
    return tuple(index * count // limit for index in range(limit))


def ambiguity_to_files(
    network: Network,
    images: NDArray[np.float32],
    *,
    out: Path,
    data_name: str,
    most: int = 10,
    indices: Sequence[int] | None = None,
    of: int | None = None,
    command: str = "",
) -> AmbiguityFiles:
    """Count collisions among some inputs; write the numbers to ``out``, a page beside it.

    Args:
        network: the network.
        images: the inputs [N, C, H, W], in the network's raw range.
        out: a ``.json`` file; its directory is created.
        data_name: what the user called the data.
        most: the largest k.
        indices: where in the data the inputs are; their places in ``images`` if not given.
        of: how many the data has.
        command: how it was asked, for the page.

    Raises:
        OutputError: a file cannot be written, or would replace the model.
        InputError, UsageError: see :meth:`protoproof.network.Network.observe` and
            :func:`ambiguity`.
    """
    if not out.name.endswith(".json") or out.name == ".json":
        raise OutputError(f"--out {out}: the name must end in .json")
    page_path = out.with_suffix(".html")
    if network.path.resolve() in (out.resolve(), page_path.resolve()):
        raise OutputError(f"--out {out}: would write over {network.path}; choose another name")
    require_writable(out.parent)
    result = ambiguity(network, network.observe_batch(images), most)
    used = plural(len(images), "input")
    if of is not None and of > len(images):
        used = f"{len(images):,} of {of:,} inputs, spread evenly"
    place = range(len(images)) if indices is None else indices
    made = _page(network, images, result, data_name, place, used)
    page = render_ambiguity(replace(made, command=told_command(command)))
    result = _placed(result, place)
    document = result.to_json() | {"model": network.sha256, "used": used}
    numbers = json.dumps(document, indent=2) + "\n"
    make_directory(out.parent)
    write_together({out: numbers.encode(), page_path: page.encode("utf-8")})
    return AmbiguityFiles(result, out, page_path, used)


def _placed(result: Ambiguity, place: Sequence[int]) -> Ambiguity:
    """The example by where its inputs are in the data."""
    found = result.example
    if found is None:
        return result
    moved = replace(found, first=place[found.first], second=place[found.second])
    return replace(result, example=moved)


def _page(
    network: Network,
    images: NDArray[np.float32],
    result: Ambiguity,
    data_name: str,
    place: Sequence[int],
    used: str,
) -> AmbiguityPage:
    found = result.example
    inputs: tuple[PageInput, ...] = ()
    prototypes: tuple[PagePrototype, ...] = ()
    if found is not None:
        sides = zip((found.first, found.second), found.predicted, found.margin, strict=True)
        inputs = tuple(
            PageInput(
                place[index],
                input_picture(network, images[index]),
                network.class_names[predicted],
                margin,
            )
            for index, predicted, margin in sides
        )
        patches, owners = patches_of(network), network.head.prototype_class
        prototypes = tuple(
            PagePrototype(
                j,
                None if owners is None else network.class_names[owners[j]],
                None if patches is None else patches.pictures[j],
                "" if patches is None else patches.origins[j],
                (one, other),
            )
            for j, one, other in zip(found.prototypes, *found.activation, strict=True)
        )
    return AmbiguityPage(
        model=network.about.name,
        file=network.path.name,
        sha256=network.sha256,
        data=data_name,
        used=used,
        levels=tuple(
            PageLevel(level.k, level.explanations, level.same, level.colliding, level.inputs)
            for level in result.levels
        ),
        example=inputs,
        shared=prototypes,
        made=date_words(datetime.now(UTC).isoformat(timespec="minutes")),
    )
