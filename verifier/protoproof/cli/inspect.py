"""``inspect``: what would be verified of a model."""

from __future__ import annotations

import typer

from protoproof.cli.options import Json, Latent, Model, Output
from protoproof.cli.terminal import print_json


def inspect(
    model: Model, latent: Latent = None, output: Output = None, as_json: Json = False
) -> None:
    """Say exactly what would be verified: graph, latent, prototypes, head, and any refusal.

    Exit code 2 where anything is refused: explain would refuse the network too.
    """
    from protoproof.explanation.certifiable import checkers_objection
    from protoproof.explanation.level import float32_words
    from protoproof.network.inspect import inspect_file

    found = inspect_file(
        model,
        latent=latent or (),
        output=output,
        checker=checkers_objection,
        rounding=float32_words,
    )
    if as_json:
        print_json(found.to_json())
    else:
        print(found.to_text())
    if found.refusals:
        raise typer.Exit(2)
