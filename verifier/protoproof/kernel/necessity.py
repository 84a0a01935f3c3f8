"""Obligations 10 to 12: latents of the domain that lose, and what they show; and which facts the
others do without.

Under a region of inputs the domain is what interval propagation found, not the larger box that is
stated (see :class:`Domains`).
"""

from __future__ import annotations

from collections.abc import Generator

from protoproof.certificate.input_region import KeptRegion
from protoproof.certificate.schema import Core, ReachDomain
from protoproof.errors import CertificateError
from protoproof.kernel.budget import OPERATION, current, rounds
from protoproof.kernel.claims import AtLeast, Necessary, NecessaryTile, Superfluous
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
    so does every input that shows a kept tile to be necessary. Without a fact that is called
    superfluous the others certainly suffice.

    Raises:
        IncompleteError: the encoder cannot be walked at such an input, or some margin is not proved
            without such a fact.
    """
    tiles = yield from _tiles(asked, known)
    facts = yield from _facts(known)
    spare = yield from _superfluous(known)
    both = {claim.fact for claim in facts} & {claim.fact for claim in spare}
    yield from (f"contradiction: fact {i} is necessary, and superfluous" for i in sorted(both))
    return Witnessed(facts, tiles, spare)


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


def _superfluous(known: Established) -> Generator[str, None, tuple[Superfluous, ...]]:
    """Each entry is the certificate's own claim about one fact less, with evidence of its own.

    The rules of obligations 7 and 8 prove it: they are sound for whatever facts they are given,
    and true at the recorded latent these are (6), all or all but one. Over the reals: level F is
    claimed of all facts alone.
    """
    core, latent, where = known[Core], known[Latent], known[Domains].stated
    if not core.superfluous:
        return ()
    if core.parts:
        yield "superfluous facts: the claim is proved part by part"
        return ()
    from protoproof.kernel.latent.bounds import Bounds
    from protoproof.kernel.sufficiency import evidence_complaints, margins_over

    found: dict[int, Superfluous] = {}
    listed = rounds(core.superfluous, len(core.superfluous), "a superfluous fact")
    for index, each in enumerate(listed):
        if each.fact >= len(core.facts) or each.fact in found:
            yield f"superfluous fact {index}: no such fact, or it is listed twice"
            continue
        found[each.fact] = Superfluous(each.fact)
        others = (*core.facts[: each.fact], *core.facts[each.fact + 1 :])
        rest = core.model_copy(update={"facts": others, "evidence": each.evidence})
        complaints = list(evidence_complaints(latent.head, rest, where))
        yield from (f"superfluous fact {index}: {text}" for text in complaints)
        if complaints:
            continue
        with current().scope():  # one after the other
            bounds = Bounds(latent.head, rest, where)
            margins = margins_over(latent.head, rest, where, bounds).values()
        open_ = [margin.rival for margin in margins if margin.sign != 1]
        if open_:
            raise IncompleteError(
                f"superfluous fact {index}: without fact {each.fact} {len(open_)} margins are not "
                f"proved, the first over class {open_[0]}"
            )
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
