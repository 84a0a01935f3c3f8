"""From a checkpoint to an ONNX file: read, ask, write, compare."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from protoproof.errors import InputError, UsageError
from protoproof.files import make_directory, read_regular, require_new, write_atomic
from protoproof.importing import answers as reading
from protoproof.importing.answers import Answers
from protoproof.importing.compare import Agreement, agreement
from protoproof.importing.layouts import chosen
from protoproof.importing.layouts.cabrnet_files import STATE
from protoproof.importing.layouts.layout import Layout, Owners, Plan
from protoproof.importing.pickled.checkpoint import Checkpoint, read_checkpoint
from protoproof.importing.writer import Value, Writer
from protoproof.version import TOOL

# of every module of torch, and of no interest
_TORCH = frozenset({"training", "dump_patches"})
_INNER = ("_non_persistent_buffers_set", "_backend")
_HOOKS = ("_forward_hooks", "_forward_pre_hooks")
_MOST_NAMES = 1 << 24


@dataclass(frozen=True)
class Imported:
    """What was written and where everything in it comes from.

    ``settled``: by key, answers and where they come from; ``notes``: what was taken as published;
    ``agreement``: with outputs of the source network, where some were given.
    """

    path: Path
    family: str
    encoder: str
    settled: Mapping[str, str]
    notes: tuple[str, ...]
    agreement: Agreement | None

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "model": str(self.path),
            "family": self.family,
            "encoder": self.encoder,
            "settled": dict(self.settled),
            "notes": list(self.notes),
            "compared": None if self.agreement is None else self.agreement.to_json(),
        }


def import_checkpoint(
    source: Path, out: Path, settings: Mapping[str, str], compare: Path | None = None
) -> Imported:
    """Write the network of a checkpoint as one ONNX file.

    Args:
        source: a file of torch, or a directory with ``model_state.pth``.
        out: the ONNX file to write; nothing is written unless all is known and agrees.
        settings: answers to what the checkpoint does not say.
        compare: an archive of inputs and of what the source network computed from them.

    Raises:
        InputError: the checkpoint cannot be read or is of no known layout; outputs differ.
        UsageError: something is missing (one message with every question), or an answer is wrong.
        OutputError: the file cannot be written.
    """
    if out.suffix != ".onnx":
        raise UsageError(f"output {out} must be a file name that ends in .onnx")
    require_new(f"--out {out}", out)
    checkpoint = read_checkpoint(_file(source))
    asked = Answers(dict(settings))
    layout = chosen(checkpoint, asked)
    plan = layout.plan(checkpoint, asked)
    size = asked.need("size", "rows,columns of its input, such as 224", plan.size, reading.size)
    scale = asked.need(
        "normalise",
        "how its inputs were normalised: imagenet, none, or means/deviations such as "
        "0.5,0.5,0.5/0.5,0.5,0.5",
        plan.scale,
        reading.normalisation,
    )
    nobody: tuple[str, ...] = ()
    names = asked.need("names", "a text file, a class name per line", nobody, _names)
    ignored = _ignored(checkpoint, layout, asked)
    asked.settle(str(source))
    if size is None or scale is None:  # the questions have ended
        raise UsageError(f"{source}: size and normalisation are not known")
    resized = plan.resized if size == plan.size else ""
    if resized:
        asked.found["pictures"] = f"{resized} (in the checkpoint)"
    content = _written(checkpoint, plan, (size, scale, resized), names or (), out.stem)
    _refuse_unused(checkpoint, plan, ignored)
    found = None if compare is None else agreement(content, compare, scale)
    make_directory(out.parent)
    write_atomic(out, content)
    return Imported(out, plan.family, plan.encoder, asked.found, plan.notes, found)


def _file(source: Path) -> Path:
    """The file that holds the tensors.

    Raises:
        InputError: there is none.
    """
    if not source.exists():
        raise InputError(f"{source}: no such file; give a checkpoint, or a directory with {STATE}")
    if not source.is_dir():
        return source
    if not (source / STATE).exists():
        raise InputError(
            f"{source}: holds no {STATE}; give a directory of CaBRNet or beyond_l2, or the file of "
            "another project"
        )
    return source / STATE


def _ignored(checkpoint: Checkpoint, layout: Layout, asked: Answers) -> frozenset[str]:
    """What somebody says is of no use: attributes or tensors that the layout does not know."""
    for path, module in checkpoint.attributes.items():
        if any(module.get(hook) for hook in _HOOKS):
            raise InputError(f"{checkpoint.path}: module '{path}' has hooks, which are code")
    strange = sorted(
        name
        for name in checkpoint.attributes.get("", {})
        if name not in layout.attributes | _TORCH and not _hook(name)
    )
    more = f" and {len(strange) - 9} more" if len(strange) > 9 else ""
    how = (
        f"attributes that this layout does not have: {', '.join(strange[:9])}{more}; list those "
        "that change no prediction"
    )
    known = None if strange and layout.attributes else ""
    given = asked.need("ignore", how, known, str)
    listed = frozenset(part for part in (given or "").split(",") if part)
    left = [name for name in strange if name not in listed]
    if given and left and layout.attributes:
        raise UsageError(f"--set ignore={given}: leaves out {left[0]}; {how}")
    return listed


def _hook(name: str) -> bool:
    return name.startswith("_") and ("hook" in name or name in _INNER)


def _names(text: str) -> tuple[str, ...]:
    content = read_regular(Path(text), _MOST_NAMES)
    if content is None:
        raise ValueError("there is no such file")
    return tuple(line.strip() for line in content.decode().splitlines() if line.strip())


def _written(
    checkpoint: Checkpoint,
    plan: Plan,
    pictures: tuple[tuple[int, int], reading.Scale, str],
    names: tuple[str, ...],
    name: str,
) -> bytes:
    """The file; ``pictures``: their size, normalisation, and what is done to them before."""
    size, scale, _ = pictures
    writer = Writer(checkpoint)
    image = writer.input((plan.channels, *size))
    owners = plan.build(writer, _normalised(writer, image, scale))
    classes = next(value.shape[0] for value in writer.outputs if value.name == "logits")
    if names and len(names) != classes:
        raise UsageError(f"--set names: {len(names)} names for {classes} classes")
    about = _about(plan, image, pictures[1:], names, owners, name)
    return bytes(writer.model(image, about).SerializeToString(deterministic=True))


def _normalised(writer: Writer, x: Value, scale: reading.Scale) -> Value:
    """(x - mean) / std inside the graph: padding adds zeros after it, so it cannot be folded."""
    mean, std = scale
    if not mean:
        return x
    if len(mean) not in (1, x.shape[0]):
        raise UsageError(f"--set normalise: {len(mean)} means for {x.shape[0]} input channels")
    for key, values in (("input.mean", mean), ("input.std", std)):
        writer.constant(key, np.array(values)[:, None, None])
    centred = writer.add("Sub", [x.name, "input.mean"], x.shape)
    return writer.add("Div", [centred.name, "input.std"], x.shape)


def _about(
    plan: Plan,
    image: Value,
    pictures: tuple[reading.Scale, str],
    names: tuple[str, ...],
    owners: Owners,
    name: str,
) -> str:
    """The names that travel in the file, as canonical JSON text."""
    entry: dict[str, Any] = {"tensor": image.name, "shape": image.shape, "range": [0.0, 1.0]}
    scale, resized = pictures
    if resized:
        entry["preprocessing"] = resized
    if scale[0]:
        entry["normalisation"] = {"mean": scale[0], "std": scale[1]}
    content: dict[str, Any] = {
        "schema": "protoproof.head/1",
        "family": plan.family,
        "name": name,
        "input": entry,
        "producer": TOOL,
    }
    if names:
        content["classes"] = names
    if owners is not None:
        content["prototype_class"] = owners
    return json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _refuse_unused(checkpoint: Checkpoint, plan: Plan, ignored: frozenset[str]) -> None:
    """A tensor that nobody reads would be a part of the network that is left out."""
    left = [
        name
        for name, tensor in checkpoint.tensors.items()
        if name not in checkpoint.used | ignored
        and 0 not in tensor.shape
        and not name.endswith((*plan.idle, "num_batches_tracked"))
    ]
    if left:
        more = f" and {len(left) - 3} more" if len(left) > 3 else ""
        raise InputError(
            f"{checkpoint.path}: holds tensors that {plan.family} does not have: "
            f"{', '.join(left[:3])}{more}; if they change no prediction, --set ignore="
            f"{','.join(left[:3])}"
        )
