"""``prepare``: one model file with in it what is otherwise said beside it."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer

from protoproof.cli.options import Json, Latent, Model, Output, Preprocess, Quiet
from protoproof.cli.terminal import print_json
from protoproof.errors import FragileError, InputError, OutputError, UsageError
from protoproof.extras import require

if TYPE_CHECKING:
    import numpy as np

    from protoproof.data.dataset import Dataset
    from protoproof.network import Network

_SAME = 1e-4  # relative difference of scores that float32 rounding explains
_COMPARED = 3

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
    from protoproof.files import make_directory, require_writable, write_atomic, write_together
    from protoproof.network import load
    from protoproof.network.prepared import prepared

    network = load(model, latent=latent or (), output=output, preprocess=preprocess)
    sheet, provenance = out.with_suffix(".prototypes.png"), out.with_suffix(".json")
    _require_new(out, [out] if data is None else [out, sheet, provenance])
    require_writable(out.parent)
    read = None if data is None else _data(network, data)
    made = prepared(network, _class_names(network, classes, read))
    written, steps = {out: made.data}, list(made.steps)
    if read is not None and data is not None:
        pictures, said = _pictures(network, data, read, sheet.name)
        written |= {sheet: pictures.sheet, provenance: pictures.provenance}
        steps.append(said)
    with TemporaryDirectory() as folder:  # what is not what it should be is never there
        draft = Path(folder) / out.name
        write_atomic(draft, made.data)
        difference, images = _compared(network, draft, read)
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


def _require_new(out: Path, paths: list[Path]) -> None:
    """Nothing is written over: neither the model nor what lies beside another.

    Raises:
        OutputError: something is there already, or the name is none of a model.
    """
    if out.suffix != ".onnx":
        raise OutputError(f"--out {out}: the name of a model must end in .onnx")
    for path in paths:
        if os.path.lexists(path):
            raise OutputError(f"--out {out}: {path} exists already; choose another name")


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


def _compared(network: Network, draft: Path, data: Dataset | None) -> tuple[float, int]:
    """The largest difference of scores between both models, over how many inputs.

    Raises:
        FragileError: they differ by more than rounding explains.
    """
    import numpy as np

    from protoproof.explanation.certifiable import checkers_objection
    from protoproof.network import load

    recognised = network.recognised
    again = load(draft, latent=recognised.latents, output=recognised.output)
    objection = checkers_objection(again) or ""
    if objection and not checkers_objection(network):
        raise FragileError(f"the checker does not read the prepared model: {objection}")
    worst = 0.0
    pairs = _inputs(network, again, data)
    for before, after in pairs:
        one, two = network.observe(before), again.observe(after)
        size = max(1.0, float(np.abs(one.logits).max()))
        worst = max(worst, float(np.abs(one.logits - two.logits).max()) / size)
    if not worst <= _SAME:
        raise FragileError(
            f"the prepared model computes other scores (relative difference {worst:.3g}), so "
            "nothing was written"
        )
    return worst, len(pairs)


def _inputs(
    network: Network, again: Network, data: Dataset | None
) -> list[tuple[np.ndarray, np.ndarray]]:
    """The same inputs for both models: images where both take images, else the same numbers."""
    import numpy as np

    from protoproof.network.layout import layout_of

    if layout_of(network.input_shape) is None or network.pixels.problem:
        rng = np.random.default_rng(0)
        low, high = network.input_range
        numbers = rng.uniform(low, high, (_COMPARED, *network.input_shape)).astype(np.float32)
        return [(x, x) for x in numbers]
    if data is not None:
        images = data.x_train[:_COMPARED]
    else:
        layout, shape = layout_of(network.input_shape), network.input_shape
        size = shape[1:] if layout == "channels first" else shape[:2]
        rng = np.random.default_rng(0)
        pixels = rng.integers(0, 256, (_COMPARED, network.pixels.channels, *size))
        images = pixels.astype(np.float32) / np.float32(255)
    return [(network.pixels.values(image), again.pixels.values(image)) for image in images]
