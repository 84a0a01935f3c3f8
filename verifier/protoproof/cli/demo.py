"""The demonstration: one real handwritten digit, explained by the 7x7 zoo network."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from protoproof.cli.options import Json
from protoproof.cli.render import print_explanation
from protoproof.cli.terminal import print_json, program
from protoproof.errors import InputError
from protoproof.resources import zoo_path

if TYPE_CHECKING:
    from protoproof.report.files.explanation_files import Session

NETWORK = "mnist-7x7"


def run_demo(out: Path, index: int, program: Sequence[str], arguments: Sequence[str]) -> Session:
    """Explain test image ``index`` of mnist5k; write certificate, check result and page to ``out``.

    Raises:
        InputError: there is no such image.
    """
    from protoproof.data.dataset import load_data
    from protoproof.network import load
    from protoproof.report.files.explanation_files import explain_to_files

    data = load_data("mnist5k")
    if index >= len(data.x_test):
        raise InputError(f"--index {index}: mnist5k has test images 0 to {len(data.x_test) - 1}")
    return explain_to_files(
        load(zoo_path(NETWORK)),
        data.x_test[index],
        out=out / "digit.cert.json",
        input_name=f"mnist5k test image {index}, labelled {data.y_test[index]}",
        program=program,
        arguments=arguments,
    )


def demo(
    out: Annotated[Path, typer.Option("--out", help="Output directory.")] = Path("out/demo"),
    index: Annotated[int, typer.Option("--index", min=0, help="Which test image.")] = 0,
    as_json: Json = False,
) -> None:
    """Explain one real handwritten digit with the 7x7 zoo network, and check the proof."""
    result = run_demo(out, index, program(), sys.argv[1:])
    if as_json:
        print_json(result.to_json())
    else:
        print_explanation(result, NETWORK)
    raise typer.Exit(result.explanation.verdict.exit_code)
