"""Arguments and options that several verbs share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Model = Annotated[Path, typer.Argument(metavar="MODEL", help="The network, an ONNX file.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Print nothing but errors.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Seed of everything random.")]
Input = Annotated[
    Path, typer.Option("--input", help="An image (.png, .jpg) or array (.npy, .npz).")
]
Index = Annotated[
    int | None, typer.Option("--index", min=0, help="Which entry of an array with many inputs.")
]
Vocabulary = Annotated[
    str,
    typer.Option(
        "--vocabulary",
        help="auto (the smallest proved), topk, ceiling, mixed, pairs: kinds of facts.",
    ),
]
Domain = Annotated[
    str,
    typer.Option(
        "--domain",
        help="free (every latent), what the last layer guarantees (box, sphere, simplex), or "
        "the latents of a region of inputs, such as linf:0.02.",
    ),
]

Witnesses = Annotated[
    bool, typer.Option(help="Search, for every fact, a latent that shows why it is needed.")
]
Inflate = Annotated[
    bool,
    typer.Option("--inflate", help="Widen facts to intervals that keep the proof."),
]
Oracle = Annotated[
    str,
    typer.Option(
        "--oracle",
        help="auto, triangle (as published), exact (each prototype alone), relational (all "
        "together), cascade (one after the other).",
    ),
]
