"""``explain`` for many inputs: which ones, one line for each, and the summary."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from verifier.console.terminal import console, program, safe
from verifier.errors import InputError

if TYPE_CHECKING:
    from verifier.network import Network
    from verifier.network.inputs import InputArray
    from verifier.stream import Source, Streamed, Summary


def from_array(array: InputArray) -> Iterator[Source]:
    """The entries of a file, called ``FILE[INDEX]``."""
    path = array.path
    for index in range(len(array)):
        yield f"{path.name}[{index}]", f"{path.stem}-{index}", partial(array.entry, index)


def from_data(network: Network, source: str) -> Iterator[Source]:
    """The test images of a data set, scaled to the range that the network declares.

    Raises:
        InputError: there is no such data set, or its images do not fit the network.
    """
    from models.data import load_data

    data = load_data(source)
    if data.input_shape != network.input_shape:
        raise InputError(
            f"--data {source}: images of shape {list(data.input_shape)} do not fit the network's "
            f"input {list(network.input_shape)}; inputs are never resized"
        )
    low, high = network.input_range
    stem = Path(data.name).stem

    def read(index: int) -> np.ndarray[Any, np.dtype[np.float32]]:
        return np.asarray(data.x_test[index] * np.float32(high - low) + np.float32(low))

    return (
        (f"{data.name}[{index}]", f"{stem}-{index}", partial(read, index))
        for index in range(len(data.x_test))
    )


def run_stream(
    network: Network,
    sources: Iterator[Source],
    limit: int | None,
    out: Path,
    as_json: bool,
    quiet: bool,
    **options: Any,
) -> int:
    """Explain, print as results come, and return the exit code."""
    from verifier.stream import Summary, explain_stream

    summary = Summary()
    items = explain_stream(
        network,
        islice(sources, limit),
        out=out,
        program=program(),
        arguments=sys.argv[1:],
        **options,
    )
    for item in items:
        summary.add(item)
        if as_json:
            _print_line(item.to_json())
        elif not quiet:
            _print_item(item)
    if as_json:
        _print_line({"summary": summary.to_json()})
    elif not quiet:
        _print_summary(summary, out)
    return summary.exit_code


def _print_line(document: Any) -> None:
    """One line of JSON Lines, at once."""
    print(json.dumps(document, ensure_ascii=True, allow_nan=False), flush=True)


def _print_item(item: Streamed) -> None:
    out = console()
    if item.session is None:
        out.print(f"{safe(item.name)}: error: {safe(str(item.error))}", highlight=False)
        return
    explanation = item.session.explanation
    words = f"{safe(item.name)}: {safe(explanation.predicted_name)}, "
    if explanation.certificate is None:
        out.print(words + safe(str(explanation.verdict)), highlight=False)
        return
    out.print(
        f"{words}proved by {explanation.size} facts ({explanation.vocabulary}), "
        f"{len(explanation.necessary)} with a witness, {explanation.seconds:.2f} s",
        highlight=False,
    )


def _print_summary(summary: Summary, out_directory: Path) -> None:
    found, out = summary.to_json(), console()
    counts = ", ".join(f"{count} {word}" for word, count in found["verdicts"].items())
    out.print(f"\ninputs      {found['inputs']}: {counts}", highlight=False)
    if found["size_max"] is not None:
        out.print(
            f"facts       mean {found['size_mean']}, median {found['size_median']:g}, "
            f"max {found['size_max']}; {found['witness_share']:.0%} with a witness",
            highlight=False,
        )
    out.print(f"time        {found['seconds']:.1f} s", highlight=False)
    out.print(f"files       {safe(str(out_directory))}", highlight=False)
