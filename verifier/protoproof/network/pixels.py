"""How an image becomes a network's numbers: by what is stated, and refused where that matters.

A network says sizes; what its numbers mean, its description or ``--preprocess`` states. Where
nobody does, a picture scaled to some range would be explained as another picture than the one that
is shown: it is refused, in a line that says what to give.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from protoproof.data.preprocess import Preprocessing, parse, preprocessing_of
from protoproof.errors import DescriptionError, InputError, UsageError
from protoproof.network.layout import from_image, layout_of

if TYPE_CHECKING:
    from protoproof.network.head.about import About
    from protoproof.network.onnx.graph import Graph

Shape = tuple[int, ...]
Range = tuple[float, float]
UNIT: Range = (0.0, 1.0)
_EVERY_NUMBER = {"Sub", "Div", "Mul", "Add", "BatchNormalization"}
_MOVES = {"Identity", "Transpose"}
# share of a stated range by which what preprocessing gives may leave it: people write few digits
_ROUNDED = 1e-2
ASKED = (
    "state it with --preprocess (imagenet; or mean=..,std=..; or range=0,1 where numbers from 0 to "
    "1 are wanted), or give the network's own numbers (float32, .npy)"
)


@dataclass(frozen=True)
class PixelRule:
    """What turns pixels into the numbers of a network's input.

    Attributes:
        shape: of the input, without the batch axis.
        range: of its values; [0, 1] where nobody states one (``known``).
        known: whether somebody states it.
        preprocessing: what is stated beyond a range.
        doubt: why what is stated says nothing about pixels, or "".
        against: what the model says or does otherwise than what is given beside it, or "".
    """

    shape: Shape
    range: Range = UNIT
    known: bool = True
    preprocessing: Preprocessing | None = None
    doubt: str = ""
    against: str = ""

    @property
    def channels(self) -> int:
        """Of an image; 1 where the input is none."""
        layout = layout_of(self.shape)
        return 1 if layout is None else self.shape[0 if layout == "channels first" else 2]

    @property
    def problem(self) -> str:
        """Why 8-bit pixels cannot be taken, or ""."""
        if self.preprocessing is not None and self.preprocessing.states_values:
            return ""
        if self.doubt:
            return f"{self.doubt}; {ASKED}"
        if not self.known:
            return f"which numbers the network takes for pixels is not stated; {ASKED}"
        return self._skewed

    @property
    def _skewed(self) -> str:
        """Why a linear scaling is certainly not what the network takes, or "".

        A range about 0 or from 0 on is one that pixels are scaled to. Another one, of three
        colours, is what is left of three different scalings. Of a single channel it is none: the
        one scaling is linear.
        """
        low, high = self.range
        if self.channels != 3 or low == 0 or low == -high:
            return ""
        return (
            f"the stated range [{low:g}, {high:g}] does not say how each colour is scaled; {ASKED}"
        )

    def values(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        """An image, [channel, row, column] in [0, 1], as an input.

        One that does not fit comes back as it is, for whoever runs it to refuse.

        Raises:
            InputError: mean and std of another number of channels.
        """
        if layout_of(self.shape) is None:
            return self.linear(image)
        first = from_image(image, (self.channels, *image.shape[1:]))
        scaled = self._scaled(image if first is None else first)
        found = from_image(scaled, self.shape)
        return scaled if found is None else found

    def _scaled(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        """Channels first."""
        stated = self.preprocessing
        if stated is not None and stated.states_values:
            return np.asarray(stated.values(image))
        turned = stated is not None and stated.bgr and len(image) == 3
        return self.linear(image[::-1] if turned else image)

    def linear(self, unit: NDArray[np.float32]) -> NDArray[np.float32]:
        """Numbers in [0, 1], scaled to the range."""
        low, high = map(np.float32, self.range)
        # rounding may leave the range by a bit of the last place
        return np.asarray(np.clip(unit * (high - low) + low, low, high), order="C")

    def image(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        """What an input shows, for people: in [0, 1], its axes as they are.

        What leaves [0, 1] is left to who draws it.
        """
        stated, (low, high) = self.preprocessing, self.range
        layout = layout_of(x.shape)
        if stated is None or layout is None:
            return (x.astype(np.float64) - low) / (high - low)
        first = x if layout == "channels first" else np.moveaxis(x, 2, 0)
        if stated.states_values:
            shown = np.clip(stated.image(first), 0, 1)  # rounding leaves it by a little
        else:
            shown = (first.astype(np.float64) - low) / (high - low)
            shown = shown[::-1] if stated.bgr and len(shown) == 3 else shown
        return shown if layout == "channels first" else np.moveaxis(shown, 0, 2)

    @property
    def text(self) -> str:
        """What is stated, in the words of ``--preprocess``; "" where nothing is."""
        return "" if self.preprocessing is None else str(self.preprocessing)

    @property
    def how_to_fit(self) -> str:
        """What to say where pictures are of another size, as the end of a message."""
        layout = layout_of(self.shape)
        if layout is None:
            return "it is taken as it is"
        size = self.shape[1:] if layout == "channels first" else self.shape[:2]
        words = f"resize={'x'.join(map(str, size))}"
        if self.preprocessing is not None and self.preprocessing.crop is not None:
            words += ",crop=none"
        return f"pictures are resized only as --preprocess states, such as {words}"

    def remark(self, word: str = "numbers 0..255") -> str:
        """What is done to pixels, in words; "" where nothing is."""
        stated = self.preprocessing
        if stated is not None:
            otherwise = f"; but {self.against}" if self.against else ""
            return f"pixels were prepared as stated: {stated}{otherwise}"
        low, high = self.range
        return "" if (low, high) == (0, 255) else f"{word} were scaled to [{low:g}, {high:g}]"


def pixel_rule(
    shape: Shape,
    about: About,
    bytes_in: bool,
    given: str | Preprocessing | None = None,
    begins: tuple[str, ...] = (),
) -> PixelRule:
    """The rule of a network, from what its description says and what is given beside it.

    Args:
        shape: of the input, without the batch axis.
        about: the description.
        bytes_in: the input is uint8.
        given: what ``--preprocess`` says; it comes before the description. Where the model says
            or does otherwise, the rule says so.
        begins: the operators with stored numbers that the network begins with: see
            :func:`first_operators`.

    Raises:
        UsageError: ``given`` is malformed or contradicts the network.
        DescriptionError: the description does.
    """
    known = bytes_in or about.range_stated
    rule = PixelRule(shape, (0.0, 255.0) if bytes_in else about.input_range, known)
    if given is not None:
        stated = preprocessing_of(given) if isinstance(given, str) else given
        found = _prepared(rule, stated, bytes_in, f"--preprocess {stated}")
        return replace(found, against=_against(found, stated, about, begins))
    if about.preprocessing is not None:
        where = f"input.preprocessing: {about.preprocessing}"
        try:
            return _prepared(rule, parse(about.preprocessing, where), bytes_in, where)
        except UsageError as error:
            raise DescriptionError(f"{error}; correct the description") from error
    if about.normalisation is None or (known and rule.range in (UNIT, (0.0, 255.0))):
        return rule  # what is normalised inside the graph is nobody's business
    stated = Preprocessing(mean=about.normalisation.mean, std=about.normalisation.std)
    doubt = "the description states mean and std, but no range: whether the graph applies them"
    if known:
        try:
            low, high = stated.limits(rule.channels)
        except InputError:
            return replace(rule, doubt="the description's mean and std are of other channels")
        slack = _ROUNDED * (high - low)
        if abs(rule.range[0] - low) <= slack and abs(rule.range[1] - high) <= slack:
            return replace(rule, range=(low, high), preprocessing=stated)
        return replace(rule, doubt="the description's mean and std do not lead to its range")
    return replace(rule, doubt=f"{doubt} is open")


def _against(rule: PixelRule, stated: Preprocessing, about: About, begins: tuple[str, ...]) -> str:
    """What the model's description says, or its graph does, otherwise than what is given."""
    said = []
    if about.preprocessing is not None:
        with contextlib.suppress(UsageError):  # whoever cannot be understood contradicts nobody
            if (described := parse(about.preprocessing, "input.preprocessing")) != stated:
                said.append(f"the model describes its preprocessing as {described}")
    elif about.normalisation is not None and stated.mean is not None:
        described = Preprocessing(mean=about.normalisation.mean, std=about.normalisation.std)
        same = (described.mean, described.std) == (stated.mean, stated.std)
        if not same:
            said.append(f"the model describes {described}")
    if begins and stated.states_values and rule.range != UNIT:
        said.append(
            f"the network itself begins with {' and '.join(begins)} by stored numbers: if these "
            "are mean and std, they are applied twice"
        )
    return "; ".join(said)


def first_operators(graph: Graph) -> tuple[str, ...]:
    """What a graph does to every number of its input by stored numbers, before anything else.

    That is how mean and std are applied inside a network. Layers look alike: it is no proof.
    """
    found: list[str] = []
    tensor = graph.input
    while True:
        users = [node for node in graph.nodes if tensor in node.inputs]
        if len(users) != 1 or users[0].op not in _EVERY_NUMBER | _MOVES:
            return tuple(dict.fromkeys(found))
        node = users[0]
        if node.op in _EVERY_NUMBER:
            others = [name for name in node.inputs if name and name != tensor]
            if not others or not all(name in graph.constants for name in others):
                return tuple(dict.fromkeys(found))
            found.append(node.op)
        tensor = node.output


def _prepared(rule: PixelRule, stated: Preprocessing, bytes_in: bool, where: str) -> PixelRule:
    """The rule of a network for which that is stated.

    The range becomes what pixels become, so that no picture leaves it.

    Raises:
        UsageError: it contradicts the range that the network states, or its channels.
    """
    if layout_of(rule.shape) is None:
        raise UsageError(f"{where}: the network takes {list(rule.shape)}, which is no image")
    if not stated.states_values:
        return replace(rule, preprocessing=stated)
    try:
        low, high = stated.limits(rule.channels)
    except InputError as error:
        raise UsageError(f"{where}: {error}") from error
    gives = f"{where}: gives numbers from {low:.4g} to {high:.4g}"
    if bytes_in and (low, high) != (0, 255):
        raise UsageError(f"{gives}, and the network takes whole numbers 0..255 (uint8)")
    slack = _ROUNDED * (rule.range[1] - rule.range[0])
    if rule.known and not (rule.range[0] - slack <= low and high <= rule.range[1] + slack):
        ends = f"[{rule.range[0]:g}, {rule.range[1]:g}]"
        raise UsageError(
            f"{gives}, and the network states the range {ends}: it scales by itself, or one of the "
            "two is wrong"
        )
    return PixelRule(rule.shape, (low, high), True, stated)
