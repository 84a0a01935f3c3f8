"""How small an explanation can be: a lower bound from latents that lose, in integers.

Let E be any set of facts of the certificate's vocabulary, true at the recorded latent, that entails
the prediction. A latent of the domain that loses cannot meet E, so E contains a fact that it
violates. E's facts are at best the tightest float64 enclosures of what was recorded (a wider fact
is violated only where the tight one is), so the violated ones among those are a *clause*: E
contains a fact about one of its subjects.

Ceilings. A ceiling that is true at v bounds by b all prototypes outside a list X. Let m be the
least best measurement at v outside X: then b is at most m rounded down, and everything that
measures less than m is in X. The ceiling that bounds by m, rounded down, and exempts exactly what
measures less therefore implies it. So there are at most P ceilings to consider, numbered by the
rank of m; a losing latent that respects ceiling number t must violate another fact of any E whose
ceiling is implied by number t. Where a vocabulary has any number of ceilings, each of the P is a
fact like others, and those that the latent does not respect belong to its clause.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from protoproof.certificate.schema import Core, Cover, Node, Packing, Refutation
from protoproof.errors import CertificateError
from protoproof.kernel.budget import OPERATION, current, hold, integer, room, spend
from protoproof.kernel.latent.domain import LatentDomain
from protoproof.kernel.latent.margins import loses
from protoproof.kernel.latent.measurement import Latent, Moved
from protoproof.kernel.latent.value import Exact, Value, less, ordered
from protoproof.kernel.latent.witness import departures, materialise

# Splits on one path of a tree.
_DEPTH = 300
# Bytes of a member of a set of integers.
_PER_MEMBER = 100


@dataclass(frozen=True)
class Clause:
    """What a losing latent violates: numbers of facts, and the ceilings that it respects."""

    facts: frozenset[int]
    ceilings: frozenset[int]


def size_bound(core: Core, where: LatentDomain, latent: Latent) -> int:
    """The least number of facts that the certificate's size bound proves; 0 without one.

    Raises:
        CertificateError: a refutation or a tree is wrong.
    """
    if core.size_bound is None:
        return 0
    return concluded(core, clauses(core, where, latent), latent.head.prototype_count)


def clauses(core: Core, where: LatentDomain, latent: Latent) -> list[Clause]:
    """What every refutation of the size bound says, after it was checked.

    Raises:
        CertificateError: one is wrong.
    """
    refutations = () if core.size_bound is None else core.size_bound.refutations
    head = latent.head
    each = head.prototype_count * (head.chain.cost + 4 * _comparison(2 * latent.size))
    current().afford("all refutations", each * len(refutations))
    return [
        _clause(core, where, latent, index, refutation)
        for index, refutation in enumerate(refutations)
    ]


def concluded(core: Core, found: Sequence[Clause], count: int) -> int:
    """The least number of facts that follows from the clauses; ``count`` prototypes.

    Raises:
        CertificateError: there is no size bound, or a tree is wrong.
    """
    if core.size_bound is None:
        raise CertificateError("no size bound")
    covers = core.size_bound.covers
    if core.vocabulary == "topk":
        if covers:
            raise CertificateError("vocabulary 'topk' needs no covers")
        # the named ones are fixed by their number, and there is a ceiling
        return 2 + max((len(clause.ceilings) for clause in found), default=0)
    if core.vocabulary == "ceiling":
        return 1 + min(_over_ceilings(covers, found, count))
    if len(covers) != 1 or covers[0].ceilings is not None:
        raise CertificateError(f"vocabulary {core.vocabulary!r} needs one cover, of all ceilings")
    return _Tree(covers[0].nodes, found).least()


def _over_ceilings(covers: Sequence[Cover], clauses: Sequence[Clause], count: int) -> Iterator[int]:
    """The bound of every cover; together they speak about every ceiling."""
    covered: set[int] = set()
    for cover in covers:
        if cover.ceilings is None or cover.ceilings[0] > cover.ceilings[1]:
            raise CertificateError("a cover about no ceiling")
        first, last = cover.ceilings
        if last >= count:
            raise CertificateError("a cover about ceilings that do not exist")
        here = range(first, last + 1)
        spend("the covers", OPERATION * len(here) * (1 + len(clauses)))
        covered.update(here)
        # a latent says something about explanations whose ceiling it respects
        usable = [clause if clause.ceilings.issuperset(here) else None for clause in clauses]
        yield _Tree(cover.nodes, usable).least()
    if len(covered) != count:
        raise CertificateError("the covers leave out a ceiling")


class _Tree:
    """A case distinction in preorder, with a packing at every leaf."""

    def __init__(self, nodes: Sequence[Node], clauses: Sequence[Clause | None]) -> None:
        self._nodes, self._clauses = iter(nodes), clauses

    def least(self) -> int:
        """The least size over all cases.

        Raises:
            CertificateError: nodes are missing or left over, or a packing is none.
        """
        result = self._case(frozenset(), frozenset())
        if next(self._nodes, None) is not None:
            raise CertificateError("a tree with nodes after its end")
        return result

    def _case(self, inside: frozenset[int], outside: frozenset[int]) -> int:
        node = next(self._nodes, None)
        if node is None:
            raise CertificateError("a tree that ends too early")
        spend("a tree of cases", OPERATION * (16 + len(inside) + len(outside)))
        if isinstance(node, Packing):
            return len(inside) + self._packed(node, inside, outside)
        if node.fact in inside or node.fact in outside:
            raise CertificateError("a tree that splits twice on a fact")
        if len(inside) + len(outside) >= _DEPTH:
            raise CertificateError("a tree that is too deep")
        within = self._case(inside | {node.fact}, outside)
        return min(within, self._case(inside, outside | {node.fact}))

    def _packed(self, node: Packing, inside: frozenset[int], outside: frozenset[int]) -> int:
        """Least number of further facts.

        An explanation E in this case meets every clause, and those used here without any fact of
        ``inside`` or ``outside``. So sum of weights <= sum over E's further facts of what they
        carry <= scale * their number; the sum is rounded up because a number of facts is whole.
        """
        load: dict[int, int] = {}
        total = 0
        for index, weight in node.weights:
            clause = self._clauses[index] if index < len(self._clauses) else None
            if clause is None:
                raise CertificateError(
                    f"a packing uses refutation {index}, which says nothing here"
                )
            if clause.facts & inside:
                raise CertificateError(f"a packing uses refutation {index}, which is met already")
            spend("a packing", OPERATION * (4 + len(clause.facts)))
            total += weight
            for fact in clause.facts - outside:
                load[fact] = load.get(fact, 0) + weight
        if any(weight > node.scale for weight in load.values()):
            raise CertificateError("a packing in which a fact carries more than its scale")
        return -(-total // node.scale)


def _clause(
    core: Core, where: LatentDomain, latent: Latent, index: int, refutation: Refutation
) -> Clause:
    """What one losing latent says, after everything about it was checked."""
    name = f"refutation {index}"
    if refutation.rival not in core.rivals:
        raise CertificateError(f"{name}: class {refutation.rival} is not a rival")
    points = materialise(latent, where, refutation.moves)
    for text in departures(where, latent, points):
        raise CertificateError(f"{name}: {text}")
    moved = latent.moved(points)
    count = latent.head.prototype_count
    spend("a refutation", (len(points) + 4) * count * _comparison(moved.size))
    room("a refutation", _PER_MEMBER * (len(points) + 4) * count)
    moved.need(dict.fromkeys(points, range(count)))
    if not loses(latent.head, core.instance, refutation.rival, moved):
        raise CertificateError(f"{name}: does not certainly lose to class {refutation.rival}")
    violated = frozenset(j for j in range(count) if not _encloses(latent.best(j), moved.best(j)))
    clause = _said(core, latent, moved, violated)
    hold("what the refutations say", _PER_MEMBER * (len(clause.facts) + len(clause.ceilings)))
    return clause


def _said(core: Core, latent: Latent, moved: Moved, violated: frozenset[int]) -> Clause:
    """The clause of a losing latent, which violates the activations in ``violated``."""
    count = latent.head.prototype_count
    match core.vocabulary:
        case "pairs":
            return Clause(frozenset(violated_pairs(latent, moved)), frozenset())
        case "path":
            return Clause(violated, frozenset())
        case "ceiling":
            return Clause(violated, frozenset(_respected(latent, moved)))
        case "topk":
            return Clause(violated, frozenset(range(_refuted_topk(latent, moved, violated))))
        case "mixed":
            # numbers: pairs, then activations, then ceilings
            first = latent.head.location_count * count
            broken = frozenset(range(count)) - frozenset(_respected(latent, moved))
            return Clause(
                frozenset(violated_pairs(latent, moved))
                | {first + j for j in violated}
                | {first + count + number for number in broken},
                frozenset(),
            )


def _comparison(size: int) -> int:
    """Steps of a comparison of a measurement with what was recorded."""
    return 8 * OPERATION + 8 * integer(size, size)


def violated_pairs(latent: Latent, moved: Moved) -> Iterator[int]:
    """Numbers l * P + j of the pair facts, true at v, that another latent violates."""
    count = latent.head.prototype_count
    moved.need(dict.fromkeys(moved.points, range(count)))
    for location in moved.points:
        for j in range(count):
            if latent.head.measures(location, j) and not _encloses(
                latent.measurement(location, j), moved.measurement(location, j)
            ):
                yield location * count + j


def ranked(latent: Latent) -> list[int]:
    """All prototypes by their level at v, the least first."""
    count = latent.head.prototype_count
    spend("the order of prototypes", count * count.bit_length() * _comparison(2 * latent.size))
    return ordered(range(count), latent.level)


def _respected(latent: Latent, moved: Moved) -> Iterator[int]:
    """Numbers of the ceilings that a latent certainly respects."""
    order = ranked(latent)
    above = _least_from(order, moved)
    first = 0
    for number, j in enumerate(order):
        if less(latent.level(order[first]), latent.level(j)):
            first = number  # of those that measure the same, which are all bounded
        if above[first] >= _tightest(latent.level(j))[0]:
            yield number


def _least_from(order: Sequence[int], moved: Moved) -> list[float]:
    """Per place in an order of prototypes, a float64 that is not above any level from there on:
    the largest, but for irrational ones where that stays open.

    So that a float64 bound of all of them is one comparison, not one for each.
    """
    result = [moved.level(j).down() for j in order]
    for place in range(len(result) - 2, -1, -1):
        result[place] = min(result[place], result[place + 1])
    return result


def _refuted_topk(latent: Latent, moved: Moved, violated: frozenset[int]) -> int:
    """The largest k such that a latent meets every top-k explanation of up to k names.

    With m the k-th smallest level: it keeps everything whose level is at most m, and
    brings nothing else below m rounded down. A top-k explanation of k' <= k names is then met: its
    names are kept, and whatever it bounds is either kept, and measured at least as much, or is
    still at least m rounded down, which is no less than its own bound. (Levels whose order is not
    certain count as equal, so that more is kept.)
    """
    order = ranked(latent)
    above = _least_from(order, moved)
    kept = next((place for place, j in enumerate(order) if j in violated), len(order))
    beyond = len(order)  # the first place that measures more than m
    for k in range(len(order), 0, -1):
        last = latent.level(order[k - 1])
        if k < len(order) and less(last, latent.level(order[k])):
            beyond = k
        if kept < beyond:
            continue
        if beyond == len(order) or above[beyond] >= _tightest(last)[0]:
            return k
    return 0


def _encloses(here: Value, value: Value) -> bool:
    """Whether a value certainly lies in the tightest float64 enclosure of what was recorded."""
    if here.same(value):
        return True
    low, high = _tightest(here)
    return value.at_least(low.as_integer_ratio()) and value.at_most(high.as_integer_ratio())


def _tightest(here: Value) -> tuple[float, float]:
    """The ends of the tightest float64 enclosure, or ends further in where those stay open."""
    low, high = here.down(), here.up()
    if isinstance(here, Exact):
        return low, high
    # an end further in is the tightest one wherever the ball does not exclude it
    inner = math.nextafter(low, math.inf), math.nextafter(high, -math.inf)
    return (
        low if here.at_most(inner[0].as_integer_ratio()) else inner[0],
        high if here.at_least(inner[1].as_integer_ratio()) else inner[1],
    )
