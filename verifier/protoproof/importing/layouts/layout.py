"""What a layout is: a family's way to name the tensors of its networks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from protoproof.importing.answers import Answers, Scale, one_of, positive
from protoproof.importing.pickled.checkpoint import Checkpoint
from protoproof.importing.writer import Value, Writer

Owners = tuple[int, ...] | None


@dataclass(frozen=True)
class Plan:
    """All that is needed to write a network.

    Attributes:
        family: what its authors call this kind of network.
        encoder: which one, such as "resnet50"; ``channels``: of its input.
        build: adds operators and outputs to a graph; gives the classes of the prototypes.
        size, scale: rows and columns of the input, and its normalisation, as far as stored.
        idle: ends of names of tensors that change no prediction.
        notes: what was taken from publications rather than from the file.
        resized: what is done to pictures before, in words of ``--preprocess``, as far as stored.
    """

    family: str
    encoder: str
    channels: int
    build: Callable[[Writer, Value], Owners]
    size: tuple[int, int] | None = None
    scale: Scale | None = None
    idle: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    resized: str = ""


@dataclass(frozen=True)
class Layout:
    """One family.

    Attributes:
        key: its word for ``--set family=``.
        about: one line for people, of what its head computes.
        classes: what its whole modules are called.
        here: are a checkpoint's tensors named like this?
        plan: asks what is missing, and plans the network.
        attributes: of whole modules, those that the published class has.
    """

    key: str
    about: str
    classes: frozenset[str]
    here: Callable[[Checkpoint], bool]
    plan: Callable[[Checkpoint, Answers], Plan]
    attributes: frozenset[str] = field(default=frozenset())


def activation(
    checkpoint: Checkpoint, answers: Answers, words: tuple[str, ...] = ("log", "linear")
) -> tuple[str | None, float | None]:
    """How a distance becomes a similarity, and its epsilon."""
    known = checkpoint.attribute("", "prototype_activation_function")
    kind = answers.need(
        "activation",
        f"{' or '.join(words)}; published: log",
        known if known in words else None,
        one_of(*words),
    )
    stored = checkpoint.attribute("", "epsilon")
    epsilon = answers.need(
        "epsilon",
        "of log((d+1)/(d+epsilon)); published: 1e-4",
        float(stored) if isinstance(stored, float) and stored > 0 else None,
        positive,
    )
    return kind, epsilon


def image_size(checkpoint: Checkpoint) -> tuple[int, int] | None:
    """Rows and columns, where a whole module says."""
    stored = checkpoint.attribute("", "img_size")
    return (stored, stored) if type(stored) is int and stored > 0 else None
