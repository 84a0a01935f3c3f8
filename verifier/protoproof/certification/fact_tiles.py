"""Which tiles each fact of an explanation needs: with these as they are, it holds for every rest.

A fact about one location needs at most the tiles that the location sees (by the graph); others
start with all tiles. From there tiles are freed, as many at once as our interval walk over the
region allows. An interval of a larger region contains that of a smaller one, so a tile that cannot
be freed now never can: what is left is minimal for these intervals. They are not exact, so that
fewer tiles may do.

The region in which the tiles of all facts stay lies in every fact's own: there all facts hold, and
as they force the class, all of it has it. That is one certificate. The checker is also asked about
every fact's own region; where it does not follow, the fact gets the tiles of all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from protoproof.certificate.schema import ActivationFact, CeilingFact, Core, Fact, PairFact
from protoproof.certification.holding import unheld
from protoproof.certification.invariance import require_about
from protoproof.certification.keeping import Flags
from protoproof.certification.task import StageProof, Task
from protoproof.errors import BoundsError
from protoproof.network import Network
from protoproof.region.bounds.interval import LatentBox, encoder_bounds
from protoproof.region.bounds.latent_bounds import widened
from protoproof.region.bounds.margins import measurement_ends
from protoproof.region.sets.kept import Kept
from protoproof.region.sets.occlusion import image_planes
from protoproof.verdict import Verdict, unknown
from protoproof.wording import plural

if TYPE_CHECKING:
    from protoproof.certification.stages import Stages

_ROUNDING = 1e-5  # of a measurement: the room that a fact gets which says one value
_AT_ONCE = 64  # boxes
Excess = Float[NDArray[np.float64], " box"]


@dataclass(eq=False)
class FactSearch:
    """One search.

    Attributes:
        region: the tiles, the input, and how far the rest may move; no tile stays yet.
        propagations: how many boxes were bounded so far.
    """

    network: Network
    region: Kept
    task: Task
    propagations: int = field(default=0, init=False)

    def roomy(self, core: Core) -> Core:
        """The explanation with room for rounding in facts that our bounds need it for even at the
        input, such as those that say one value; as it is where there is none.

        What rests on the stated values is left out where they change.
        """
        here = [np.ones(self.region.count, dtype=bool)]
        facts = tuple(
            fact if self._excess(fact, here)[0] <= 0 else _with_room(fact) for fact in core.facts
        )
        if facts == core.facts:
            return core
        changed = {"witnesses": (), "size_bound": None, "contrasts": (), "premises": "interval"}
        return core.model_copy(update=changed | {"facts": facts})

    def needed(self, fact: Fact) -> Flags | None:
        """Per tile, whether it stays for a fact; None where even the input alone is too wide."""
        kept = self._seen(fact)
        if self._excess(fact, [kept])[0] > 0:
            kept = np.ones_like(kept)
            if self._excess(fact, [kept])[0] > 0:
                return None
        rest = np.flatnonzero(kept)
        while len(rest) and not self.task.late:
            alone = self._excess(fact, [_without(kept, rest[k : k + 1]) for k in range(len(rest))])
            order = rest[np.argsort(alone, kind="stable")][: int((alone <= 0).sum())]
            if not len(order):
                break
            count = self._most(fact, kept, order)
            kept = _without(kept, order[:count])
            rest = order[count:]
        return kept

    def _most(self, fact: Fact, kept: Flags, order: NDArray[np.int64]) -> int:
        """How many of the first tiles can be freed together; the first one can."""
        good, bad = 1, len(order) + 1
        tried = len(order)
        while bad - good > 1:
            if self._excess(fact, [_without(kept, order[:tried])])[0] <= 0:
                good = tried
            else:
                bad = tried
            tried = (good + bad) // 2
        return good

    def _seen(self, fact: Fact) -> Flags:
        """The tiles that a fact can depend on, by the graph."""
        every = np.ones(self.region.count, dtype=bool)
        (seen, *more) = self.network.graph_fields
        if not isinstance(fact, PairFact) or seen is None or more:
            return every
        place = divmod(fact.location, self.network.head.grid[1])
        inside = np.zeros(self.region.centre.shape, dtype=bool)
        view = image_planes(self.region, inside)
        (top, bottom), (left, right) = (
            (max(start + at * stride, 0), max(start + at * stride + size, 0))
            for start, at, stride, size in zip(
                seen.start, place, seen.stride, seen.size, strict=True
            )
        )
        view[:, top:bottom, left:right] = True
        return np.isin(np.arange(self.region.count), self.region.tiles[inside])

    def _excess(self, fact: Fact, kept: Sequence[Flags]) -> Excess:
        """How far what a fact bounds may leave its interval, if these tiles stay; <= 0: it holds.

        Raises:
            BoundsError: the walk fails.
        """
        found = []
        for start in range(0, len(kept), _AT_ONCE):
            some = kept[start : start + _AT_ONCE]
            covers = [
                self.region.keeping(tuple(np.flatnonzero(k).tolist())).cover()[0] for k in some
            ]
            self.propagations += len(covers)
            box = encoder_bounds(self.network, covers)
            wide = LatentBox(*widened(box.lower, box.upper))
            low, high = measurement_ends(self.network.head, wide)
            found.append(_excess(fact, low, high))
        return np.concatenate(found)


def _excess(fact: Fact, low: NDArray[np.float64], high: NDArray[np.float64]) -> Excess:
    if isinstance(fact, CeilingFact):
        below = np.delete(low.min(axis=1), list(fact.exempt), axis=1)
        return np.asarray((float.fromhex(fact.bound) - below).max(axis=1, initial=-np.inf))
    if isinstance(fact, ActivationFact):
        least, most = (end.min(axis=1)[:, fact.prototype] for end in (low, high))
    else:
        least, most = (end[:, fact.location, fact.prototype] for end in (low, high))
    lower, upper = float.fromhex(fact.lower), float.fromhex(fact.upper)
    return np.asarray(np.maximum(lower - least, most - upper))


def _without(kept: Flags, tiles: NDArray[np.int64]) -> Flags:
    less = kept.copy()
    less[tiles] = False
    return less


def _with_room(fact: Fact) -> Fact:
    """A fact that says a little less."""
    if isinstance(fact, CeilingFact):
        bound = float.fromhex(fact.bound)
        return fact.model_copy(update={"bound": (bound - _ROUNDING * (1 + abs(bound))).hex()})
    lower, upper = float.fromhex(fact.lower), float.fromhex(fact.upper)
    room = _ROUNDING * (1 + abs(lower + upper) / 2)
    return fact.model_copy(update={"lower": (lower - room).hex(), "upper": (upper + room).hex()})


def prove_facts(
    stages: Stages, region: Kept, task: Task, core: Core
) -> tuple[StageProof | Verdict, Kept, tuple[tuple[int, ...], ...], int]:
    """Tiles for every fact, the region of all of them, and the proof that the facts hold there.

    Also returns how many boxes were bounded.

    Raises:
        InputError: the certificate is about another model or input.
    """
    require_about(core, stages.network, task.observation)
    search = FactSearch(stages.network, region, task)
    with task.log.stage("search tiles") as say:
        try:
            core = search.roomy(core)
            found = [search.needed(fact) for fact in core.facts]
        except BoundsError as error:
            say(str(error))
            return unknown(f"bounds: {error}"), region, (), search.propagations
        say(f"{plural(len(found), 'fact')}, {plural(search.propagations, 'box', 'boxes')} bounded")
    each = [k for k in found if k is not None]
    if len(each) < len(found):
        reason = "explanation: a fact does not hold even at the input, for all our bounds say"
        return unknown(reason), region, (), search.propagations
    every = np.any(each, axis=0) if each else np.zeros(region.count, dtype=bool)
    union = region.keeping(tuple(np.flatnonzero(every).tolist()))
    asked = replace(task, options=replace(task.options, keep=None, explanation=core))
    proof = stages.prove(union, asked)
    if not isinstance(proof, StageProof):
        verdict = proof if isinstance(proof, Verdict) else unknown("explanation: refuted")
        return verdict, region, (), search.propagations
    with task.log.stage("facts one by one") as say:
        tiles = _confirmed(stages, region, core, each, union)
        say(f"{sum(own != union.kept for own in tiles)} of {len(tiles)} need fewer than all")
    return proof, union, tiles, search.propagations


def _confirmed(
    stages: Stages, region: Kept, core: Core, each: Sequence[Flags], union: Kept
) -> tuple[tuple[int, ...], ...]:
    """Per fact its tiles, where the checker says that they do; else those of all facts."""
    own = [tuple(np.flatnonzero(kept).tolist()) for kept in each]
    groups: dict[tuple[int, ...], list[Fact]] = {}
    for kept, fact in zip(own, core.facts, strict=True):
        groups.setdefault(kept, []).append(fact)
    good = {
        kept
        for kept, facts in groups.items()
        if kept == union.kept
        or not unheld(stages.explainer, core, region.keeping(kept), tuple(facts))
    }
    return tuple(kept if kept in good else union.kept for kept in own)
