"""Obligations 10 to 12: latents of the domain that lose, and what they show.

Under a region of inputs the domain is what interval propagation found, not the larger box that is
stated (see :class:`Domains`).
"""

from __future__ import annotations

from collections.abc import Generator

from protoproof.certificate.input_region import KeptRegion
from protoproof.certificate.schema import Core, ReachDomain
from protoproof.errors import CertificateError
from protoproof.kernel.budget import OPERATION, current, rounds
from protoproof.kernel.claims import AtLeast, Necessary, NecessaryTile
from protoproof.kernel.latent.measurement import Latent
from protoproof.kernel.model.file import BoundHead
from protoproof.kernel.rule import (
    Contrasted,
    Domains,
    Established,
    Examination,
    IncompleteError,
    Question,
    Witnessed,
)


def witnesses(asked: Question, known: Established) -> Examination[Witnessed]:
    """10. Every witness meets all facts but its own, lies in the domain, and certainly loses; and
    so does every input that shows a kept tile to be necessary.

    Raises:
        IncompleteError: the encoder cannot be walked at such an input.
    """
    tiles = yield from _tiles(asked, known)
    facts = yield from _facts(known)
    return Witnessed(facts, tiles)


def _tiles(asked: Question, known: Established) -> Generator[str, None, tuple[NecessaryTile, ...]]:
    core = known[Core]
    if not core.released:
        return ()
    from protoproof.kernel.encoder.released import Releases
    from protoproof.kernel.encoder.step import ReplayError

    region = core.domain.region if isinstance(core.domain, ReachDomain) else None
    if not isinstance(region, KeptRegion) or core.facts:
        yield "released tiles: the claim is not that the kept tiles of a region force the class"
        return ()
    releases, found = Releases(core, region, asked.model.graph, known[BoundHead]), {}
    for index, each in enumerate(rounds(core.released, len(core.released), "a released tile")):
        if each.tile not in region.kept or each.tile in found:
            yield f"released tile {index}: the region does not keep it, or it is a second one"
        elif each.rival not in core.rivals:
            yield f"released tile {index}: class {each.rival} is not a rival"
        else:
            found[each.tile] = NecessaryTile(each.tile, each.rival)
            try:
                complaints = list(releases.complaints(each))
            except ReplayError as error:
                raise IncompleteError(f"the encoder cannot be walked: {error}") from error
            yield from (f"released tile {index}: {text}" for text in complaints)
    return tuple(found[tile] for tile in sorted(found))


def _facts(known: Established) -> Generator[str, None, tuple[Necessary, ...]]:
    core, latent = known[Core], known[Latent]
    if not core.witnesses:
        return ()
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
    return tuple(found[fact] for fact in sorted(found))


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
