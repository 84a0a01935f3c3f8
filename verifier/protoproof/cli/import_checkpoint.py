"""``import``: a checkpoint of a public project as one ONNX file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from protoproof.cli.options import Json, Quiet
from protoproof.cli.terminal import print_json
from protoproof.wording import plural


def import_checkpoint(
    checkpoint: Annotated[
        Path,
        typer.Argument(
            metavar="CHECKPOINT", help="A file of torch, or a directory with model_state.pth."
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="The ONNX file to write.")],
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Answers what the checkpoint does not say (asked for in one message); may be "
            "given several times.",
        ),
    ] = None,
    compare: Annotated[
        Path | None,
        typer.Option(
            "--compare",
            metavar="FILE.npz",
            help="Logits of the source network with its inputs: nothing is written unless the "
            "file computes them too, within 1e-4.",
        ),
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write the network of a checkpoint as ONNX; the checkpoint's code is never run.

    Which layouts are read: docs/import.md. Exit code 2 where the written network would be refused
    by explain (see inspect).
    """
    from protoproof.explanation.certifiable import checkers_objection
    from protoproof.importing.answers import parse_settings
    from protoproof.importing.run import import_checkpoint as run
    from protoproof.network.inspect import inspect_file

    result = run(checkpoint, out, parse_settings(settings or ()), compare)
    found = inspect_file(out, checker=checkers_objection)
    if as_json:
        print_json(result.to_json() | {"head": found.head, "refusals": list(found.refusals)})
    elif not quiet:
        rows = [("model", str(result.path)), ("family", result.family)]
        rows += [("encoder", result.encoder), *result.settled.items()]
        rows += [("note", note) for note in result.notes]
        if result.agreement is not None:
            agreed = f"{plural(result.agreement.inputs, 'input')}, largest difference "
            rows.append(("compared", f"{agreed}{result.agreement.largest:.3g}"))
        else:
            rows.append(("compared", "not: give logits of the source network with --compare"))
        rows += found.head
        rows += [("refused", refusal) for refusal in found.refusals]
        width = max(len(label) for label, _ in rows)
        print("\n".join(f"{label:<{width}}  {text}" for label, text in rows))
    if found.refusals:
        raise typer.Exit(2)
