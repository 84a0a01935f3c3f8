"""The second checker for heads of every kind: all geometries, poolings, decisions and domains.

It takes a head as the tests made it (floats that are exact), not the checker's numbers, and forms
every vector in mpmath intervals. What it decides: do the facts hold at the recorded latent, is that
predicted as claimed, and do facts, rows and implied bounds prove every margin over the domain?
Malformed evidence is not its business; tangents and chords are that of ``second_checker``.
"""

from __future__ import annotations

import math
from typing import Any

from mpmath import iv, mp, mpf

from protoproof.certificate.schema import ActivationFact, CeilingFact, Core, PairFact
from tests.support.kernel.algebra import CHANNELS, COUNT, Made, Program
from tests.support.kernel.second_margins import margin

BITS = 400
INFINITE = mp.inf
Pair = tuple[Any, Any]


class RefusedError(Exception):
    """Something is false, or proves nothing."""


def image(program: Program, j: int, first: Any, last: Any) -> Pair:
    """The values of a chain of monotone steps over an interval, one step after the other."""
    for name, constants in program:
        c = iv.mpf(constants[j if len(constants) > 1 else 0]) if constants else None
        first, last = sorted((_step(name, c, first), _step(name, c, last)), key=middle)
    return first, last


def low(value: Any) -> Any:
    return mpf(iv.mpf(value).a)


def high(value: Any) -> Any:
    return mpf(iv.mpf(value).b)


def middle(value: Any) -> Any:
    """Some number of an interval that tells it from others."""
    return low(value) if mp.isinf(low(value)) else high(value)


def _step(name: str, c: Any, t: Any) -> Any:
    t = iv.mpf(t)
    far = abs(middle(t)) == INFINITE
    match name:
        case "add":
            return t + c
        case "mul":
            return t * c
        case "max":
            return iv.mpf([max(low(t), low(c)), max(high(t), low(c))])
        case "min":
            return iv.mpf([min(low(t), low(c)), min(high(t), low(c))])
        case "sqrt":
            return iv.sqrt(t) if not far else t
        case "exp":
            return iv.exp(t) if not far else iv.mpf(0 if low(t) < 0 else INFINITE)
        case "log":
            return iv.log(t) if not far else t
        case "reciprocal":
            return 1 / t if not far else iv.mpf(0)
        case "one_plus":
            return 1 + c / t if not far else iv.mpf(1)
        case "sigmoid":
            return 1 / (1 + iv.exp(-t)) if not far else iv.mpf(0 if low(t) < 0 else 1)
        case "zero_below":
            return iv.mpf(0) if high(t) < low(c) else t
    raise NotImplementedError(name)


class SecondHead:
    """One certificate about one head that was made."""

    def __init__(self, here: Made, core: Core) -> None:
        self.here, self.core, self.kind = here, core, here.kind
        self.p = [[mpf(float(x)) for x in row] for row in here.prototypes]
        self.scales = None
        if here.scales is not None:
            self.scales = [[mpf(float(x)) for x in row] for row in here.scales]
        self.z = [[mpf(float(x)) for x in row] for row in here.latent]
        self.places = [
            [k for k, bank in enumerate(here.banks[0]) if bank == here.banks[1][j]]
            for j in range(COUNT)
        ]

    # measurements

    def norm(self, vector: Any) -> Any:
        return mp.fsum(x * x for x in vector)

    def measured(self, z: Any, j: int) -> Any:
        """An interval around m_j of one location's latent."""
        p, kind = self.p[j], self.kind.geometry
        if kind == "euclidean":
            return iv.mpf(mp.fsum((a - b) ** 2 for a, b in zip(z, p, strict=True)))
        if kind == "diagonal" and self.scales is not None:
            terms = [w * (a - b) ** 2 for w, a, b in zip(self.scales[j], z, p, strict=True)]
            least = mp.fsum(terms)
            more = mp.fsum((a - b) ** 2 for a, b in zip(z, p, strict=True)) * mpf(self.kind.slack)
            return iv.mpf([least, least + more])
        product = -mp.fsum(a * b for a, b in zip(z, p, strict=True))
        if kind == "linear" or not self.norm(z):
            return iv.mpf(product)
        numbers = self.kind.lengths[j]
        floor, added, beside = (mpf(n.numerator) / n.denominator for n in numbers)
        length = iv.sqrt(iv.mpf(max(self.norm(z) + added, floor))) + iv.sqrt(iv.mpf(beside))
        return iv.mpf(product) / length

    def alone(self, j: int) -> Pair:
        """What the domain says about any m_lj."""
        kind, domain, p = self.kind.geometry, self.kind.domain, self.p[j]
        slack = mpf(2) ** -16
        inner, outer = iv.sqrt(iv.mpf(1) - slack), iv.sqrt(iv.mpf(1) + slack)
        length = iv.sqrt(iv.mpf(self.norm(p)))
        if kind == "angular":
            down, up = length, length
            if domain in ("box", "half", "simplex"):
                down = iv.sqrt(iv.mpf(self.norm([x for x in p if x > 0])))
                up = iv.sqrt(iv.mpf(self.norm([x for x in p if x < 0])))
            return -down, up
        if domain == "free":
            return (iv.mpf(0), None) if kind in ("euclidean", "diagonal") else (None, None)
        if domain in ("box", "half"):
            return self._box(j)
        if domain == "simplex":
            return self._simplex(p, slack)
        if kind == "linear":
            return -length * outer, length * outer
        near = iv.mpf(0)
        if low(length) > high(outer):
            near = (length - outer) ** 2
        elif domain == "sphere" and high(length) < low(inner):
            near = (inner - length) ** 2
        return near, (length + outer) ** 2

    def _box(self, j: int) -> Pair:
        top = 1 if self.kind.domain == "box" else None
        least_, most = mpf(0), mpf(0)
        scales = [mpf(1)] * CHANNELS if self.scales is None else self.scales[j]
        more = mpf(self.kind.slack)
        for w, x in zip(scales, self.p[j], strict=True):
            if self.kind.geometry == "linear":
                ends = (mpf(0), -x if top else -x * INFINITE if x else mpf(0))
                least_, most = least_ + min(ends), most + max(ends)
                continue
            near = -x if x < 0 else x - 1 if top and x > 1 else mpf(0)
            least_ += w * near**2
            far = max(abs(x), abs(1 - x)) if top else INFINITE if w + more else mpf(0)
            most += (w + more) * far**2
        return (
            None if least_ == -INFINITE else iv.mpf(least_),
            None if most == INFINITE else iv.mpf(most),
        )

    def _simplex(self, p: Any, slack: Any) -> Pair:
        sums = 1 - slack, 1 + slack
        if self.kind.geometry == "linear":
            ends = [-s * x for s in sums for x in (min(p), max(p))]
            return iv.mpf(min(ends)), iv.mpf(max(ends))
        far = max(self.norm(p) - 2 * s * min(p) + s * s for s in sums)
        total = mp.fsum(max(x, 0) for x in p)
        target = min(max(total, sums[0]), sums[1])
        shift = mpf(0)
        for count in range(1, CHANNELS + 1) if target != total else ():
            largest = sorted(p, reverse=True)[:count]
            excess = (mp.fsum(largest) - target) / count
            if largest[-1] > excess:
                shift = excess
        foot = [max(x - shift, mpf(0)) for x in p]
        return iv.mpf(mp.fsum((a - b) ** 2 for a, b in zip(foot, p, strict=True))), iv.mpf(far)

    # bounds

    def rows(self) -> Any:
        """(location, prototype, lower, upper) of every row of every block."""
        facts = {(f.location, f.prototype): f for f in self.core.facts if isinstance(f, PairFact)}
        for block in self.core.evidence.blocks:
            named = [facts[block.location, i] for i in block.facts]
            for rows, sign in ((block.lower, 1), (block.upper, -1)):
                for j, theta in zip(rows.prototypes, rows.theta, strict=True):
                    value = self._row(sign, j, named, [mpf(t) / 2**block.shift for t in theta])
                    ends = (iv.mpf(value), None) if sign > 0 else (None, iv.mpf(-value))
                    yield (block.location, j, *ends)

    def _row(self, sign: int, j: int, named: Any, theta: Any) -> Any:
        euclidean = self.kind.geometry == "euclidean"
        terms = [(mpf(sign), self.p[j]), *((t, self.p[f.prototype]) for t, f in
                                           zip(theta, named, strict=False))]  # fmt: skip
        leading = mp.fsum(c for c, _ in terms) if euclidean else theta[-1]
        if not leading > 0:
            raise RefusedError
        factor = -2 if euclidean else -1
        slope = [factor * mp.fsum(c * p[d] for c, p in terms) for d in range(CHANNELS)]
        value = -self.norm(slope) / (4 * leading)
        value += mp.fsum(c * self.norm(p) for c, p in terms) if euclidean else -max(leading, 0)
        for t, fact in zip(theta, named, strict=False):
            value -= t * mpf(float.fromhex(fact.upper if t > 0 else fact.lower))
        return value

    def local(self) -> None:
        """Bounds of every m_lj."""
        self.low: dict[Any, Any] = {}
        self.high: dict[Any, Any] = {}
        known = [
            (f.location, f.prototype, *(iv.mpf(float.fromhex(e)) for e in (f.lower, f.upper)))
            for f in self.core.facts
            if isinstance(f, PairFact)
        ]
        for j in range(COUNT):
            for k in self.places[j]:
                self.low[k, j], self.high[k, j] = self.alone(j)
        for k, j, near, far in [*known, *self.rows()]:
            self.low[k, j] = above(self.low[k, j], near)
            self.high[k, j] = below(self.high[k, j], far)

    def pooled(self) -> list[Pair]:
        """Bounds of every t_j, from those at all locations, activation facts and implied bounds."""
        self.local()
        found = [self._pooled(j) for j in range(COUNT)]
        for fact in self.core.facts:
            if isinstance(fact, ActivationFact):
                near, far = found[fact.prototype]
                ends = [iv.mpf(float.fromhex(e)) for e in (fact.lower, fact.upper)]
                found[fact.prototype] = above(near, ends[0]), below(far, ends[1])
            if isinstance(fact, CeilingFact) and self.here.head.uniform:
                for j in range(COUNT):
                    if j not in fact.exempt:
                        bound = iv.mpf(float.fromhex(fact.bound))
                        found[j] = above(found[j][0], bound), found[j][1]
        upper = {
            f.prototype: mpf(float.fromhex(f.upper))
            for f in self.core.facts
            if isinstance(f, ActivationFact)
        }
        for entry in self.core.evidence.implied:
            s = mpf(float.fromhex(entry.stretch))
            i, j = self.p[entry.via], self.p[entry.prototype]
            if s < 0:
                near, far = found[entry.prototype]
                found[entry.prototype] = above(near, self._kept_off(i, j, s, entry.via)), far
                continue
            h = upper[entry.via]
            if self.kind.geometry == "angular":
                apart = iv.sqrt(iv.mpf(self.norm([b - s * a for a, b in zip(i, j, strict=True)])))
                reach = iv.mpf(s * h) + apart
            else:
                square = self.norm([a - b for a, b in zip(i, j, strict=True)])
                reach = iv.mpf((1 + s) * h) + (1 + 1 / iv.mpf(s)) * iv.mpf(square)
            near, far = found[entry.prototype]
            found[entry.prototype] = near, below(far, reach)
        return found

    def _kept_off(self, i: list[mpf], j: list[mpf], s: mpf, via: int) -> Any:
        """Below the measurement of j wherever that of i is at least what facts say."""
        h = max(
            mpf(float.fromhex(f.bound if isinstance(f, CeilingFact) else f.lower))
            for f in self.core.facts
            if (isinstance(f, CeilingFact) and self.here.head.uniform and via not in f.exempt)
            or (isinstance(f, ActivationFact) and f.prototype == via)
        )
        if self.kind.geometry == "angular":
            apart = iv.sqrt(iv.mpf(self.norm([b + s * a for a, b in zip(i, j, strict=True)])))
            return iv.mpf(-s * h) - apart
        square = self.norm([a - b for a, b in zip(i, j, strict=True)])
        return (1 + iv.mpf(s)) * iv.mpf(h) + (1 + 1 / iv.mpf(s)) * iv.mpf(square)

    def _pooled(self, j: int) -> Pair:
        places, kind = self.places[j], self.kind.pooling
        lows, highs = [self.low[k, j] for k in places], [self.high[k, j] for k in places]
        if kind == "nearest":
            return None if None in lows else smallest(lows), least(highs)
        here = self.here
        ends = [self._ends(here.inner, j, a, b) for a, b in zip(lows, highs, strict=True)]
        lows, highs = [a for a, _ in ends], [b for _, b in ends]
        count = len(places)
        if kind == "nearest less mean":
            near = self._ends(here.common, j, smallest(lows), least(highs))
            mean = self._ends(here.common, j, total(lows) / count, total(highs) / count)
            return above(iv.mpf(0), near[0] - mean[1]), near[1] - mean[0]
        if kind == "focal":
            top = max(lows, key=low)
            least_ = top - total([v if high(v) < low(top) else top for v in highs]) / count
            rest = [h - (h + total(lows) - a) / count for a, h in zip(lows, highs, strict=True)]
            return least_, max(rest, key=high)
        if kind == "k-largest mean":
            lows, highs = (sorted(v, key=middle)[-2:] for v in (lows, highs))
            count = 2
        count = 1 if kind == "sum" else count
        return total(lows) / count, total(highs) / count

    def _ends(self, program: Program, j: int, near: Any, far: Any) -> Pair:
        ends = (-INFINITE if near is None else near), (INFINITE if far is None else far)
        return image(program, j, *ends)

    # the question

    def activations(self, pooled: list[Pair]) -> list[Pair]:
        """Ends of every activation; ceilings bound those of heads that are not uniform."""
        ends = [self._ends(self.here.program, j, a, b) for j, (a, b) in enumerate(pooled)]
        for fact in self.core.facts:
            if isinstance(fact, CeilingFact) and not self.here.head.uniform:
                cap = iv.mpf(-float.fromhex(fact.bound))
                ends = [
                    (a, b if j in fact.exempt else below(b, cap)) for j, (a, b) in enumerate(ends)
                ]
        return ends

    def observed(self) -> list[Pair]:
        """The pooled values of the recorded latent."""
        m = {
            (k, j): self.measured(self.z[k], j) for j in range(COUNT) for k in self.places[j]
        }  # fmt: skip
        self.low, self.high = dict(m), dict(m)
        return [self._pooled(j) for j in range(COUNT)]

    def true(self) -> bool:
        """Whether the facts hold at the recorded latent, and exact ones are tight."""
        pooled = self.observed()
        levels = pooled
        if not self.here.head.uniform:
            levels = [(-b, -a) for a, b in self.activations(pooled)]
        measured = dict(self.low)
        for fact in self.core.facts:
            if isinstance(fact, CeilingFact):
                bound = mpf(float.fromhex(fact.bound))
                rest = [v for j, v in enumerate(levels) if j not in fact.exempt]
                if not all(low(a) >= bound for a, _ in rest):
                    return False
                continue
            value = iv.mpf(pooled[fact.prototype][0])
            if isinstance(fact, PairFact):
                value = measured[fact.location, fact.prototype]
            ends = float.fromhex(fact.lower), float.fromhex(fact.upper)
            if not (ends[0] <= low(value) and high(value) <= ends[1]):
                return False
            if self.core.premises == "exact" and not _tight(value, *ends):
                return False
        return True


def _tight(value: Any, below_: float, above_: float) -> bool:
    """Whether there is no float64 between an end and the value but 16 of them."""
    for _ in range(16):
        below_, above_ = math.nextafter(below_, math.inf), math.nextafter(above_, -math.inf)
    return bool(below_ >= low(value) and above_ <= high(value))


def above(known: Any, new: Any) -> Any:
    """The better of two lower bounds."""
    if known is None or new is None:
        return new if known is None else known
    return known if low(known) >= low(new) else new


def below(known: Any, new: Any) -> Any:
    """The better of two upper bounds."""
    if known is None or new is None:
        return new if known is None else known
    return known if high(known) <= high(new) else new


def smallest(values: list[Any]) -> Any:
    return min(values, key=low)


def least(values: list[Any]) -> Any:
    known = [v for v in values if v is not None]
    return min(known, key=high) if known else None


def total(values: list[Any]) -> Any:
    return sum(values, iv.mpf(0))


def accepts(here: Made, core: Core) -> bool:
    """Whether the certificate is true and proves its claim, by the second checker."""
    with mp.workprec(BITS):
        before, iv.prec = iv.prec, BITS
        try:
            second = SecondHead(here, core)
            now = second.activations(second.observed())
            return (
                second.true()
                and all(margin(here, k, now) > 0 for k in core.rivals)
                and all(margin(here, k, second.activations(second.pooled())) > 0
                        for k in core.rivals)
            )  # fmt: skip
        except RefusedError:
            return False
        finally:
            iv.prec = before
