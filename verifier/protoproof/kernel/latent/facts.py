"""Whether a fact holds at exact measurements, and whether it is as tight as it claims to be."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from protoproof.certificate.schema import ActivationFact, CeilingFact, Core, Fact, PairFact
from protoproof.kernel.arithmetic.exact import Ratio, grid_ceiling, hex_ratio
from protoproof.kernel.budget import OPERATION, integer, spend
from protoproof.kernel.latent.measurement import Latent, Moved
from protoproof.kernel.latent.value import Value, less, tight, tight_below
from protoproof.kernel.model.head import Head


def malformed(head: Head, facts: Sequence[Fact]) -> Iterator[str]:
    """Complaints about indices and repetitions; facts without any can be evaluated."""
    seen: set[tuple[object, ...]] = set()
    for index, fact in enumerate(facts):
        prototypes = fact.exempt if isinstance(fact, CeilingFact) else (fact.prototype,)
        if any(prototype >= head.prototype_count for prototype in prototypes):
            yield f"fact {index}: prototype out of range"
        if isinstance(fact, PairFact):
            if fact.location >= head.location_count:
                yield f"fact {index}: location out of range"
            elif fact.prototype < head.prototype_count and not head.measures(
                fact.location, fact.prototype
            ):
                yield f"fact {index}: the location is of another bank than the prototype"
        if list(prototypes) != sorted(set(prototypes)):
            yield f"fact {index}: exempt prototypes are not sorted or repeat"
        subject: tuple[object, ...] = (fact.kind,)
        if isinstance(fact, PairFact):
            subject = (fact.kind, fact.location, fact.prototype)
        elif isinstance(fact, ActivationFact):
            subject = (fact.kind, fact.prototype)
        else:
            subject = (fact.kind, fact.bound, fact.exempt)
        if subject in seen:
            yield f"fact {index}: a second fact about the same subject"
        seen.add(subject)


def intervals(facts: Sequence[Fact]) -> dict[tuple[int, int], tuple[Ratio, Ratio]]:
    """By location and prototype, the interval that a pair fact states."""
    return {
        (fact.location, fact.prototype): (hex_ratio(fact.lower), hex_ratio(fact.upper))
        for fact in facts
        if isinstance(fact, PairFact)
    }


def violated(fact: Fact, at: Moved) -> bool:
    """Whether a latent may break a fact; where it does not, the fact holds for certain."""
    if isinstance(fact, CeilingFact):
        bound, exempt = hex_ratio(fact.bound), set(fact.exempt)
        count = at.latent.head.prototype_count
        spend("a ceiling", 8 * count * integer(at.size))
        return any(not at.level(j).at_least(bound) for j in range(count) if j not in exempt)
    value = _subject(fact, at)
    return not (value.at_least(hex_ratio(fact.lower)) and value.at_most(hex_ratio(fact.upper)))


def broken(facts: Iterable[tuple[int, Fact]], at: Moved) -> Iterator[int]:
    """Which facts, numbered and true at v, another latent may break.

    Where prototypes are pooled by the nearest, a ceiling holds if it does at every moved location:
    what did not move is no nearer than the nearest at v, which it holds for. A prototype that is
    above the highest of its ceilings everywhere is above all of them.
    """
    named, head = list(facts), at.latent.head
    highest: dict[int, Ratio] = {}
    local = [(n, f) for n, f in named if isinstance(f, CeilingFact) and head.uniform]
    for _, fact in sorted(local, key=lambda one: float.fromhex(one[1].bound), reverse=True):
        bound, exempt = hex_ratio(fact.bound), set(fact.exempt)
        spend("the ceilings at a witness", OPERATION * head.prototype_count)
        for j in range(head.prototype_count):
            if j not in exempt:
                highest.setdefault(j, bound)
    spend("a ceiling", 8 * (1 + len(at.points)) * len(highest) * integer(at.size))
    tops = [(j, grid_ceiling(bound)) for j, bound in highest.items()]
    all_hold = all(
        at.measurement(location, j).at_least(highest[j])
        for location in at.points
        for j in _open(tops, location, at)
    )
    held = {index for index, _ in local} if all_hold else set()
    yield from (index for index, fact in named if index not in held and violated(fact, at))


def _open(tops: Sequence[tuple[int, int]], location: int, at: Moved) -> list[int]:
    """The prototypes whose measurement at a moved location is not at least a number, over
    ``2**GRID``, as its rounding down says; all that are measured there where none is known."""
    floors = at.points[location].floors
    if floors is not None:
        tops = [(j, top) for j, top in tops if floors[j] < top]
    return [j for j, _ in tops if at.latent.head.measures(location, j)]


def untrue(core: Core, latent: Latent) -> Iterator[str]:
    """Complaints about facts that do not hold at v, or are not exact where they must be."""
    here = Moved(latent, {})
    spend("the facts", 16 * OPERATION * len(core.facts))
    for index, fact in enumerate(core.facts):
        if violated(fact, here):
            yield f"fact {index} ({fact.kind}) is false at the recorded latent"
        elif core.premises == "exact" and not _is_exact(fact, here):
            yield (
                f"fact {index} ({fact.kind}): widened premise; 'exact' premises are the tightest "
                "float64 enclosure of the value at the recorded latent"
            )


def _subject(fact: PairFact | ActivationFact, at: Moved) -> Value:
    if isinstance(fact, PairFact):
        return at.measurement(fact.location, fact.prototype)
    return at.best(fact.prototype)


def _is_exact(fact: Fact, here: Moved) -> bool:
    if isinstance(fact, CeilingFact):
        return _is_exact_bound(fact, here.latent)
    return tight(_subject(fact, here), float.fromhex(fact.lower), float.fromhex(fact.upper))


def _is_exact_bound(fact: CeilingFact, latent: Latent) -> bool:
    """Whether the bound is some prototype's level at v, rounded down to float64."""
    bound, count = float.fromhex(fact.bound), latent.head.prototype_count
    spend("a ceiling", 4 * count * integer(2 * latent.size))
    return any(tight_below(latent.level(j), bound) for j in range(count))


def vocabulary_complaints(core: Core, latent: Latent) -> Iterator[str]:
    """Complaints about facts that the certificate's vocabulary does not have."""
    kinds = [fact.kind for fact in core.facts]
    ceilings = [fact for fact in core.facts if isinstance(fact, CeilingFact)]
    if core.vocabulary == "pairs" and not set(kinds) <= {"pair"}:
        yield "vocabulary 'pairs' has pair facts only"
    if core.vocabulary == "path" and (
        not set(kinds) <= {"activation"} or latent.head.decision.kind != "tree"
    ):
        yield "vocabulary 'path' has activation facts only, about the nodes of a tree"
    if core.vocabulary in ("topk", "ceiling") and ("pair" in kinds or len(ceilings) != 1):
        yield f"vocabulary {core.vocabulary!r} has activation facts and one ceiling"
    elif core.vocabulary == "topk":
        yield from _topk_complaints(core, ceilings[0], latent)


def _topk_complaints(core: Core, ceiling: CeilingFact, latent: Latent) -> Iterator[str]:
    named = sorted(fact.prototype for fact in core.facts if isinstance(fact, ActivationFact))
    if not named or list(ceiling.exempt) != named:
        yield "vocabulary 'topk': the ceiling must exempt exactly the named prototypes"
        return
    last = latent.level(named[0])
    for j in named[1:]:
        if less(last, latent.level(j)):
            last = latent.level(j)
    exempt = set(named)
    others = (j for j in range(latent.head.prototype_count) if j not in exempt)
    if any(less(latent.level(j), last) for j in others):
        yield "vocabulary 'topk': a prototype that is not named is more activated than a named one"
    # a lower bound of levels, so a widened one may only be smaller; claims about size need that
    bound = float.fromhex(ceiling.bound)
    if not last.at_least(hex_ratio(ceiling.bound)) or (
        core.premises == "exact" and not tight_below(last, bound)
    ):
        yield "vocabulary 'topk': the ceiling is not the activation of the last named prototype"
