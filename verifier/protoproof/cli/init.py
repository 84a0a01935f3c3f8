"""``init``: a start in the current directory: options, a policy, and a job that gates."""

from __future__ import annotations

import json
import os
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Annotated

import typer

from protoproof.cli.options import Json, Model, Preprocess, Quiet
from protoproof.cli.settings import FILE
from protoproof.cli.terminal import print_json
from protoproof.errors import InputError, UsageError
from protoproof.extras import require
from protoproof.files import require_new

if TYPE_CHECKING:
    from protoproof.campaign import Instances
    from protoproof.network import Network

_FILES = {
    FILE: "protoproof.yaml",
    "release.yaml": "release.yaml",
    ".github/workflows/protoproof.yml": "github.yml",
    ".gitlab-ci.yml": "gitlab.yml",
}
_JOBS = {
    "both": tuple(_FILES),
    "github": (FILE, "release.yaml", ".github/workflows/protoproof.yml"),
    "gitlab": (FILE, "release.yaml", ".gitlab-ci.yml"),
    "none": (FILE, "release.yaml"),
}
_PER_CLASS = 3
_INSTANCES = 60  # about so many are explained by the policy


def init(
    model: Model,
    data: Annotated[str, typer.Option("--data", help="mnist5k, FILE.npz, or an image folder.")],
    preprocess: Preprocess = None,
    jobs: Annotated[
        str, typer.Option("--ci", help="Whose job is written: both, github, gitlab or none.")
    ] = "both",
    force: Annotated[
        bool, typer.Option("--force", help="Write over files of these names.")
    ] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write a start for a network into the current directory: options, policy, CI jobs.

    Model and data are looked at first: what could not be gated is refused.
    """
    require("explain", "init")
    if jobs not in _JOBS:
        raise UsageError(f"--ci {jobs}: unknown; use {', '.join(_JOBS)}")
    names = [Path(name) for name in _JOBS[jobs]]
    if not force:
        require_new("init", *names, remedy="--force writes over it")
    if jobs != "none":
        _require_here(model)
        _require_here(Path(data))
    network, instances = _looked_at(model, data, preprocess)
    words = _words(network, instances, model, data, preprocess)
    _write(names, words)
    if as_json:
        print_json({"files": [str(name) for name in names]})
    elif not quiet:
        for name in names:
            print(f"written     {name}")
        if jobs != "none":
            print(
                "to do       give the job a variable PROTOPROOF: where to install ProtoProof from"
            )
        if not network.about.classes_stated:
            print(f"note        {_counted(instances)}")
        print("next        protoproof gate")


def _looked_at(model: Path, data: str, preprocess: str | None) -> tuple[Network, Instances]:
    """Network and data, which have to fit each other.

    Raises:
        InputError, ModelError: what a gate would refuse.
    """
    from protoproof.campaign.instances import read_instances
    from protoproof.explanation.certifiable import checkers_objection
    from protoproof.network import load

    network = load(model, preprocess=preprocess)
    objection = checkers_objection(network)
    if objection:
        raise InputError(f"{model}: explanations cannot be certified: {objection}")
    read = read_instances(data, network.pixels.preprocessing)
    instances = read.fit(network.class_names, network.about.classes_stated)
    instances.require_taken(network.pixels)
    return network, instances


def _counted(instances: Instances) -> str:
    """As what classes the data's are taken, where the network does not name its own."""
    most = 5
    names = ", ".join(instances.classes[:most]) + (", ..." if len(instances.classes) > most else "")
    return (
        f"the network names no classes: those of {instances.name} are taken as its 0, 1, ... in "
        f"this order: {names} (prepare --classes names them otherwise)"
    )


def _words(
    network: Network, instances: Instances, model: Path, data: str, preprocess: str | None
) -> dict[str, str]:
    """What stands in the files in place of the words with a dollar sign."""
    counts = [int((instances.y == k).sum()) for k in range(len(instances.classes))]
    few = min(_PER_CLASS, max(1, _INSTANCES // len(counts)), min(counts))
    if not few:
        k = counts.index(0)
        raise InputError(f"data {instances.name}: class {instances.classes[k]} has no test images")
    stated = "" if preprocess is None else f"preprocess: {json.dumps(preprocess)}"
    return {
        "name": " ".join(network.about.name.split()),
        "model": json.dumps(_place(model)),
        "data": json.dumps(data if not Path(data).exists() else _place(Path(data))),
        "preprocess": stated or "# preprocess: imagenet # what is done to pictures before",
        "per_class": str(few),
    }


def _place(path: Path) -> str:
    """From the working directory on, so that it can be committed."""
    return Path(os.path.relpath(path.resolve(), Path.cwd().resolve())).as_posix()


def _require_here(path: Path) -> None:
    """Refuse jobs about a file that no job finds: they have what lies in the directory.

    Raises:
        UsageError: it lies outside.
    """
    if path.exists() and not path.resolve().is_relative_to(Path.cwd().resolve()):
        raise UsageError(
            f"{path}: lies outside this directory, where no job finds it; put it in here, or write "
            "no jobs (--ci none)"
        )


def _write(names: list[Path], words: dict[str, str]) -> None:
    from protoproof.files import make_directory, write_together
    from protoproof.resources import starter_path

    written = {}
    for name in names:
        text = starter_path(_FILES[name.as_posix()]).read_text(encoding="utf-8")
        written[name] = Template(text).substitute(words).encode("utf-8")
        make_directory(name.parent)
    write_together(written)
