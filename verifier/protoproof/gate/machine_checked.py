"""What the machine-checked kernel says of a campaign: for policies that ask for it."""

from __future__ import annotations

from dataclasses import dataclass, field

from protoproof.campaign import Row
from protoproof.campaign.recheck import Rechecked
from protoproof.formal import Answer, find_program, verify
from protoproof.formal.reading import find_reader
from protoproof.kernel import ModelFile
from protoproof.network import Network


@dataclass(frozen=True)
class Objection:
    """Why the kernel's word for one certificate is missing; ``final``: it says otherwise."""

    text: str
    final: bool = False


@dataclass
class MachineChecked:
    """Asks the kernel about every accepted certificate of an explanation, from the bytes that were
    accepted.

    Raises:
        UsageError: kernel or second reader are not built; at once, before any work.
    """

    network: Network
    objections: dict[str, Objection] = field(default_factory=dict)

    def __post_init__(self) -> None:
        find_program()
        find_reader()
        self._model = ModelFile(self.network.data, self.network.files)

    def __call__(self, row: Row, found: Rechecked | None) -> None:
        """Look at one row and its certificate; see ``watch`` of :func:`campaign.confirm`."""
        if found is None or not found.accepted or found.content is None:
            return
        objection = _objection(verify(found.content, self._model))
        if objection is not None:
            self.objections[row.key] = objection


def _objection(answer: Answer) -> Objection | None:
    """What is missing in an answer, if anything."""
    reading = answer.reading
    if reading is not None and not reading.confirmed:
        return Objection(str(reading), reading.verdict == "contradicted")
    if not answer.sufficient:
        return Objection(answer.reason or "the kernel found no proof")
    return Objection("; ".join(answer.left)) if answer.left else None
