"""Which inputs a campaign is about: a labelled data set, and a reproducible choice from it."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float32, Int64
from numpy.typing import NDArray

from protoproof.errors import InputError, UsageError
from protoproof.network.layout import from_image, layout_of
from protoproof.network.pixels import PixelRule
from protoproof.wording import plural

if TYPE_CHECKING:
    from protoproof.data.dataset import Dataset
    from protoproof.data.preprocess import Preprocessing

_MOST_LISTED = 1 << 20


@dataclass(frozen=True, eq=False)
class Instances:
    """Labelled images in [0, 1].

    Attributes:
        name: what users call the data set.
        sha256: its fingerprint.
        x: the inputs, float32.
        y: one class index per input.
        classes: one name per class index.
        source: where the data can be read again; a note for reports.
        pixels: whether they were 8-bit numbers, of which a network has to state what they become.
        files: one name per input, where each has a file of its own.

    Raises:
        InputError: no inputs, or labels that do not fit.
    """

    name: str
    sha256: str
    x: Float32[NDArray[np.float32], "image channel row column"]
    y: Int64[NDArray[np.int64], " image"]
    classes: tuple[str, ...]
    source: str = ""
    pixels: bool = False
    files: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not len(self.x):
            raise InputError(f"data {self.name}: holds no instances; give at least one")
        if self.files and len(self.files) != len(self.x):
            raise InputError(
                f"data {self.name}: {plural(len(self.files), 'name')} for "
                f"{plural(len(self.x), 'input')}"
            )
        if len(self.x) != len(self.y):
            raise InputError(
                f"data {self.name}: {plural(len(self.y), 'label')} for "
                f"{plural(len(self.x), 'input')}"
            )

    def input(self, index: int, rule: PixelRule) -> NDArray[np.float32]:
        """Image ``index`` as the input of a network that takes pixels by that rule."""
        return rule.values(self.x[index])

    def file(self, index: int) -> str:
        """The name of an input's file; "" where it has none of its own."""
        return self.files[index] if self.files else ""

    def input_name(self, index: int) -> str:
        """What certificates call an input."""
        return self.file(index) or f"{self.name}[{index}]"

    def require_taken(self, rule: PixelRule) -> None:
        """Make sure that a network takes these images, and that somebody states as what.

        Raises:
            InputError: their shape is another one, or nobody does.
        """
        image = self.x[0]
        if layout_of(rule.shape) is None:
            fits = image.shape == rule.shape
        else:
            fits = from_image(image, rule.shape) is not None
        if not fits:
            raise InputError(
                f"data {self.name}: images of shape {list(image.shape)} do not fit the network's "
                f"input {list(rule.shape)}; {rule.how_to_fit}"
            )
        if rule.problem and (self.pixels or rule.known or rule.doubt):
            raise InputError(f"data {self.name}: {rule.problem}")

    def fit(self, classes: tuple[str, ...], stated: bool = False) -> Instances:
        """The same, labels meaning what the network's class names mean.

        Where both have the same names, labels are brought into the network's order, by name.

        Args:
            classes: the network's.
            stated: whether they are names that somebody gave them.

        Raises:
            InputError: another number of classes, other names, or numbers for names where nobody
            states which is which.
        """
        if len(self.classes) != len(classes):
            raise InputError(
                f"data {self.name}: {len(self.classes)} classes, the network has {len(classes)}; "
                "use the data that the network was made for"
            )
        if self.classes == classes:
            return self
        k = next(k for k, name in enumerate(classes) if self.classes[k] != name)
        if sorted(self.classes) == sorted(classes) and len(set(classes)) == len(classes):
            if self.classes == tuple(map(str, range(len(classes)))):
                raise InputError(
                    f"data {self.name}: its classes are called by their numbers, which the network "
                    f"has as names in another order ({k} is its {classes[k]}); give the data the "
                    "names that are meant"
                )
            place = np.array([classes.index(name) for name in self.classes], dtype=np.int64)
            return replace(self, y=place[self.y], classes=classes)
        numeric = all(re.fullmatch("[0-9]{1,18}", name) for name in self.classes)
        if stated and not numeric:
            raise InputError(
                f"data {self.name}: its classes are called otherwise than the network's: number "
                f"{k} is {self.classes[k]}, the network's {classes[k]}; give both the same names, "
                "or number the data's"
            )
        if numeric:
            numbers = [int(name) for name in self.classes]
            if numbers != sorted(numbers):
                first = ", ".join(self.classes[:4])
                raise InputError(
                    f"data {self.name}: its classes are numbers in the order of their letters "
                    f"({first} ...), which need not be the network's; name the network's classes, "
                    "or write 01, 02, 10"
                )
        return self


def read_instances(source: str, preprocessing: Preprocessing | None = None) -> Instances:
    """The test part of a data source, as a campaign takes it.

    ``preprocessing`` says how its pictures are resized and cropped.

    Raises:
        InputError, MissingDependencyError: see :func:`protoproof.data.dataset.load_data`.
    """
    from protoproof.data.dataset import load_data

    return instances_of(load_data(source, preprocessing), source)


def instances_of(data: Dataset, source: str) -> Instances:
    """The test part of a data set."""
    where = str(Path(source).resolve()) if Path(source).exists() else source
    return Instances(
        data.name,
        data.sha256,
        data.x_test,
        data.y_test,
        data.classes,
        where,
        data.pixels,
        data.files,
    )


@dataclass(frozen=True)
class Selection:
    """All instances, ``per_class`` of each class drawn with ``seed``, or the listed ``indices``.

    Raises:
        UsageError: both ``per_class`` and ``indices``, or an empty list.
    """

    per_class: int | None = None
    seed: int = 0
    indices: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if self.per_class is not None and self.indices is not None:
            raise UsageError("--per-class and --indices exclude each other; give one of them")
        if self.indices == ():
            raise UsageError("--indices: the list is empty; give at least one index")
        if self.per_class is not None and self.per_class < 1:
            raise UsageError("--per-class: must be at least 1")

    def to_json(self) -> dict[str, Any]:
        """The choice as plain data; the seed only where it was used."""
        if self.indices is not None:
            return {"kind": "listed"}
        if self.per_class is not None:
            return {"kind": "per_class", "per_class": self.per_class, "seed": self.seed}
        return {"kind": "all"}

    def choose(self, instances: Instances) -> tuple[int, ...]:
        """Indices into the data set, ascending and distinct.

        Raises:
            InputError: a class has fewer instances than asked for, or an index is out of range.
        """
        count = len(instances.y)
        if self.indices is not None:
            wrong = [index for index in self.indices if not 0 <= index < count]
            if wrong:
                raise InputError(
                    f"data {instances.name}: no instance {wrong[0]}; it has 0 to {count - 1}"
                )
            return tuple(sorted(set(self.indices)))
        if self.per_class is None:
            return tuple(range(count))
        chosen: list[int] = []
        for class_ in range(len(instances.classes)):
            members = np.flatnonzero(instances.y == class_)
            if len(members) < self.per_class:
                raise InputError(
                    f"data {instances.name}: class {class_} has {len(members)} instances, "
                    f"--per-class asks for {self.per_class}"
                )
            # a generator per class: the choice in one class does not move with another's size
            generator = np.random.default_rng([self.seed, class_])
            chosen += generator.permutation(members)[: self.per_class].tolist()
        return tuple(sorted(chosen))


def parse_indices(text: str) -> tuple[int, ...]:
    """``0,5,10-19`` as numbers.

    Raises:
        UsageError: not of this form, or absurdly many.
    """
    found: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        ends = (first, last if dash else first)
        if not all(end.isascii() and end.isdigit() and len(end) < 10 for end in ends):
            raise UsageError(f"--indices {text[:80]!r}: write numbers and ranges, like 0,5,10-19")
        low, high = map(int, ends)
        if high < low or len(found) + high - low >= _MOST_LISTED:
            raise UsageError(f"--indices {text[:80]!r}: {part.strip()!r} is no sensible range")
        found += range(low, high + 1)
    return tuple(found)
