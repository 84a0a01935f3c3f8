"""A second checker, for cross-validation: mpmath intervals, explicit vectors, no shared code.

It reads certificate and model with the plain ``json`` and ``onnx`` readers, forms every vector that
the first checker avoids, and decides the same question: is this certificate sufficient and true?
Malformed input is not its business; it answers False or raises.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
from typing import Any

import numpy as np
import onnx
from mpmath import iv, mp, mpf
from onnx import numpy_helper

BITS = 1200  # dyadic sums and products of the tests are exact at this precision
Vector = list[Any]


def number(text: str) -> Any:
    return mpf(float.fromhex(text))


def vector(values: Any) -> Vector:
    return [mpf(float(value)) for value in values]


def distance(z: Vector, p: Vector) -> Any:
    return mp.fsum((a - b) ** 2 for a, b in zip(z, p, strict=True))


def norm(p: Vector) -> Any:
    return mp.fsum(a * a for a in p)


class RefusedError(Exception):
    """A multiplier that proves nothing."""


class Second:
    """One certificate against one model."""

    def __init__(self, certificate: bytes, model: bytes) -> None:
        self.core = json.loads(certificate)["core"]
        self.model = model
        proto = onnx.load_model_from_string(model)
        self.description = json.loads(proto.metadata_props[0].value)
        tensors = {t.name: numpy_helper.to_array(t) for t in proto.graph.initializer}
        self.prototypes = [vector(row) for row in tensors["prototypes"][:, :, 0, 0]]
        self.weight = [vector(row) for row in tensors["head.weight"]]
        bias = tensors.get("head.bias", np.zeros(len(self.weight)))
        self.bias = vector(bias)
        self.constant = mpf(float(tensors["constant"][0]))
        here = self.core["instance"]
        shape = here["locations"], here["channels"]
        data = np.frombuffer(base64.b64decode(here["latent"]), "<f4").reshape(shape)
        self.latent = [vector(row) for row in data]
        self.q = [[distance(z, p) for p in self.prototypes] for z in self.latent]
        self.best = [min(column) for column in zip(*self.q, strict=True)]

    def similarity(self, q: Any) -> Any:
        kind = self.description["similarity"]["kind"]
        if q == mp.inf:
            return iv.mpf(["-inf", 0]) if kind == "negated" else iv.mpf(0)
        q = iv.mpf(q)
        if kind == "log_ratio":
            return iv.log((q + 1) / (q + self.constant))
        if kind == "exponential":
            return iv.exp(-q / self.constant)
        return -q if kind == "negated" else 1 / (q + 1)

    def identified(self) -> bool:
        digest = hashlib.sha256(self.model).hexdigest()
        classes = range(len(self.weight))
        predicted = self.core["instance"]["predicted"]
        return (
            digest == self.core["model"]["sha256"]
            and predicted in classes
            and self.core["rivals"] == [k for k in classes if k != predicted]
        )

    def fact_holds(self, fact: dict[str, Any]) -> bool:
        tight = self.core["premises"] == "exact"
        if fact["kind"] == "ceiling":
            bound = number(fact["bound"])
            rest = [q for j, q in enumerate(self.best) if j not in fact["exempt"]]
            rounded = any(self.rounds(q, bound, -1) for q in self.best)
            return all(bound <= q for q in rest) and (rounded or not tight)
        row = self.best if fact["kind"] == "activation" else self.q[fact["location"]]
        q, low, high = row[fact["prototype"]], number(fact["lower"]), number(fact["upper"])
        exact = self.rounds(q, low, -1) and self.rounds(q, high, 1)
        return bool(low <= q <= high) and (exact or not tight)

    @staticmethod
    def rounds(q: Any, end: Any, direction: int) -> bool:
        """Whether ``end`` is the float64 next to q in that direction, or q itself."""
        towards = mpf(math.nextafter(float(end), -direction * math.inf))
        return bool(end <= q < towards) if direction < 0 else bool(towards < q <= end)

    def row(self, block: Any, rows: Any, index: int, sign: int) -> Any:
        """An interval whose lower end bounds sign * q_lj."""
        theta = [iv.mpf(t) / iv.mpf(2) ** block["shift"] for t in rows["theta"][index]]
        leading = sign + sum(theta, iv.mpf(0))
        if not leading.a > 0:
            raise RefusedError
        own = self.prototypes[rows["prototypes"][index]]
        total = [sign * iv.mpf(x) for x in own]
        value = sign * iv.mpf(norm(own))
        for t, i in zip(theta, block["facts"], strict=True):
            p = self.prototypes[i]
            total = [a + t * x for a, x in zip(total, p, strict=True)]
            fact = next(
                f for f in self.core["facts"]
                if f["kind"] == "pair"
                and (f["location"], f["prototype"]) == (block["location"], i)
            )  # fmt: skip
            value += t * norm(p) - t * number(fact["upper" if t.a > 0 else "lower"])
        return value - sum((x * x for x in total), iv.mpf(0)) / leading

    def domain_bounds(self, p: Vector) -> tuple[Any, Any]:
        domain = self.core["domain"]
        if domain["kind"] == "free":
            return mpf(0), mp.inf
        low = number(domain["lower"])
        high = mp.inf if domain["upper"] is None else number(domain["upper"])
        near = mp.fsum(max(low - x, x - high, mpf(0)) ** 2 for x in p)
        far = mp.fsum(max(abs(x - low), abs(high - x)) ** 2 for x in p)
        return near, far

    def slope(self, q: Any) -> Any:
        """The derivative of the similarity."""
        kind, q = self.description["similarity"]["kind"], iv.mpf(q)
        if kind == "log_ratio":
            return 1 / (q + 1) - 1 / (q + self.constant)
        if kind == "exponential":
            return -iv.exp(-q / self.constant) / self.constant
        return iv.mpf(-1) if kind == "negated" else -1 / (q + 1) ** 2

    def intervals(self) -> list[tuple[Any, Any]]:
        """Bounds of the best measurement of every prototype."""
        low: list[list[Any]] = []
        high: list[list[Any]] = []
        for _ in self.latent:
            bounds = [self.domain_bounds(p) for p in self.prototypes]
            low.append([a for a, _ in bounds])
            high.append([b for _, b in bounds])
        for fact in self.core["facts"]:
            if fact["kind"] == "pair":
                i, j = fact["location"], fact["prototype"]
                low[i][j] = max(low[i][j], number(fact["lower"]))
                high[i][j] = min(high[i][j], number(fact["upper"]))
        for block in self.core["evidence"]["blocks"]:
            i = block["location"]
            for index, j in enumerate(block["lower"]["prototypes"]):
                low[i][j] = max(low[i][j], mpf(self.row(block, block["lower"], index, 1).a))
            for index, j in enumerate(block["upper"]["prototypes"]):
                high[i][j] = min(high[i][j], -mpf(self.row(block, block["upper"], index, -1).a))
        self.low, self.high = low, high
        result = [
            (max(mpf(0), min(row[j] for row in low)), min(row[j] for row in high))
            for j in range(len(self.prototypes))
        ]
        for fact in self.core["facts"]:
            for j, (a, b) in enumerate(result):
                if fact["kind"] == "activation" and fact["prototype"] == j:
                    result[j] = max(a, number(fact["lower"])), min(b, number(fact["upper"]))
                if fact["kind"] == "ceiling" and j not in fact["exempt"]:
                    result[j] = max(a, number(fact["bound"])), b
        for entry in self.core["evidence"]["implied"]:
            i, j, s = entry["via"], entry["prototype"], number(entry["stretch"])
            if not (s > 0 or -1 < s < 0):
                raise RefusedError
            if s < 0:
                result[j] = max(result[j][0], self.kept_off(i, j, s)), result[j][1]
                continue
            fact = next(
                f for f in self.core["facts"] if f["kind"] == "activation" and f["prototype"] == i
            )
            apart = iv.mpf(distance(self.prototypes[i], self.prototypes[j]))
            reach = (1 + iv.mpf(s)) * number(fact["upper"]) + (1 + 1 / iv.mpf(s)) * apart
            result[j] = result[j][0], min(result[j][1], mpf(reach.b))
        return result

    def kept_off(self, i: int, j: int, s: Any) -> Any:
        """How near no location comes to a prototype, as none comes near another one."""
        facts = self.core["facts"]
        ends = [
            number(f["lower"]) for f in facts if f.get("prototype") == i and f["kind"] != "pair"
        ]
        ends += [
            number(f["bound"]) for f in facts if f["kind"] == "ceiling" and i not in f["exempt"]
        ]
        if not ends:
            raise RefusedError
        apart = iv.mpf(distance(self.prototypes[i], self.prototypes[j]))
        return mpf(((1 + iv.mpf(s)) * max(ends) + (1 + 1 / iv.mpf(s)) * apart).a)

    def margins_positive(self, ends: list[tuple[Any, Any]]) -> bool:
        return all(self.margin(rival, ends).a > 0 for rival in self.core["rivals"])

    def proved(self) -> bool:
        """Whether intervals, or else its form, prove every margin."""
        ends = self.intervals()
        forms = {form["rival"]: form for form in self.core["evidence"]["forms"]}
        return all(
            self.margin(rival, ends).a > 0
            or (rival in forms and self.form_margin(forms[rival], ends).a > 0)
            for rival in self.core["rivals"]
        )

    def weight_of(self, rival: int, j: int) -> Any:
        return self.weight[self.core["instance"]["predicted"]][j] - self.weight[rival][j]

    def margin(self, rival: int, ends: list[tuple[Any, Any]], apart: Any = ()) -> Any:
        total = iv.mpf(self.bias[self.core["instance"]["predicted"]]) - self.bias[rival]
        for j, (low, high) in enumerate(ends):
            w = self.weight_of(rival, j)
            if w != 0 and j not in apart:
                total += iv.mpf(w) * self.similarity(high if w > 0 else low)
        return total

    def form_margin(self, form: Any, ends: list[tuple[Any, Any]]) -> Any:
        """An interval whose lower end bounds a margin by linear forms."""
        apart: dict[int, tuple[int, Any, Any]] = {}  # prototype -> location, constant, slope
        for entry in form["supports"]:
            t = number(entry["at"])
            slope = self.slope(t)
            apart[entry["prototype"]] = entry["location"], self.similarity(t) - slope * t, slope
        for entry in form["opposes"]:
            i, j = entry["location"], entry["prototype"]
            least = [max(row[j], ends[j][0]) for row in self.low]
            low, high = least[i], self.high[i][j]
            if not low < high < mp.inf:
                continue
            others = least[:i] + least[i + 1 :]
            nearest = [min([q, *others]) for q in (low, high)]  # sigma decreases: the largest
            values = [self.similarity(q) for q in nearest]
            slope = (values[1] - values[0]) / (iv.mpf(high) - low)
            apart[j] = i, values[0] - slope * low, slope
        total = self.margin(form["rival"], ends, apart)
        for entry in form["multipliers"]:
            linear = {}
            for j, (location, constant, slope) in apart.items():
                if location == entry["location"]:
                    w = iv.mpf(self.weight_of(form["rival"], j))
                    total += w * constant
                    linear[j] = w * slope
            total += self.place(entry, linear) if linear else 0
        return total

    def place(self, entry: Any, linear: dict[int, Any]) -> Any:
        """The least value of sum lambda_j q_lj at one location, by weak duality."""
        mu = [iv.mpf(m) / iv.mpf(2) ** entry["shift"] for m in entry["mu"]]
        terms = [*linear.items(), *zip(entry["facts"], mu, strict=True)]
        leading = sum((value for _, value in terms), iv.mpf(0))
        if not leading.a > 0:
            return iv.mpf(["-inf", 0])
        total = [iv.mpf(0)] * len(self.prototypes[0])
        value = iv.mpf(0)
        for j, coefficient in terms:
            p = self.prototypes[j]
            total = [a + coefficient * x for a, x in zip(total, p, strict=True)]
            value += coefficient * norm(p)
        for i, m in zip(entry["facts"], mu, strict=True):
            fact = next(
                f for f in self.core["facts"]
                if f["kind"] == "pair"
                and (f["location"], f["prototype"]) == (entry["location"], i)
            )  # fmt: skip
            value -= m * number(fact["upper" if m.a > 0 else "lower"])
        return value - sum((x * x for x in total), iv.mpf(0)) / leading


def second_check(certificate: bytes, model: bytes) -> bool:
    """Whether the certificate is true and proves its claim, by the second checker."""
    with mp.workprec(BITS):
        before, iv.prec = iv.prec, BITS
        try:
            second = Second(certificate, model)
            return (
                second.identified()
                and all(second.fact_holds(fact) for fact in second.core["facts"])
                and second.margins_positive([(q, q) for q in second.best])
                and second.proved()
            )
        except RefusedError:
            return False
        finally:
            iv.prec = before
