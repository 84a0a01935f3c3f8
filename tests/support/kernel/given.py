"""Heads of every kind, given to the checker as if a graph had been read."""

from __future__ import annotations

from protoproof.certificate.canonical import canonical_bytes
from protoproof.certificate.schema import Core, Envelope
from protoproof.kernel import CheckReport, ModelFile, check
from protoproof.kernel.model.file import BoundHead
from tests.support.kernel.algebra import COUNT, Made, tight_activation


class Read(BoundHead):
    """A head as if a graph had been read."""

    def __init__(self, here: Made, latents: tuple[str, ...], output: str) -> None:
        kind = here.kind.domain
        self.head, self.inputs, self.latents, self.output = here.head, ("input",), latents, output
        self.latent_operator = "Some"
        self.cuts = ()  # no tensors of a graph
        self.first_output = ""
        self.evaluated = None
        self.kept = {}
        self.latent_range = {"box": ((0, 1), (1, 1)), "half": ((0, 1), None)}.get(kind)
        self.normalised = kind if kind in ("sphere", "ball", "simplex") else ""


class Given(ModelFile):
    """A model file whose head is known."""

    def __init__(self, here: Made) -> None:
        super().__init__(b"")
        self.sha256 = "0" * 64
        self._here = here

    def bound(self, latents: tuple[str, ...], output: str, *, whole: bool = False) -> BoundHead:
        return Read(self._here, latents, output)


def report_of(here: Made, core: Core) -> CheckReport:
    """What the checker says of a certificate about the head."""
    return check(canonical_bytes(Envelope(core=core)), Given(here))


def honest(here: Made) -> Core:
    """All pooled values, as exactly as float64 states them."""
    exact = here.exact
    facts = tuple(tight_activation(exact, j) for j in range(COUNT))
    return here.core(facts).model_copy(update={"premises": "exact"})
