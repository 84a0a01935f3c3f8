"""The demonstration: one real handwritten digit, explained by the 7x7 zoo network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from protoproof.data.dataset import load_data
from protoproof.errors import InputError
from protoproof.network import load
from protoproof.report.files.explanation_files import Session, explain_to_files
from protoproof.resources import zoo_path

NETWORK = "mnist-7x7"


def run_demo(out: Path, index: int, program: Sequence[str], arguments: Sequence[str]) -> Session:
    """Explain test image ``index`` of mnist5k; write certificate, check result and page to ``out``.

    Raises:
        InputError: there is no such image.
    """
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
