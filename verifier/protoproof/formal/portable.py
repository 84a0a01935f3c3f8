"""What a page carries so that a browser proves its claim again: statement, proof, kernel."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from pathlib import Path

from protoproof.certificate.schema import Core
from protoproof.errors import CertificateError
from protoproof.formal.program import beyond
from protoproof.formal.proof import proof
from protoproof.formal.script import NotCoveredError
from protoproof.kernel.budget import Budget, OutOfBudgetError
from protoproof.kernel.conditions import conditions
from protoproof.kernel.model.file import ModelFile
from protoproof.kernel.statement import digest, part_boxes, stated_head, write

_SCRIPT = Path(__file__).parent / "browser" / "kernel.js.gz"


@dataclass(frozen=True)
class PortableProof:
    """A claim with its proof, as the machine-checked kernel takes them.

    Attributes:
        statement: what is claimed; empty where the claim has no statement.
        proof: of everything that the kernel knows of it; empty where it is not covered.
        reason: why it is not, or empty.
        witnesses: how many facts the proof shows to be necessary.
        beyond: what the certificate claims besides, or rests on, and the kernel does not know.
    """

    statement: str
    proof: str
    reason: str
    witnesses: int
    beyond: tuple[str, ...]

    @property
    def sha256(self) -> str:
        """The statement's; empty where there is none."""
        return digest(self.statement) if self.statement else ""


def portable_proof(core: Core, model: ModelFile, *, proved: bool = True) -> PortableProof:
    """Statement and proof of what an accepted certificate claims.

    Args:
        core: what it claims, with its evidence.
        model: the network.
        proved: whether the proof is wanted too.

    Raises:
        DescriptionError, ModelError: the model cannot be read.
    """
    text, evidence, reason = "", "", ""
    with Budget().active():
        try:
            bound = stated_head(core, model)
            parts = part_boxes(core, bound, model)
            text = write(core, bound, parts)
            if proved:
                evidence = proof(core, bound.head, parts=parts)
        except NotCoveredError as error:
            reason = str(error)
        except (CertificateError, OutOfBudgetError) as error:
            reason = str(NotCoveredError(str(error)))
    more = beyond(core) + conditions(core)
    return PortableProof(text, evidence, reason if proved else "", len(core.witnesses), more)


def kernel_script() -> str:
    """The kernel in JavaScript: see ``verifier/formal/page.ml``."""
    return gzip.decompress(_SCRIPT.read_bytes()).decode("ascii")
