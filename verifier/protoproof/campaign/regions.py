"""Regions of inputs around the instances of a campaign: which, and what came of each.

Torch is loaded where a region is made, not where results about one are read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from pydantic import TypeAdapter

from protoproof.campaign.record import HeadKey, Limits, State, key_of, settled, versions
from protoproof.certificate.input_region import InputRegion
from protoproof.errors import InputError, UsageError
from protoproof.kernel.encoder.input_region import describe
from protoproof.network import Network
from protoproof.network.onnx.node import printable
from protoproof.prover.latent.domain import bounding_name, domain_from_name

if TYPE_CHECKING:
    from protoproof.region.sets.region import Region

# Regions that lie around any input and that one certificate states: not boxes, which have a place
# of their own, and not shifts, which are several images.
KINDS = ("linf", "l2", "occlude", "brightness", "contrast")
_STATEMENTS: TypeAdapter[InputRegion] = TypeAdapter(InputRegion)


@dataclass(frozen=True)
class RegionRecord:
    """Whether the prediction of one instance is the same over one region around it.

    Attributes:
        key: under which the result is found again.
        state: as for an explanation; ``proved`` only with a certificate that was accepted.
        reason: why it is not proved, or empty.
        predicted: class of the instance itself, or None.
        method: the bounds that proved it, or None.
        certificate: sha256 of the certificate's file, or None.
        counterexample: sha256 of the file with an input that is predicted otherwise, or None.
        instead: the class of that input, or None.
        limit: the limit that was exceeded (seconds or megabytes), else None.
    """

    key: str
    state: State
    reason: str = ""
    predicted: int | None = None
    method: str | None = None
    certificate: str | None = None
    counterexample: str | None = None
    instead: int | None = None
    limit: float | None = None

    def settled(self, limits: Limits) -> bool:
        """See :func:`protoproof.campaign.record.settled`."""
        return settled(self, limits)


def wording(names: Sequence[str], network: Network, option: str = "--region") -> dict[str, str]:
    """Per region as users write it, the words that a certificate about it has to use.

    Args:
        names: the regions.
        network: the network.
        option: the option that named them, for what is refused.

    Raises:
        UsageError: no region, a kind that a campaign cannot use, or one named twice.
    """
    if not names:
        return {}
    from protoproof.region.sets.statement import statement

    found: dict[str, str] = {}
    middle = np.full(network.input_shape, np.float32(sum(network.input_range) / 2), np.float32)
    for name in names:
        region = region_at(name, middle, network, option)
        said = statement(region)
        if said is None:
            raise UsageError(f"{option} {name}: no certificate can state it")
        text = describe(_STATEMENTS.validate_python(said))
        if text in found.values():
            raise UsageError(f"{option} {name}: given twice; leave one out")
        found[name] = text
    return found


def domain_words(name: str, network: Network) -> str:
    """The words that a certificate about a domain of latents has to use.

    Raises:
        UsageError: see :func:`wording`; no such domain, or one that the network does not guarantee.
    """
    if ":" in name:
        return wording([name], network, "--domain")[name]
    word = bounding_name(name, network.latent_range, network.head.geometry)
    domain_from_name(word, network.latent_range, network.head.channels)
    return word


def region_at(name: str, x: np.ndarray, network: Network, option: str = "--region") -> Region:
    """The region around an input.

    Raises:
        UsageError: malformed, or a kind that a campaign cannot use.
    """
    if name.partition(":")[0] not in KINDS:
        raise UsageError(
            f"{option} {printable(name, 60)!r}: a campaign takes linf:R, l2:R, brightness:R, "
            "contrast:R, occlude:ROW,COLUMN,HEIGHT,WIDTH or occlude:ROW,COLUMN,RADIUS"
        )
    from protoproof.region.sets.syntax import parse_region

    try:
        return parse_region(name, x, network.input_shape, network.input_range)
    except InputError as error:  # the centre is no user's input: the region itself is wrong
        raise UsageError(f"{option} {printable(name, 60)}: {error}") from error
    except UsageError as error:
        raise UsageError(str(error).replace("--region", option)) from error


def lies_in(x: np.ndarray, name: str, centre: np.ndarray, network: Network) -> bool:
    """Whether an input lies in a region around another; a change of light, but for rounding.

    A member of a brightness family is in general no float32 image, so its rounding is looked for in
    the boxes that cover the family.
    """
    region = region_at(name, centre, network)
    if region.inside(x):
        return True
    half = np.spacing(np.float32(max(map(abs, network.input_range))))
    return region.kind == "brightness" and any(
        bool(((box.lower - half <= x) & (x <= box.upper + half)).all()) for box in region.cover()
    )


def region_key(
    head: HeadKey,
    instance: str,
    text: str,
    made_with: Mapping[str, str] | None = None,
) -> str:
    """sha256 over everything that a result over a region depends on.

    Args:
        head: which head of which network is certified.
        instance: sha256 of the input tensor.
        text: the region's words; two spellings of one region share results.
        made_with: the versions that it was made with; those at hand by default.
    """
    return key_of("region", made_with or versions(), head, instance, text)
