"""Obligations 10 to 12: latents of the domain that lose, and what they show.

Under a region of inputs the domain is what interval propagation found, not the larger box that is
stated (see :class:`Domains`).
"""

from __future__ import annotations

from protoproof.certificate.schema import Core
from protoproof.errors import CertificateError
from protoproof.kernel.budget import OPERATION, current
from protoproof.kernel.claims import AtLeast, Necessary
from protoproof.kernel.latent.measurement import Latent
from protoproof.kernel.rule import (
    Contrasted,
    Domains,
    Established,
    Examination,
    Question,
    Witnessed,
)


def witnesses(_: Question, known: Established) -> Examination[Witnessed]:
    """10. Every witness meets all facts but its own, lies in the domain, and certainly loses."""
    core, latent = known[Core], known[Latent]
    if not core.witnesses:
        return Witnessed(())
    from protoproof.kernel.latent.witness import witness_complaints

    where = known[Domains].among()
    current().afford(
        "all witnesses",
        8 * OPERATION * len(core.witnesses) * (latent.head.prototype_count + len(core.facts)),
    )
    found: dict[int, Necessary] = {}
    for index, witness in enumerate(core.witnesses):
        if witness.fact >= len(core.facts) or witness.fact in found:
            yield f"witness {index}: no such fact, or a second witness for it"
        elif witness.rival not in core.rivals:
            yield f"witness {index}: class {witness.rival} is not a rival"
        else:
            found[witness.fact] = Necessary(witness.fact, witness.rival)
            try:
                complaints = list(witness_complaints(core, where, latent, witness))
            except CertificateError as error:
                complaints = [str(error)]
            yield from (f"witness {index} (fact {witness.fact}): {text}" for text in complaints)
    return Witnessed(tuple(found[fact] for fact in sorted(found)))


def size(_: Question, known: Established) -> Examination[AtLeast | None]:
    """11. The size bound, if there is one, is proved: every refutation loses, every tree holds."""
    core = known[Core]
    if core.size_bound is None:
        return None
    from protoproof.kernel.latent.size import size_bound

    count = size_bound(core, known[Domains].among(), known[Latent])
    if count > len(core.facts):
        yield (
            f"contradiction: {len(core.facts)} facts are stated, and every explanation is "
            f"proved to have at least {count}"
        )
    return AtLeast(count) if count else None


def contrast(_: Question, known: Established) -> Examination[Contrasted]:
    """12. Every contrast lies in the domain and is certainly predicted as its class."""
    yield from ()
    if not known[Core].contrasts:
        return Contrasted()
    from protoproof.kernel.latent.contrast import contrasts

    return Contrasted(tuple(contrasts(known[Core], known[Domains].among(), known[Latent])))
