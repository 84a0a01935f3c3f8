"""Which tiles of an input have to stay: found in float32, proved by the usual stages, checked.

The answer is about the region in which those tiles stay and every other number moves. It is proved
as any region is; where the proof does not follow the search, tiles that cost most stay, too. What
is added to the certificate are the inputs that show which tiles are necessary.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from protoproof.certificate.canonical import canonical_bytes
from protoproof.certificate.schema import Core, Envelope, Released
from protoproof.certification.fact_tiles import prove_facts
from protoproof.certification.keeping import Flags, Keeping
from protoproof.certification.task import StageProof, Task
from protoproof.errors import BoundsError, InternalError, UnsupportedOperatorError, UsageError
from protoproof.kernel import check
from protoproof.kernel.claims import NecessaryTile
from protoproof.region.bounds.attack import Counterexample, Flip, attack
from protoproof.region.sets.kept import Kept
from protoproof.region.sets.region import LinfBall, Region
from protoproof.verdict import Verdict, unknown
from protoproof.wording import plural

if TYPE_CHECKING:
    from protoproof.certification.stages import Stages

_LESS = 0.9  # of the freed tiles that are tried again where they are not proved
_TRIES = 4


@dataclass(frozen=True, eq=False)
class KeptTiles:
    """Tiles that stay, of ``count``; those in ``necessary`` are shown to be.

    ``pixels``: how many pixels stay. ``propagations``: boxes that the search bounded. ``facts``: of
    an explanation, the tiles with which each of its facts holds, in their order.
    """

    region: Kept
    necessary: tuple[int, ...]
    propagations: int
    facts: tuple[tuple[int, ...], ...] = ()

    @property
    def pixels(self) -> int:
        """Pixels of the kept tiles."""
        from protoproof.region.sets.occlusion import image_planes

        return int(image_planes(self.region, self.region.stays)[0].sum())

    def to_json(self) -> Mapping[str, Any]:
        """As plain data."""
        return {
            "tile": self.region.tile,
            "tiles": self.region.count,
            "kept": list(self.region.kept),
            "pixels": self.pixels,
            "necessary": list(self.necessary),
            "propagations": self.propagations,
            "facts": [list(kept) for kept in self.facts],
        }


def asked(region: Region, tile: int) -> Kept:
    """The region of the question: no tile stays yet.

    Raises:
        UsageError: another kind of region.
    """
    if not isinstance(region, LinfBall):
        raise UsageError(
            "--keep: --region linf:R says how far the rest may move (no less than the width of the "
            "input's domain: anywhere); use linf"
        )
    return Kept(region.centre, region.domain, region.radius, tile, ())


def prove_tiles(
    stages: Stages, region: Kept, task: Task
) -> tuple[StageProof | Verdict, KeptTiles | None]:
    """Few tiles that force the class, with a certificate."""
    wanted, explanation = task.observation.predicted, task.options.explanation
    if explanation is not None and explanation != "region":
        return _of_facts(stages, region, task, explanation)
    with task.log.stage("search tiles") as say:
        try:
            search = Keeping(stages.network, region, wanted, task.deadline)
        except (BoundsError, UnsupportedOperatorError) as error:
            say(str(error))
            return unknown(f"bounds: {error}"), None
        free = search.run()
        bounded = plural(search.propagations, "box", "boxes")
        say(f"{int((~free).sum())} of {len(free)} stay, {bounded} bounded")
    for tries in range(1, _TRIES + 1):
        last = tries == _TRIES or task.late
        if last:
            free[:] = False  # the input alone
        found = region.keeping(tuple(np.flatnonzero(~free).tolist()))
        try:
            proof = stages.along(found, task, search.forms(free))
        except BoundsError as error:
            return unknown(f"bounds: {error}"), None
        if proof is not None:
            flip = _flip(stages, found, task) if task.options.falsify else None
            if flip is not None:
                return unknown(flip.words(stages.network.class_names)), None
            return _shown(stages, proof, found, search, free, task)
        if last:
            break
        free = search.fewer(free, _LESS)
    return unknown("margin: the class at the input itself is not proved"), None


def _of_facts(
    stages: Stages, region: Kept, task: Task, explanation: Core
) -> tuple[StageProof | Verdict, KeptTiles | None]:
    """The tiles of an explanation's facts, with a certificate that all hold."""
    proof, found, facts, propagations = prove_facts(stages, region, task, explanation)
    if not isinstance(proof, StageProof):
        return proof, None
    flip = _flip(stages, found, task) if task.options.falsify else None
    if flip is not None:
        return unknown(flip.words(stages.network.class_names)), None
    return proof, KeptTiles(found, (), propagations, facts)


def _flip(stages: Stages, region: Kept, task: Task) -> Flip | None:
    """An input of the region whose float32 execution says otherwise than what was proved.

    Raises:
        InternalError: real arithmetic says otherwise, too.
    """
    with task.log.stage("falsify") as say:
        wanted, seed = task.observation.predicted, task.options.seed
        found = attack(stages.network, region, wanted, seed=seed, device=stages.device)
        say("nothing found" if found is None else "float32 differs")
    if isinstance(found, Counterexample):
        raise InternalError(f"region {region} is proved and refuted; please report")
    return found


def _shown(
    stages: Stages, proof: StageProof, region: Kept, search: Keeping, free: Flags, task: Task
) -> tuple[StageProof, KeptTiles]:
    """The proof, with inputs that show which tiles are necessary, as far as the checker agrees."""
    with task.log.stage("necessary tiles") as say:
        search.show(free, np.flatnonzero(~free))
        (envelope,), (report,) = proof.certificates, proof.checks
        core = envelope.core
        released = tuple(
            Released(
                tile=tile,
                rival=rival,
                x=base64.b64encode(np.ascontiguousarray(x, dtype="<f4").tobytes()).decode(),
            )
            for tile, (x, rival) in sorted(search.necessary.items())
        )
        if released:
            more = Envelope(
                core=core.model_copy(update={"released": released}), about=envelope.about
            )
            again = check(
                canonical_bytes(more), stages.explainer.model_file, core.instance.input_sha256
            )
            if again.met:
                proof, report = StageProof(proof.method, (more,), (again,)), again
        necessary = tuple(c.tile for c in report.claims if isinstance(c, NecessaryTile))
        say(f"{len(necessary)} of {len(region.kept)} shown by an input")
    return proof, KeptTiles(region, necessary, search.propagations)
