"""``explain``: one prediction or many, with certificates and pages."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from protoproof.cli.explain_options import (
    Asked,
    given,
    printed,
    require_coherent,
    require_for_many,
    require_new_question,
    seconds,
)
from protoproof.cli.options import (
    AllOf,
    AnyInput,
    Compare,
    Contrast,
    Device,
    Domain,
    DumpSmt2,
    DumpVnnlib,
    ForReading,
    Index,
    Inflate,
    Json,
    Label,
    Latent,
    Level,
    Limit,
    Minimal,
    Model,
    Most,
    NoScript,
    Oracle,
    Out,
    Output,
    OutsideBoxes,
    Pages,
    Preprocess,
    Quiet,
    Routing,
    Timeout,
    Training,
    Truth,
    Vocabulary,
    Witnesses,
)
from protoproof.cli.terminal import print_json, program
from protoproof.errors import UsageError
from protoproof.explanation.options import ExplainOptions
from protoproof.extras import require

if TYPE_CHECKING:
    from protoproof.explanation.explainer import Explainer
    from protoproof.network import Network
    from protoproof.report.files.batch import Source
    from protoproof.report.files.beside import Beside


def explain(
    context: typer.Context,
    model: Model,
    input_: AnyInput = None,
    index: Index = None,
    data: AllOf = None,
    limit: Limit = None,
    vocabulary: Vocabulary = "auto",
    domain: Domain = "free",
    oracle: Oracle = "auto",
    witnesses: Witnesses = True,
    inflate: Inflate = False,
    minimal: Minimal = "subset",
    timeout: Timeout = None,
    label: Label = None,
    level: Level = "auto",
    compare: Compare = False,
    for_reading: ForReading = False,
    contrast: Contrast = None,
    training: Training = None,
    most: Most = 100,
    outside: OutsideBoxes = False,
    dump_smt2: DumpSmt2 = None,
    dump_vnnlib: DumpVnnlib = None,
    device: Device = "cpu",
    out: Out = None,
    pages: Pages = None,
    no_script: NoScript = False,
    latent: Latent = None,
    output: Output = None,
    routing: Routing = None,
    preprocess: Preprocess = None,
    truth: Truth = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Find few facts that force a prediction, prove them, and write certificate and page.

    Many inputs (--data, or an array without --index) are explained one after another, one line
    each, with a summary at the end; --json gives JSON Lines.
    """
    limit_s = seconds(timeout, minimal, contrast)
    search = vocabulary, domain, oracle, witnesses, inflate, minimal, limit_s, label, level
    asked = Asked(
        model,
        ExplainOptions(*search, compare, for_reading),
        given(context),
        *(input_, index, data, limit, contrast, training, most, dump_smt2),
        *(device, out, pages, no_script, printed(as_json, quiet)),
        tuple(latent or ()),
        *(output, routing, preprocess),
        dump_vnnlib,
        truth,
        outside,
    )
    require_coherent(asked)
    raise typer.Exit(_run(asked))


def _run(asked: Asked) -> int:
    """Explain what was asked for; the exit code."""
    asked.options.require_installed()
    if asked.outside:
        require("certify", "--outside")
    dumps = {"--dump-smt2": asked.dump_smt2, "--dump-vnnlib": asked.dump_vnnlib}
    for option, dump in dumps.items():
        if dump is not None:
            require_new_question(option, dump)
    from protoproof.cli.explain_many import training_images
    from protoproof.explanation.explainer import Explainer
    from protoproof.explanation.smtlib import require_question
    from protoproof.network import load
    from protoproof.report.files.beside import Beside

    network = load(
        asked.model,
        latent=asked.latent,
        output=asked.output,
        routing=asked.routing,
        preprocess=asked.preprocess,
    )
    if asked.dump_smt2 is not None:
        require_question(network, str(asked.options.domain))
    if asked.dump_vnnlib is not None:
        from protoproof.query.dump import require_query

        require_query(network, str(asked.options.domain))
    searched = None if asked.training is None else training_images(network, asked.training)
    if asked.outside:
        from protoproof.report.files.outside import require_boxes

        require_boxes(network)
    beside = Beside(asked.contrast, asked.most, searched, asked.outside)
    many = _many(network, asked)
    if many is not None:
        require_for_many(asked)
        if asked.truth is not None:
            raise UsageError("--truth is about one input; choose one with --index")
    elif asked.limit is not None:
        raise UsageError("--limit is for many inputs, and this is one")
    explainer = Explainer(network, asked.device)
    if many is not None:
        return _explain_many(explainer, many, beside, asked)
    return _explain_one(explainer, beside, asked)


def _many(network: Network, asked: Asked) -> tuple[Iterator[Source], tuple[str, ...]] | None:
    """The inputs, where they are many, and what is done to their numbers; None for a single one."""
    from protoproof.cli.explain_many import from_array, from_data
    from protoproof.network.inputs import open_inputs

    if asked.data is not None:
        return from_data(network, asked.data)
    if asked.input_ is None or asked.index is not None:
        return None
    array = open_inputs(asked.input_, network.pixels)
    if array is None:
        return None
    return from_array(array), array.remarks


def _explain_many(
    explainer: Explainer,
    many: tuple[Iterator[Source], tuple[str, ...]],
    beside: Beside,
    asked: Asked,
) -> int:
    from protoproof.cli.explain_many import run_stream
    from protoproof.report.files.explanation_files import Files

    files = Files(
        asked.out or Path("out/explain"),
        program(),
        sys.argv[1:],
        asked.protected,
        page=bool(asked.pages),
        scripts=not asked.no_script,
    )
    return run_stream(explainer, *many, asked.limit, files, asked.options, beside, asked.printed)


def _explain_one(explainer: Explainer, beside: Beside, asked: Asked) -> int:
    from protoproof.cli.render import print_explanation
    from protoproof.explanation.smtlib import write_smt2
    from protoproof.network.inputs import read_input_file
    from protoproof.report.files.explanation_files import Files, explain_to_files

    network, path, index = explainer.network, asked.input_, asked.index
    if path is None:
        raise UsageError("give the input with --input")
    read = read_input_file(path, network.pixels, index)
    name = path.name if index is None else f"{path.name}[{index}]"
    files = Files(
        asked.out or Path("out/explain") / f"{_own_name(asked, path)}.cert.json",
        program(),
        sys.argv[1:],
        asked.protected,
        page=asked.pages is not False,
        scripts=not asked.no_script,
        chosen=asked.out is not None,
    )
    labelled = network.class_named(asked.truth, "--truth")
    result = explain_to_files(
        explainer, read.x, name, files, asked.options, beside, labelled=labelled
    )
    if asked.dump_smt2 is not None and result.explanation.certificate is not None:
        write_smt2(network, result.explanation, asked.dump_smt2)
    if asked.dump_vnnlib is not None:
        from protoproof.query.dump import write_query

        write_query(network, result.explanation, asked.dump_vnnlib)
    if asked.printed == "json":
        print_json(result.to_json() | {"input_remarks": list(read.remarks)})
    elif asked.printed == "words":
        print_explanation(result, network.about.name, read.remarks)
    return result.explanation.verdict.exit_code


def _own_name(asked: Asked, path: Path) -> str:
    """Network, input, and what else was asked for: in the certificate's name, where none is."""
    from protoproof.explanation.evidence import evidence_name

    names = ("index", "output", "routing", "label", "domain", "vocabulary", "level", "minimal")
    values = {
        name: getattr(asked, name, None) or getattr(asked.options, name, None) for name in names
    }
    values["index"] = asked.index
    return evidence_name(
        asked.model,
        path,
        *(str(values[n]) for n in names if n in asked.given and values[n] is not None),
    )
