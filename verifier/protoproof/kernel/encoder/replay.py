"""A region of inputs, walked: whether its latents stay in the stated domain, and where they are."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

from protoproof.certificate.input_region import InputRegion
from protoproof.certificate.schema import Core, ReachDomain
from protoproof.kernel.encoder.hull import Hull
from protoproof.kernel.encoder.input_region import Inputs
from protoproof.kernel.encoder.latents import escapes, outside
from protoproof.kernel.encoder.partition import walked
from protoproof.kernel.latent.bounded import BoundedDomain
from protoproof.kernel.latent.measurement import Latent
from protoproof.kernel.latent.reached import Latents
from protoproof.kernel.model.file import LatentTensor
from protoproof.kernel.model.graph import Graph


@dataclass(frozen=True)
class Reached:
    """What interval propagation over a region finds.

    Attributes:
        box: the least domain around all of it and the recorded latent, for claims of necessity,
            size and contrast: in the larger one that is stated, a latent outside shows nothing.
            None where there is no such claim.
        parts: per part of the region, what its latents meet; None where it holds no input.
    """

    box: BoundedDomain | None
    parts: tuple[Latents | None, ...] = ()


def replayed(
    core: Core, region: InputRegion, graph: Graph, tensor: LatentTensor, latent: Latent
) -> Generator[str, None, Reached]:
    """Complaints, where the region lies around another input, or its latents leave the domain.

    Raises:
        ReplayError: the encoder cannot be walked.
        CertificateError, ModelError: malformed numbers or model.
    """
    domain = core.domain
    if not isinstance(domain, ReachDomain):
        raise TypeError("a region without a reach domain")
    inputs, hull, parts = Inputs(region), Hull(), []
    if inputs.digest != core.instance.input_sha256:
        yield "the region lies around another input than the one with the recorded hash"
    word = "over the region the latent may leave the stated box or bounds at"
    if core.parts:
        for found in walked(core, inputs, graph, tensor):
            parts.append(found)
            if found is not None:
                for place in outside(found.low, found.high, domain):
                    yield f"{word} {place}"
    else:
        for place in escapes(graph, tensor, inputs, domain, hull):
            yield f"{word} {place}"
    box = None
    if core.witnesses or core.size_bound is not None or core.contrasts:
        box = hull.domain(domain, latent.points, 1 << latent.shift)
    return Reached(box, tuple(parts))
