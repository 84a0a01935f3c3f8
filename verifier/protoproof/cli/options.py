"""Arguments and options that several verbs share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Model = Annotated[Path, typer.Argument(metavar="MODEL", help="The network, an ONNX file.")]
Latent = Annotated[
    list[str] | None,
    typer.Option(
        "--latent",
        metavar="NAME",
        help="A tensor that the head reads, if another than the found one is meant (see inspect); "
        "may be given several times.",
    ),
]
Output = Annotated[
    str | None,
    typer.Option("--output", metavar="NAME", help="The output to explain, likewise."),
]
Preprocess = Annotated[
    str | None,
    typer.Option(
        "--preprocess",
        metavar="WORDS|FILE.yaml",
        help="What is done to a picture before the network sees it: imagenet, or what of "
        "resize=256,crop=224,bgr,range=0,1,mean=..,std=.. holds, or a YAML file with these words. "
        "Default: what the model's description states.",
    ),
]
Routing = Annotated[
    str | None,
    typer.Option(
        "--routing",
        metavar="READING",
        help="Of a soft tree, what is explained: distributed (all leaves weighed, as the network "
        "computes; the default), greedy (the leaf that the larger share leads to at every node) or "
        "sample-max (the leaf that the largest share reaches).",
    ),
]
Label = Annotated[
    str | None,
    typer.Option(
        "--label",
        metavar="LABEL",
        help="Of a network that predicts labels, the one to explain (its name or number); default: "
        "all of them at once.",
    ),
]
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
        help="auto (the smallest proved), topk, ceiling, mixed, pairs; for trees also path: kinds "
        "of facts.",
    ),
]
Domain = Annotated[
    str,
    typer.Option(
        "--domain",
        help="free (every latent; for dot products what the last layer guarantees), what the last "
        "layer guarantees (box, sphere, ball, simplex), or "
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
Compare = Annotated[
    bool,
    typer.Option(
        "--compare",
        help="With --vocabulary auto: also prove the smallest set of every other vocabulary.",
    ),
]
ForReading = Annotated[
    bool,
    typer.Option(
        "--for-reading",
        help="Make the numbers to read few (values, places, named and exempt prototypes) before "
        "the facts.",
    ),
]
Level = Annotated[
    str,
    typer.Option(
        "--level",
        help="R: proved of the head over the real numbers; F: also of every float32 execution of "
        "it, and only what is counts; auto: F where the facts found prove it, else R.",
    ),
]
Minimal = Annotated[
    str,
    typer.Option(
        "--minimal",
        help="subset (no single fact can go), minimum (no smaller set, or the proved gap), "
        "all (every minimal set of pairs or mixed facts, up to --most).",
    ),
]
Device = Annotated[
    str, typer.Option("--device", help="Where searches run that pay there: cpu or cuda.")
]
Timeout = Annotated[
    float | None,
    typer.Option(
        "--timeout",
        min=0.0,
        help="Seconds for one explanation, then with the best that is proved. Default: 600; 60 for "
        "--minimal minimum, --minimal all and --contrast.",
    ),
]
Contrast = Annotated[
    str | None,
    typer.Option("--contrast", help="A class, or closest: few facts whose release leads there."),
]
Most = Annotated[int, typer.Option("--most", min=1, help="Explanations that --minimal all lists.")]
OutsideBoxes = Annotated[
    bool,
    typer.Option(
        "--outside",
        help="Prove, for every box of the input that the page shows, between what numbers the "
        "measurement there stays for every content of the pixels outside.",
    ),
]
DumpSmt2 = Annotated[
    Path | None,
    typer.Option("--dump-smt2", help="Write the question about the facts as SMT-LIB text."),
]
DumpVnnlib = Annotated[
    Path | None,
    typer.Option("--dump-vnnlib", help="Write the same as a VNN-LIB 2.0 query (see vnnlib)."),
]
Oracle = Annotated[
    str,
    typer.Option(
        "--oracle",
        help="auto, triangle (as published), interval (each prototype alone), relational (and all "
        "together: never more facts), branch-and-bound (and case by case); exact, cascade and smt "
        "are older words for interval, relational and branch-and-bound.",
    ),
]
AnyInput = Annotated[
    Path | None,
    typer.Option("--input", help="An image (.png, .jpg) or array (.npy, .npz) of inputs."),
]
AllOf = Annotated[
    str | None,
    typer.Option("--data", help="mnist5k, an .npz or a folder: explain all its test images."),
]
Limit = Annotated[
    int | None, typer.Option("--limit", min=1, help="Of many inputs, only the first so many.")
]
Training = Annotated[
    str | None,
    typer.Option(
        "--training",
        help="mnist5k, an .npz or a folder: its training images are searched for patches that "
        "look like the latent of --contrast. Default: the patches of the prototypes.",
    ),
]
Out = Annotated[
    Path | None,
    typer.Option("--out", help="The certificate's file; of many inputs, the directory."),
]
Truth = Annotated[
    str | None,
    typer.Option(
        "--truth",
        metavar="CLASS",
        help="The class that the input is known to have (its name or number): output and page "
        "then say whether the prediction is right, too.",
    ),
]
Pages = Annotated[
    bool | None,
    typer.Option("--pages/--no-pages", help="Write pages. Default: for a single input."),
]
NoScript = Annotated[
    bool,
    typer.Option(
        "--no-script",
        help="Pages without scripts: they do not prove their claim again in a browser, and audit "
        "reports do not search and order.",
    ),
]
