"""``bom``: a bill of materials, of a network or of this tool."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from protoproof.errors import ModelError, UsageError

_LARGEST_LOCK = 1 << 22


def bom(
    model: Annotated[
        Path | None, typer.Argument(metavar="[MODEL]", help="The network, an ONNX file.")
    ] = None,
    lock: Annotated[
        Path | None,
        typer.Option("--lock", help="In place of a network: the lock file of this tool."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Where it is written.")
    ] = None,
) -> None:
    """Write a bill of materials (CycloneDX 1.6, JSON): of a network, or of this tool."""
    from protoproof.attestation.bom import to_text, tool_bill
    from protoproof.attestation.reading import read

    if (model is None) == (lock is None):
        raise UsageError("give a network, or --lock with the tool's lock file")
    if model is not None:
        bill = _of_model(model)
    elif lock is not None:
        bill = tool_bill(read(lock, _LARGEST_LOCK, "--lock").decode("utf-8", "replace"))
    text = to_text(bill)
    if out is None:
        print(text, end="")
        return
    from protoproof.files import write_atomic

    write_atomic(out, text.encode("ascii"))


def _of_model(path: Path) -> dict[str, Any]:
    """The bill of a network.

    Raises:
        ModelError: the file is no network.
    """
    from protoproof.attestation.bom import model_bill
    from protoproof.attestation.statement import described
    from protoproof.explanation.certifiable import checkers_objection
    from protoproof.kernel import ModelFile
    from protoproof.network.inspect import inspect_file

    found = inspect_file(path, checker=checkers_objection)
    if found.sha256 is None or found.opset is None:
        raise ModelError(next(iter(found.refusals), f"{path}: no ONNX file"))
    file = ModelFile.read(path)
    if file.sha256 != found.sha256:
        raise ModelError(f"{path}: was changed while it was read")
    return model_bill(described(file, path.name), found)
