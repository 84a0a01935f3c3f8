"""What lies outside of the boxes on a page, in words and as data; see ``certification.outside``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from protoproof.certificate.schema import CeilingFact, Core, PairFact
from protoproof.errors import UsageError
from protoproof.explanation.explainer import Explainer
from protoproof.network import Network
from protoproof.network.layout import planes
from protoproof.report.page.facts import place_words, prototype_words, range_words
from protoproof.report.page.page import PageList, PageNote
from protoproof.report.page.reading import Reading, recorded_reading, said_fields
from protoproof.wording import plural

if TYPE_CHECKING:  # regions need torch, and explaining does not
    from protoproof.certification.outside import Outside, Shown


def require_boxes(network: Network) -> None:
    """Refuse networks for which no page shows a box of pixels.

    Raises:
        UsageError: it says why.
    """
    if planes(np.zeros(network.input_shape)) is None:
        raise UsageError("--outside is about boxes of pixels, and these inputs are no images")
    if not any(network.receptive_fields):
        raise UsageError(
            "--outside: pages of this network show no box, since every location may see all of the "
            "input (see inspect)"
        )


@dataclass(frozen=True)
class OutsideBoxes:
    """The boxes of one page; ``domain`` are the least and the largest value of a pixel."""

    found: tuple[Outside, ...]
    domain: tuple[float, float]

    @classmethod
    def of(cls, explainer: Explainer, x: NDArray[np.float32], core: Core) -> OutsideBoxes:
        """Of every box that the page of an accepted certificate shows."""
        from protoproof.certification.outside import outside

        network = explainer.network
        reading = recorded_reading(network, core)
        found = outside(explainer, x, core, _shown(network, reading, x, core))
        return cls(found, network.input_range)

    def to_json(self, reading: Reading) -> dict[str, Any]:
        """As plain data; ``lower`` and ``upper`` bound what is measured."""
        return {
            "pixels_from": self.domain[0],
            "pixels_to": self.domain[1],
            "boxes": [
                {
                    "fact": each.shown.fact,
                    "location": each.shown.location,
                    "prototype": each.shown.prototype,
                    "box": list(each.shown.box),
                    "pixels_outside": each.pixels,
                    "proved": each.found is not None,
                    "lower": None if each.found is None else float.fromhex(each.found.lower),
                    "upper": None if each.found is None else float.fromhex(each.found.upper),
                    "enters": not each.still,
                    "sentence": _sentence(each, reading),
                }
                for each in self.found
            ],
        }

    def note(self, reading: Reading) -> PageNote:
        """The section of the page and of the terminal's output."""
        title = "What pixels outside of the boxes can do"
        if not self.found:
            return PageNote(title, ("No fact of this explanation is shown in a box.",))
        lines = tuple(_sentence(each, reading) for each in self.found)
        return PageNote(title, tuple(self._summary()), lists=(PageList("Box by box", lines),))

    def _summary(self) -> Iterator[str]:
        low, high = self.domain
        proved = [each for each in self.found if each.found is not None]
        still = sum(each.still for each in proved)
        count = plural(len(self.found), "fact")
        yield (
            f"For each of {count}, the box that is shown stays as it is, and every pixel outside "
            f"of it shows anything from {low:g} to {high:g}."
        )
        if still:
            yield (
                f"0 for {still} of them: no pixel outside enters what is measured there. The "
                "graph says so (its windows do not reach farther); the checker walked the encoder "
                "over all these inputs and found no more than the rounding of its own arithmetic."
            )
        if len(proved) > still:
            yield (
                f"For {len(proved) - still} of them pixels outside may enter; what is measured "
                "lies between the two numbers below, as the checker's walk of the encoder proves."
            )
        if len(self.found) > len(proved):
            yield f"For {len(self.found) - len(proved)} of them nothing is proved."
        yield (
            "This is about what is measured in the box. A prototype may be seen more strongly "
            "elsewhere. The proof is no part of the certificate: this command finds it again."
        )


def _shown(
    network: Network, reading: Reading, x: NDArray[np.float32], core: Core
) -> Iterator[Shown]:
    """The facts that a page shows in a box, as it does."""
    from protoproof.certification.outside import Shown

    view = planes(x)
    if view is None:
        return
    blank = np.zeros(view.shape[1:], dtype=np.uint8)
    by_graph = replace(reading, fields=said_fields(network.graph_fields))
    for number, fact in enumerate(core.facts):
        if isinstance(fact, CeilingFact):
            continue
        location = _location(fact.prototype, reading)
        if isinstance(fact, PairFact):
            location = fact.location
        box = None if location is None else reading.box(location, blank)
        if location is not None and box is not None:
            yield Shown(number, location, fact.prototype, box, by_graph.box(location, blank))


def _location(prototype: int, reading: Reading) -> int | None:
    return reading.best_location(prototype) if reading.has_place(prototype) else None


def _sentence(each: Outside, reading: Reading) -> str:
    """Such as: Prototype 3 at row 1, column 2: similarity between 0.3 and 4.9, whatever is outside
    of rows 4 to 8 and columns 0 to 4."""
    shown, found = each.shown, each.found
    y0, x0, y1, x1 = shown.box
    where = f"rows {y0} to {y1 - 1} and columns {x0} to {x1 - 1}"
    place = "" if reading.single else f" at {place_words(shown.location, reading)}"
    what = f"{prototype_words(shown.prototype, reading)}{place}"
    if found is None:
        return f"{what}: nothing is proved about {where} ({each.reason})."
    if not each.pixels:
        return f"{what}: 0, the box is the whole input."
    if not each.still:
        return f"{what}: {range_words(found, reading)}, whatever is outside of {where}."
    here = float(reading.measurement[shown.location, shown.prototype]).hex()
    value = found.model_copy(update={"lower": here, "upper": here})
    return f"{what}: 0, no pixel outside of {where} enters; {range_words(value, reading)}."
