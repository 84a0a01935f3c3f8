"""``inspect``: what would be verified of a model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from protoproof.cli.options import Json, Latent, Model, Output
from protoproof.cli.terminal import print_json

if TYPE_CHECKING:
    from protoproof.kernel import ModelFile
    from protoproof.network import Network


def inspect(
    model: Model, latent: Latent = None, output: Output = None, as_json: Json = False
) -> None:
    """Say exactly what would be verified: graph, latent, prototypes, head, and any refusal.

    Exit code 2 where anything is refused: explain would refuse the network too.
    """
    from functools import cache

    from protoproof.explanation.certifiable import checkers_objection
    from protoproof.explanation.level import float32_words
    from protoproof.kernel import ModelFile
    from protoproof.network.inspect import inspect_file

    @cache
    def file_of(network: Network) -> ModelFile:
        return ModelFile(network.data, network.files)  # read once for both

    found = inspect_file(
        model,
        latent=latent or (),
        output=output,
        checker=lambda network: checkers_objection(network, file_of(network)),
        rounding=lambda network: float32_words(network, file_of(network)),
    )
    if as_json:
        print_json(found.to_json())
    else:
        print(found.to_text())
    if found.refusals:
        raise typer.Exit(2)
