"""The verbs that make networks: ``train`` and ``export``. Only a checkout has them."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from protoproof.cli.options import Json, Quiet, Seed
from protoproof.cli.terminal import print_json
from protoproof.extras import require


def add_training(app: typer.Typer) -> None:
    """Add the verbs to the program."""
    app.command()(train)
    app.command()(export)


def train(
    data: Annotated[str, typer.Option("--data", help="mnist5k, FILE.npz, or an image folder.")],
    out: Annotated[
        Path, typer.Option("--out", help="Directory for checkpoint, model, provenance.")
    ],
    family: Annotated[str, typer.Option("--family", help="Kind of network: protopnet.")] = (
        "protopnet"
    ),
    grid: Annotated[int, typer.Option("--grid", min=1, help="Latent grid, rows and columns.")] = 7,
    certified_eps: Annotated[
        float | None,
        typer.Option("--certified-eps", min=0.0, help="Train for this L-inf radius (pixel units)."),
    ] = None,
    certify_facts: Annotated[
        bool,
        typer.Option(
            "--certify-facts", help="And for one fact that holds over it and forces the class."
        ),
    ] = False,
    epochs: Annotated[int | None, typer.Option("--epochs", min=1, help="Default: by size.")] = None,
    prototypes_per_class: Annotated[
        int | None, typer.Option("--prototypes-per-class", min=1, help="How many.")
    ] = None,
    channels: Annotated[int | None, typer.Option("--channels", min=1, help="Latent size.")] = None,
    name: Annotated[str | None, typer.Option("--name", help="Name of the network.")] = None,
    seed: Seed = 0,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Train a prototype network and export it to ONNX with its names."""
    require("train", "training")
    from models.train import train_model

    result = train_model(
        family,
        data,
        out,
        grid=grid,
        certified_eps=certified_eps,
        certify_facts=certify_facts,
        seed=seed,
        epochs=epochs,
        prototypes_per_class=prototypes_per_class,
        channels=channels,
        name=name,
        quiet=quiet or as_json,
    )
    if (warning := nothing_certified(result.accuracy, certified_eps)) is not None:
        print(warning, file=sys.stderr)
    if as_json:
        print_json(result.to_json())
    elif not quiet:
        print(f"model        {result.export.model}")
        print(f"checkpoint   {result.checkpoint}")
        for key, value in result.accuracy.items():
            print(f"{key:<12} {value:.4g}")


def nothing_certified(accuracy: Mapping[str, float], radius: float | None) -> str | None:
    """What to say where certified training came to nothing; None where it did not."""
    if radius is None or accuracy.get("certified", 1.0) > 0:
        return None
    return (
        f"warning: no test image is certified at --certified-eps {radius:g}, so nothing can be "
        "proved over regions of that size; give more --epochs or images, or a smaller radius"
    )


def export(
    checkpoint: Annotated[Path, typer.Argument(metavar="CHECKPOINT", help="From `train`.")],
    out: Annotated[Path, typer.Option("--out", help="The ONNX file to write.")],
    data: Annotated[str, typer.Option("--data", help="Data to compare torch and ONNX on.")],
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Export a checkpoint to ONNX; refuses unless torch and ONNX Runtime agree."""
    require("train", "exporting")
    from models.export import export_checkpoint

    result = export_checkpoint(checkpoint, out, data)
    if as_json:
        print_json(result.to_json())
    elif not quiet:
        print(f"model                {result.model}")
        print(f"largest difference   {result.agreement.logits:.3g} (logits)")
