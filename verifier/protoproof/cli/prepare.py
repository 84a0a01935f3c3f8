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
from protoproof.wording import plural

if TYPE_CHECKING:
    from protoproof.data.dataset import Dataset
    from protoproof.network import Network
    from protoproof.report.files.nearest_patches import Training

Out = Annotated[Path, typer.Option("--out", help="The prepared model (.onnx); a new file.")]
Names = Annotated[
    str | None,
    typer.Option(
        "--classes",
        help="Names of the classes in the network's order: a file with one name a line, or "
        "cat,dog. Default: those of the model, else the names of --data's folders, sorted.",
    ),
]
_PREDICTED = 100  # images that are predicted, about, to see whether names are in order

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
    from protoproof.cli.explain_many import training_images
    from protoproof.explanation.same_scores import compared
    from protoproof.files import make_directory, require_new, write_atomic, write_together
    from protoproof.network import load
    from protoproof.network.prepared import prepared

    network = load(model, latent=latent or (), output=output, preprocess=preprocess)
    sheet, provenance = out.with_suffix(".prototypes.png"), out.with_suffix(".json")
    if out.suffix != ".onnx":
        raise OutputError(f"--out {out}: the name of a model must end in .onnx")
    require_new(f"--out {out}", *([out] if data is None else [out, sheet, provenance]))
    read, training, pictures, said = None, None, None, []
    if data is not None:
        read = _data(network, data)
        training = training_images(network, data)
        pictures, told = _pictures(network, training, sheet.name)
        said.append(told)
    inside = None if pictures is None else pictures.inside
    names = _class_names(network, classes, read)
    if training is not None:
        said += _predicted_so(network, names or network.class_names, training)
    made = prepared(network, names, inside)
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
        f"compared: scores of {plural(images, 'input')}, largest difference {difference:.3g}; "
        "latent and head are recognised as before, by the checker too"
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


def _predicted_so(network: Network, names: tuple[str, ...], training: Training) -> list[str]:
    """How many training images are predicted as they are labelled, if classes have these names.

    Names in another order than the network's are a mistake that nothing else shows.
    """
    if network.head.decision.kind == "labels" or not set(training.labels) <= set(names):
        return []
    some = training.indices[:: max(1, len(training.indices) // _PREDICTED)]
    right = sum(
        names[network.observe(training.read(index)).predicted] == training.labels[index]
        for index in some
    )
    found = f"of {len(some)} training images, {right} are predicted as they are labelled"
    if 2 * right < len(some):
        found += "; if the network counts its classes in another order, state it with --classes"
    return [found]


def _pictures(network: Network, training: Training, sheet: str) -> tuple[Any, str]:
    """The pictures of the prototypes, and what was found, in words."""
    from protoproof.report.files.prototype_pictures import prototype_pictures_of

    found = prototype_pictures_of(network, training, sheet)
    count = len(network.head.prototypes)
    return found, (
        f"pictures of {count} prototypes from {training.searched}: {found.exact} are the latent of "
        "their patch, the others show the nearest one"
    )
