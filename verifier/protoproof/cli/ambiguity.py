"""``ambiguity``: how often two inputs share a top-k explanation and not the class."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from protoproof.cli.options import Json, Latent, Model, Output, Preprocess, Quiet
from protoproof.cli.terminal import console, print_json, program, safe
from protoproof.extras import require


def ambiguity(
    model: Model,
    data: Annotated[str, typer.Option("--data", help="mnist5k, FILE.npz, or an image folder.")],
    most: Annotated[int, typer.Option("--most", min=1, help="The largest k.")] = 10,
    limit: Annotated[
        int | None,
        typer.Option("--limit", min=2, help="Use only so many test images, spread evenly."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="The numbers' file; the page is written beside it.")
    ] = None,
    latent: Latent = None,
    output: Output = None,
    preprocess: Preprocess = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Find test images with the same most activated prototypes and different predictions."""
    require("explain", "looking for collisions")
    import numpy as np

    from protoproof.campaign.instances import read_instances
    from protoproof.explanation.evidence import evidence_name, recordable
    from protoproof.network import load
    from protoproof.report.ambiguity import ambiguity_to_files, spread

    name = evidence_name(model, Path(data).stem, output or "", "" if limit is None else str(limit))
    out = out or Path("out/ambiguity") / f"{name}.json"
    network = load(model, latent=latent or (), output=output, preprocess=preprocess)
    rule = network.pixels
    instances = read_instances(data, rule.preprocessing)
    instances.require_taken(rule)
    images = instances.x
    # data sorted by class must not lose classes, so a part of it is spread over all of it
    chosen = spread(len(images), limit)
    files = ambiguity_to_files(
        network,
        np.stack([instances.input(index, rule) for index in chosen]),
        out=out,
        data_name=data,
        most=most,
        indices=chosen,
        of=len(images),
        command=recordable(shlex.join([*program(), *sys.argv[1:]])),
    )
    if as_json:
        print_json(files.result.to_json() | {"numbers": str(out), "page": str(files.page)})
        return
    if quiet:
        return
    table = Table("k", "pairs with the same", "different class", "rate", box=None, pad_edge=False)
    for level in files.result.levels:
        rate = "-" if level.rate is None else f"{level.rate:.3%}"
        table.add_row(str(level.k), str(level.same), str(level.colliding), rate)
    console().print(f"inputs      {files.used}", highlight=False)
    console().print(table)
    console().print(f"numbers     {safe(str(out))}")
    console().print(f"page        {safe(str(files.page))}")
