"""The demonstration: one real handwritten digit, explained by the 7x7 zoo network."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from protoproof.cli.options import Json, NoScript
from protoproof.cli.terminal import print_json, program
from protoproof.errors import InputError
from protoproof.extras import require
from protoproof.resources import digit_path, zoo_path

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from protoproof.network import Network
    from protoproof.report.files.explanation_files import Session

NETWORK = "mnist-7x7"


def run_demo(
    out: Path,
    index: int,
    program: Sequence[str],
    arguments: Sequence[str],
    *,
    scripts: bool = True,
) -> Session:
    """Explain test image ``index`` of mnist5k; write certificate, check result and page to ``out``.

    ``scripts``: the page proves itself in a browser.

    The first one comes with the networks; for the others the data set has to be installed.

    Raises:
        InputError: there is no such image.
        MissingDependencyError: what explains, or the data set, is not installed.
    """
    require("explain", "the demonstration")
    from protoproof.explanation.explainer import Explainer
    from protoproof.network import load
    from protoproof.report.files.explanation_files import Files, explain_to_files

    network = load(zoo_path(NETWORK))
    x, label = _digit(network) if index == 0 else _of_data(index)
    return explain_to_files(
        Explainer(network),
        x,
        f"mnist5k test image {index}, labelled {label}",
        Files(
            out / f"digit{f'-{index}' if index else ''}.cert.json",
            program,
            arguments,
            scripts=scripts,
            chosen=False,
        ),
    )


def _digit(network: Network) -> tuple[NDArray[np.float32], int]:
    """Test image 0 of mnist5k, which rides along with the networks; it is a zero."""
    from protoproof.network.inputs import read_input

    return read_input(digit_path(), network.input_shape, network.input_range), 0


def _of_data(index: int) -> tuple[NDArray[np.float32], int]:
    from protoproof.data.dataset import load_data

    data = load_data("mnist5k")
    if index >= len(data.x_test):
        raise InputError(f"--index {index}: mnist5k has test images 0 to {len(data.x_test) - 1}")
    return data.x_test[index], int(data.y_test[index])


def demo(
    out: Annotated[Path, typer.Option("--out", help="Output directory.")] = Path("out/demo"),
    index: Annotated[int, typer.Option("--index", min=0, help="Which test image.")] = 0,
    no_script: NoScript = False,
    as_json: Json = False,
) -> None:
    """Explain one real handwritten digit with the 7x7 zoo network, and check the proof."""
    from protoproof.cli.render import print_explanation

    result = run_demo(out, index, program(), sys.argv[1:], scripts=not no_script)
    if as_json:
        print_json(result.to_json())
    else:
        print_explanation(result, NETWORK)
    raise typer.Exit(result.explanation.verdict.exit_code)
