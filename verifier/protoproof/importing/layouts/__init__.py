"""Layouts: one file per family. What is here and nowhere else are names: of tensors, of classes."""

from __future__ import annotations

from protoproof.errors import InputError
from protoproof.importing.answers import Answers, one_of
from protoproof.importing.layouts import (
    cabrnet,
    evalprotopnet,
    pipnet,
    protopnet,
    protopool,
    prototree,
    stprotopnet,
    tesnet,
)
from protoproof.importing.layouts.layout import Layout
from protoproof.importing.pickled.checkpoint import Checkpoint

LAYOUTS: tuple[Layout, ...] = (
    protopnet.LAYOUT,
    tesnet.LAYOUT,
    evalprotopnet.LAYOUT,
    stprotopnet.LAYOUT,
    pipnet.LAYOUT,
    protopool.LAYOUT,
    prototree.LAYOUT,
    cabrnet.LAYOUT,
)


def chosen(checkpoint: Checkpoint, answers: Answers) -> Layout:
    """The layout of a checkpoint; where names of tensors or class leave a doubt, it is asked for.

    Raises:
        InputError: it is of no layout that is known.
    """
    fitting = [layout for layout in LAYOUTS if layout.here(checkpoint)]
    if not fitting:
        names = ", ".join(list(checkpoint.tensors)[:3])
        raise InputError(
            f"{checkpoint.path}: its tensors ({names}, ...) are of no layout that is known; "
            "docs/import.md lists them. Export the network with torch.onnx instead"
        )
    called = checkpoint.classes.get("", "").rpartition(".")[2]
    known = [layout for layout in fitting if called in layout.classes]
    if not known and not called and len(fitting) == 1:
        known = fitting
    how = " or ".join(f"{layout.key}: {layout.about}" for layout in fitting)
    if called and not known:
        how = f"its class is called '{called}'; {how}"
    words = [layout.key for layout in fitting]
    key = answers.need("family", how, known[0].key if known else None, one_of(*words))
    return next(layout for layout in fitting if layout.key == (key or words[0]))
