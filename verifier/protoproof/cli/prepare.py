"""``prepare``: one model file with in it what is otherwise said beside it."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer

from protoproof.cli.options import Json, Latent, Model, Output, Preprocess, Quiet
from protoproof.cli.terminal import print_json
from protoproof.errors import InputError, OutputError, UsageError
from protoproof.extras import require

if TYPE_CHECKING:
    from protoproof.data.dataset import Dataset
    from protoproof.network import Network

Out = Annotated[Path, typer.Option("--out", help="The prepared model (.onnx); a new file.")]
Names = Annotated[
    str | None,
    typer.Option(
        "--classes",
        help="Names of the classes in the network's order: a file with one name a line, or "
        "cat,dog. Default: those of the model, else the names of --data's folders, sorted.",
    ),
]
Pictures = Annotated[
    str | None,
    typer.Option(
        "--data",
        help="mnist5k, an .npz or a folder: its training images are searched for the patch that "
        "is nearest to each prototype.",
    ),
]


def prepare(
    model: Model,
    out: Out,
    preprocess: Preprocess = None,
    classes: Names = None,
    data: Pictures = None,
    latent: Latent = None,
    output: Output = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write a model that needs nothing beside it: data files, preprocessing, names, pictures.

    What the head computes is the same, and is compared. No proof needs this.
    """
    require("explain", "prepare")
    from protoproof.explanation.same_scores import compared
    from protoproof.files import make_directory, require_new, write_atomic, write_together
    from protoproof.network import load
    from protoproof.network.prepared import prepared

    network = load(model, latent=latent or (), output=output, preprocess=preprocess)
    sheet, provenance = out.with_suffix(".prototypes.png"), out.with_suffix(".json")
    if out.suffix != ".onnx":
        raise OutputError(f"--out {out}: the name of a model must end in .onnx")
    require_new(f"--out {out}", *([out] if data is None else [out, sheet, provenance]))
    read, pictures, said = None, None, []
    if data is not None:
        read = _data(network, data)
        pictures, told = _pictures(network, data, read, sheet.name)
        said.append(told)
    inside = None if pictures is None else pictures.inside
    made = prepared(network, _class_names(network, classes, read), inside)
    written, steps = {out: made.data}, [*made.steps, *said]
    if pictures is not None and inside is None:
        written |= {sheet: pictures.sheet, provenance: pictures.provenance}
        steps.append(f"pictures beside the model, for they are large: {sheet}, {provenance}")
    with TemporaryDirectory() as folder:  # what is not what it should be is never there
        draft = Path(folder) / out.name
        write_atomic(draft, made.data)
        difference, images = compared(network, draft, None if read is None else read.x_train)
    make_directory(out.parent)
    write_together(written)
    steps.append(
        f"compared: scores of {images} inputs, largest difference {difference:.3g}; latent and "
        "head are recognised as before, by the checker too"
    )
    if as_json:
        print_json({"model": str(out), "steps": steps, "files": [str(path) for path in written]})
    elif not quiet:
        for step in steps:
            print(f"prepared    {step}")
        print(f"model       {out}")


def _data(network: Network, source: str) -> Dataset:
    """The data, which must fit the network."""
    from protoproof.data.dataset import load_data

    return load_data(source, network.pixels.preprocessing)


def _class_names(
    network: Network, given: str | None, data: Dataset | None
) -> tuple[str, ...] | None:
    """The names that are new, or None.

    Raises:
        UsageError: another number of names than of classes.
        InputError: the file cannot be read.
    """
    from protoproof.files import read_regular

    count = len(network.class_names)
    if given is not None:
        content = read_regular(Path(given), 1 << 20) if Path(given).exists() else None
        try:
            text = given.replace(",", "\n") if content is None else content.decode("utf-8")
        except UnicodeDecodeError as error:
            raise InputError(f"--classes {given}: is no text; write one name a line") from error
        names = tuple(line.strip() for line in text.splitlines() if line.strip())
        if len(names) != count or len(set(names)) != count:
            raise UsageError(
                f"--classes {given}: {len(set(names))} names, and the network has {count} classes; "
                "give one for each, in the network's order"
            )
        return names
    if data is None or network.about.classes_stated or len(data.classes) != count:
        return None
    # what is a number may be the network's number, or the name of another one
    return None if all(name.isdigit() for name in data.classes) else data.classes


def _pictures(network: Network, source: str, data: Dataset, sheet: str) -> tuple[Any, str]:
    """The pictures of the prototypes, and what was found, in words."""
    from protoproof.cli.explain_many import training_images
    from protoproof.report.files.prototype_pictures import prototype_pictures_of

    training = training_images(network, source)
    found = prototype_pictures_of(network, training, sheet)
    count = len(network.head.prototypes)
    return found, (
        f"pictures of {count} prototypes from {training.searched}: {found.exact} are the latent of "
        "their patch, the others show the nearest one"
    )
