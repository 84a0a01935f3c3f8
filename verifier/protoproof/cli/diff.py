"""``diff``: compare two campaigns."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from protoproof.cli.earlier import data_of, where_it_lay
from protoproof.cli.options import Json, Quiet
from protoproof.cli.terminal import console, print_json, safe

if TYPE_CHECKING:
    from protoproof.gate import Comparison


def diff(
    old: Annotated[Path, typer.Argument(metavar="OLD", help="Directory of a campaign or gate.")],
    new: Annotated[Path, typer.Argument(metavar="NEW", help="Directory of a later one.")],
    old_model: Annotated[
        Path | None,
        typer.Option("--old-model", help="Its network, if it does not lie where it did."),
    ] = None,
    new_model: Annotated[Path | None, typer.Option("--new-model", help="Likewise.")] = None,
    data: Annotated[
        str | None, typer.Option("--data", help="The data, if it does not lie where it did.")
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Compare two campaigns: proofs lost, won, changed. Exit code 1 if any was lost.

    Both are found out again, from their certificates, networks and data.
    """
    from protoproof.gate import compare_directories

    found = compare_directories(
        old,
        new,
        old_model=old_model,
        new_model=new_model,
        instances=data_of(data, where_it_lay(new)),
    )
    if as_json:
        print_json(found.to_json())
    elif not quiet:
        print_diff(found)
    raise typer.Exit(1 if found.count("lost") else 0)


def print_diff(found: Comparison) -> None:
    """Changes over all, per class and per prototype."""
    screen, document = console(), found.to_json()
    head = "the same head" if found.same_head else "another head"
    screen.print(
        f"{safe(found.old.model.name)} -> [bold]{safe(found.new.model.name)}[/bold]: {head}, "
        f"{len(found.pairs)} common instances"
    )
    if not found.labelled:
        screen.print("labels      as stored: the data is not at hand; give it with --data")
    screen.print("proofs      " + ", ".join(f"{n} {c}" for c, n in document["changes"].items()))
    if document["drift"]["mean"] is not None:
        drift = document["drift"]
        screen.print(f"drift       mean {drift['mean']:.4f}, largest {drift['max']:.4f} (Jaccard)")
    for name, region in document["regions"].items():
        moved = f"{region['certified_old']} -> {region['certified_new']} certified"
        screen.print(f"region      {safe(name)}: {moved}", highlight=False)
    classes = Table("class", "same", "changed", "lost", "won", "open", "right", box=None)
    for row in document["classes"]:
        counts = [str(row["changes"].get(c, 0)) for c in ("same", "changed", "lost", "won", "open")]
        right = f"{row['correct_old']} -> {row['correct_new']} of {row['instances']}"
        classes.add_row(safe(row["class"]), *counts, right)
    screen.print(classes)
    if document["prototypes"]:
        table = Table("prototype", "values", "named", "in lost", "in won", box=None)
        for row in document["prototypes"]:
            values = "changed" if row["changed"] else "equal"
            named = f"{row['used_old']} -> {row['used_new']}"
            cells = (row["prototype"], values, named, row["lost"], row["won"])
            table.add_row(*map(str, cells))
        screen.print(table)
    for row in document["instances"]:
        if row["change"] == "lost":
            text = f"lost        instance {row['index']}: {row['new_state']} {row['reason']}"
            screen.print(safe(text), highlight=False)
