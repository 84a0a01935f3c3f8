"""What a page says about a network: as what its head is read, and what nobody states about it."""

from __future__ import annotations

from protoproof.explanation.quantities import Quantities
from protoproof.network import Network
from protoproof.network.head import words
from protoproof.report.page.page import PageModel


def page_model(network: Network) -> PageModel:
    """The network of a page."""
    about, head = network.about, network.head
    rows = [("Producer", about.producer)] if about.producer else []
    low, high = network.input_range
    values = f"from {low:g} to {high:g}"
    if not network.range_stated:
        values = "no range stated: numbers taken as given"
    rows.append(("Input values", values))
    if network.pixels.text:
        rows.append(("Preprocessing", f"as stated: {network.pixels.text}"))
    if network.pixels.against:
        rows.append(("Contradicted", f"by the model: {network.pixels.against}"))
    if not about.classes_stated:
        rows.append(("Class names", "none stated: classes are numbered"))
    normal = [(name, text) for name, text in words.parts(network.recognised, network.latent_range)]
    return PageModel(
        name=about.name,
        sha256=network.sha256,
        grid=head.grid if drawn(network) else None,
        about=tuple(rows),
        head=tuple(normal),
        noun=Quantities(head).noun,
        unplaced=_unplaced(network),
        signal=len(network.input_shape) == 2,
        file=network.path.name,
    )


def drawn(network: Network) -> bool:
    """Whether locations lie over the input as cells of a grid lie over a picture.

    Both axes of an image, or the one axis of a signal; not tokens of an image, and not several
    latents at once.
    """
    rows, columns = network.head.grid
    if len(network.recognised.cuts) > 1 or columns == 1:
        return False
    return rows > 1 if len(network.input_shape) == 3 else rows == 1


def _unplaced(network: Network) -> str:
    """Why no part of the input is shown; empty where parts are, or where all of it is seen."""
    if network.head.grid == (1, 1) or None not in network.receptive_fields:
        return ""
    return (
        "Which part of the input a location sees is not shown: by the graph, it may be all of it."
    )
