"""One certificate against one model: what the obligations look at, each part computed once."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from functools import cached_property

from protoproof.certificate.partition import Part
from protoproof.certificate.reader import read_certificate
from protoproof.certificate.schema import Core, IntervalEvidence, ReachDomain
from protoproof.kernel.arithmetic.outward import Array
from protoproof.kernel.latent.domain import Region
from protoproof.kernel.latent.margins import Margin
from protoproof.kernel.latent.measurement import Latent
from protoproof.kernel.latent.witness import decode_float32
from protoproof.kernel.model.file import BoundHead, ModelFile
from protoproof.kernel.model.head import Head


class Case:
    """The properties raise what is wrong with their part; the obligation about it reports that.

    ``margins``, ``necessary``, ``at_least``, ``contrasts`` and ``parts`` (per part of a region, the
    ends [L, D] of its box of latents) are filled by the obligations that establish them.
    """

    def __init__(
        self,
        certificate: bytes,
        model: ModelFile,
        input_sha256: str | None,
        allow_declared: bool,
    ) -> None:
        self.certificate = certificate
        self.allow_declared = allow_declared
        self.model = model
        self.input_sha256 = input_sha256
        self.margins: list[Margin] = []
        self.necessary: list[int] = []
        self.at_least = 0
        self.contrasts: list[tuple[int, int]] = []
        self.parts: list[tuple[Array, Array]] = []

    @cached_property
    def core(self) -> Core:
        """The claim and its proof.

        Raises:
            CertificateError: the bytes are not a certificate.
        """
        return read_certificate(self.certificate).core

    @cached_property
    def bound(self) -> BoundHead:
        """The head, as the checker reads it from the model's bytes.

        Raises:
            CertificateError, DescriptionError, ModelError: see :meth:`ModelFile.bound`.
        """
        return self.model.bound(self.core.model.description)

    @property
    def head(self) -> Head:
        """The head's exact numbers."""
        return self.bound.head

    @cached_property
    def region(self) -> Region:
        """The domain.

        Raises:
            CertificateError: see :class:`Region`.
        """
        return Region(self.core.domain, self.head.location_count, self.head.channels)

    @cached_property
    def latent(self) -> Latent:
        """The recorded latent with its exact measurements.

        Raises:
            CertificateError: it is not L x D finite float32 values.
        """
        count = self.head.location_count * self.head.channels
        return Latent(self.head, decode_float32(self.core.instance.latent, count))

    def proofs(self) -> Iterator[tuple[str, Core, Region]]:
        """What has to be proved, each with a name: the claim over its domain, or over every part.

        A part is the same claim over its own box of latents (see ``parts``), with its own evidence.
        """
        if not self.core.parts:
            yield "", self.core, self.region
            return
        leaves = [node for node in self.core.parts if isinstance(node, Part)]
        for number, (leaf, ends) in enumerate(zip(leaves, self.parts, strict=True)):
            evidence = IntervalEvidence()
            if leaf.evidence is not None:
                evidence = self.core.part_evidence[leaf.evidence]
            low, high = (base64.b64encode(end.astype("<f8").tobytes()).decode() for end in ends)
            domain = ReachDomain(lower=low, upper=high, source="walked")
            core = self.core.model_copy(update={"domain": domain, "evidence": evidence})
            region = Region(domain, self.head.location_count, self.head.channels)
            yield f"part {number}: ", core, region
