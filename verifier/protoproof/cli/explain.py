"""``explain``: one prediction or many, with certificates and pages."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from protoproof.cli.explain_many import from_array, from_data, run_stream, training_images
from protoproof.cli.explain_options import Asked, require_coherent, require_for_many, require_new
from protoproof.cli.options import (
    Contrast,
    Device,
    Domain,
    DumpSmt2,
    Index,
    Inflate,
    Json,
    Minimal,
    Model,
    Most,
    Oracle,
    Quiet,
    Timeout,
    Vocabulary,
    Witnesses,
)
from protoproof.cli.render import print_explanation
from protoproof.cli.terminal import print_json, program
from protoproof.errors import UsageError


def explain(
    context: typer.Context,
    model: Model,
    input_: Annotated[
        Path | None,
        typer.Option("--input", help="An image (.png, .jpg) or array (.npy, .npz) of inputs."),
    ] = None,
    index: Index = None,
    data: Annotated[
        str | None,
        typer.Option("--data", help="mnist5k, an .npz or a folder: explain all its test images."),
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="Of many inputs, only the first so many.")
    ] = None,
    vocabulary: Vocabulary = "auto",
    domain: Domain = "free",
    oracle: Oracle = "auto",
    witnesses: Witnesses = True,
    inflate: Inflate = False,
    minimal: Minimal = "subset",
    timeout: Timeout = 60.0,
    contrast: Contrast = None,
    training: Annotated[
        str | None,
        typer.Option(
            "--training",
            help="mnist5k, an .npz or a folder: its training images are searched for patches that "
            "look like the latent of --contrast. Default: the patches of the prototypes.",
        ),
    ] = None,
    most: Most = 100,
    dump_smt2: DumpSmt2 = None,
    device: Device = "cpu",
    out: Annotated[
        Path | None,
        typer.Option("--out", help="The certificate's file; of many inputs, the directory."),
    ] = None,
    pages: Annotated[
        bool | None,
        typer.Option("--pages/--no-pages", help="Write pages. Default: for a single input."),
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Find few facts that force a prediction, prove them, and write certificate and page.

    Many inputs (--data, or an array without --index) are explained one after another, one line
    each, with a summary at the end; --json gives JSON Lines.
    """
    from protoproof.explanation.explainer import require_minimal
    from protoproof.explanation.smtlib import require_question, write_smt2
    from protoproof.network import load
    from protoproof.network.inputs import open_inputs, read_input
    from protoproof.report.files.explanation_files import explain_to_files

    asked = Asked(
        frozenset(
            name
            for name in context.params
            if getattr(context.get_parameter_source(name), "name", "") == "COMMANDLINE"
        ),
        vocabulary,
        oracle,
        minimal,
        contrast,
        dump_smt2,
        training,
        out,
        limit,
        index,
        data,
        input_,
    )
    require_minimal(minimal)
    require_coherent(asked)
    if dump_smt2 is not None:
        require_new(dump_smt2)
    network = load(model)
    if dump_smt2 is not None:
        require_question(network, domain)
    options: dict[str, Any] = {
        "vocabulary": vocabulary,
        "domain": domain,
        "oracle": oracle,
        "witnesses": witnesses,
        "widen": inflate,
        "minimal": minimal,
        "timeout": timeout,
        "contrast": contrast,
        "most": most,
        "device": device,
        "protected": [] if input_ is None else [input_],
    }
    if training is not None:
        options["training"] = training_images(network, training)
    many = None
    if data is not None:
        many = from_data(network, data)
    elif input_ is not None and index is None:
        array = open_inputs(input_, network.input_shape, network.input_range)
        many = None if array is None else from_array(array)
    if many is not None or input_ is None:
        require_for_many(asked)
        folder = out or Path("out/explain")
        show = bool(pages)
        code = run_stream(
            network, many or iter(()), limit, folder, as_json, quiet, pages=show, **options
        )
        raise typer.Exit(code)
    if limit is not None:
        raise UsageError("--limit is for many inputs, and this is one")
    x = read_input(input_, network.input_shape, network.input_range, index)
    name = input_.name if index is None else f"{input_.name}[{index}]"
    stem = input_.stem if index is None else f"{input_.stem}-{index}"
    result = explain_to_files(
        network,
        x,
        out=out or Path("out/explain") / f"{stem}.cert.json",
        input_name=name,
        program=program(),
        arguments=sys.argv[1:],
        page=pages is not False,
        **options,
    )
    if dump_smt2 is not None and result.explanation.certificate is not None:
        write_smt2(network, result.explanation, dump_smt2)
    if as_json:
        print_json(result.to_json())
    elif not quiet:
        print_explanation(result, network.description.name)
    raise typer.Exit(result.explanation.verdict.exit_code)
