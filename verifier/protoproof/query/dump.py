"""An explanation's question as a query: is there an input that meets the facts and is predicted
otherwise?

Facts are written about tensors of the graph that hold measurements or pooled values, up to an
affine function; where there is none, as polynomials over the latent's units. All numbers are exact,
so that whoever answers `unsat` confirms what the explanation says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import cached_property
from pathlib import Path

from protoproof.certificate.schema import ActivationFact, CeilingFact, Core, PairFact
from protoproof.errors import InputError, UsageError
from protoproof.explanation.result import Explanation
from protoproof.files import write_atomic
from protoproof.kernel import ModelFile
from protoproof.network import Network
from protoproof.network.onnx.node import printable
from protoproof.query.reading import Function, Reading, Unit, affine
from protoproof.query.standard import decimal

_OPTION = "--dump-vnnlib"
_MOST = 1 << 19  # comparisons
Place = tuple[int | None, int]  # location (None: pooled) and prototype


def require_query(network: Network, domain: str) -> None:
    """Refuse, before any work, what no query can say.

    Raises:
        UsageError: labels, a reading of a tree that the graph does not compute, a domain that is a
            region of inputs.
    """
    decision = network.head.decision
    if decision.kind == "labels":
        raise UsageError(f"{_OPTION}: of networks that predict one class, and this one has labels")
    if getattr(decision, "routing", "distributed") != "distributed":
        raise UsageError(f"{_OPTION}: about what the graph computes; leave --routing out")
    if ":" in domain:
        raise UsageError(f"{_OPTION}: for domains of the latent, not for the region {domain}")


def write_query(network: Network, explanation: Explanation, path: Path) -> None:
    """Write the question of a certified explanation.

    Raises:
        UsageError: see :func:`require_query`; a fact about what no tensor of the graph holds.
        OutputError: the file cannot be written.
    """
    require_query(network, explanation.domain)
    if explanation.certificate is not None:
        text = query_text(network, explanation.certificate.core)
        write_atomic(path, text.encode())


def query_text(network: Network, core: Core) -> str:
    """The query about a certificate's facts.

    Raises:
        UsageError: see :func:`write_query`.
    """
    return _Writer(network, core).text()


class _Writer:
    def __init__(self, network: Network, core: Core) -> None:
        self.network, self.core = network, core
        self.reading = Reading(network, ModelFile(network.data, network.files))
        graph = network.graph
        self.names = {name: f"Y{k or ''}" for k, name in enumerate(graph.outputs)}
        self.hidden: dict[str, str] = {}
        self.count = 0

    def text(self) -> str:
        """The whole query."""
        facts = [line for fact in self.core.facts for line in self._fact(fact)]
        rivals = [self._beats(rival) for rival in self.core.rivals]
        graph = self.network.graph
        declared = [("input", "X", graph.input, "")]
        declared += [("hidden", v, k, f" {_quoted(k)}") for k, v in self.hidden.items()]
        declared += [("output", v, k, "") for k, v in self.names.items()]
        here = self.core.instance
        lines = [
            "; is there an input that meets these facts and is predicted otherwise?",
            f"; network: sha256 {self.core.model.sha256}, predicted class {here.predicted}",
            f"; latent: {here.latent}",
            "(vnnlib-version <2.0>)",
            "(declare-network N",
            *(
                f"    (declare-{kind} {name} real {_shape(graph.shapes[tensor])}{more})"
                for kind, name, tensor, more in declared
            ),
            ")",
            *facts,
            f"(assert {_either(rivals)})",
        ]
        return "\n".join(lines) + "\n"

    def _beats(self, rival: int) -> str:
        output = self.network.recognised.output
        name, shape = self._named(output), self.network.graph.shapes[output]
        own = self.core.instance.predicted
        return f"(>= {name}{_place(shape, rival)} {name}{_place(shape, own)})"

    def _named(self, tensor: str) -> str:
        if tensor in self.names:
            return self.names[tensor]
        return self.hidden.setdefault(tensor, f"H{len(self.hidden)}")

    def _fact(self, fact: PairFact | ActivationFact | CeilingFact) -> Iterator[str]:
        match fact:
            case PairFact():
                subject = self._subject((fact.location, fact.prototype))
                yield _assert(subject(_number(fact.lower), False))
                yield _assert(subject(_number(fact.upper), True))
            case ActivationFact():
                yield from self._at_least(fact.prototype, _number(fact.lower))
                yield self._within(fact.prototype, _number(fact.upper))
            case CeilingFact():
                if not self.reading.head.uniform:
                    raise UsageError(
                        f"{_OPTION}: a ceiling over prototypes with similarities of their own is "
                        "about activations, for which no bound is written; use --vocabulary pairs"
                    )
                for j in range(self.reading.head.prototype_count):
                    if j not in set(fact.exempt):
                        yield from self._at_least(j, _number(fact.bound))

    def _at_least(self, prototype: int, value: Fraction) -> Iterator[str]:
        """No location is nearer."""
        if (None, prototype) in self._known:
            yield _assert(self._subject((None, prototype))(value, False))
            return
        for location in self._locations(prototype):
            yield _assert(self._subject((location, prototype))(value, False))

    def _within(self, prototype: int, value: Fraction) -> str:
        """Some location is as near."""
        if (None, prototype) in self._known:
            return _assert(self._subject((None, prototype))(value, True))
        every = self._locations(prototype)
        parts = [self._subject((location, prototype))(value, True) for location in every]
        return _assert(_either(parts))

    def _locations(self, prototype: int) -> list[int]:
        head = self.reading.head
        if head.pooling[prototype].kind != "nearest":
            raise UsageError(
                f"{_OPTION}: prototype {prototype} is pooled by '{head.pooling[prototype].kind}', "
                "of which no tensor can be bounded here"
            )
        return [k for k in range(head.location_count) if head.measures(k, prototype)]

    @cached_property
    def _known(self) -> dict[Place, tuple[str, int, Fraction, Fraction]]:
        """Where each measurement stands: tensor, index, and slope and shift of an affine function;
        the first tensor of the graph that has it."""
        found: dict[Place, tuple[str, int, Fraction, Fraction]] = {}
        for tensor in self._tensors():
            shape = self.network.graph.shapes.get(tensor)
            if shape is None or not isinstance(self.reading.meaning(tensor, 0), Function):
                continue
            for index in range(_size(shape)):
                meaning = self.reading.meaning(tensor, index)
                line = affine(meaning.program) if isinstance(meaning, Function) else None
                if isinstance(meaning, Function) and line is not None and _finite(*line):
                    place = meaning.location, meaning.prototype
                    found.setdefault(place, (tensor, index, *line))
        return found

    @cached_property
    def _units(self) -> dict[tuple[int, int], tuple[str, int]]:
        found: dict[tuple[int, int], tuple[str, int]] = {}
        for tensor in self.network.recognised.latents:
            for index in range(_size(self.network.graph.shapes[tensor])):
                meaning = self.reading.meaning(tensor, index)
                if isinstance(meaning, Unit):
                    found[meaning.location, meaning.channel] = tensor, index
        return found

    def _tensors(self) -> Iterator[str]:
        for node in self.network.graph.nodes:
            yield from (name for name in node.outputs if name)

    def _subject(self, place: Place) -> Callable[[Fraction, bool], str]:
        """How a bound of a measurement is written: value, and whether it is one from above."""
        self.count += 1
        if self.count > _MOST:
            raise UsageError(f"{_OPTION}: the facts take more than {_MOST} comparisons")
        known = self._known.get(place)
        if known is None:
            return self._polynomial(place)
        tensor, index, slope, shift = known
        name = f"{self._named(tensor)}{_place(self.network.graph.shapes[tensor], index)}"

        def written(value: Fraction, above: bool) -> str:
            sign = "<=" if above == (slope > 0) else ">="
            return f"({sign} {name} {decimal(slope * value + shift)})"

        return written

    def _polynomial(self, place: Place) -> Callable[[Fraction, bool], str]:
        """The measurement over the units of its location."""
        location, prototype = place
        head = self.reading.head
        if location is None or head.geometry not in ("euclidean", "linear"):
            raise UsageError(
                f"{_OPTION}: no tensor of the graph holds the measurement of prototype {prototype} "
                f"up to an affine function, and one of kind '{head.geometry}' is no polynomial"
            )
        unit = 1 << head.shift
        terms = []
        for channel, n in enumerate(head.prototype(prototype)):
            tensor, index = self._units[location, channel]
            z = f"{self._named(tensor)}{_place(self.network.graph.shapes[tensor], index)}"
            number = decimal(Fraction(n, unit))
            apart = f"(- {z} {number})"
            product = f"(* {decimal(Fraction(-n, unit))} {z})"
            terms.append(f"(* {apart} {apart})" if head.geometry == "euclidean" else product)
        total = terms[0] if len(terms) == 1 else f"(+ {' '.join(terms)})"
        return lambda value, above: f"({'<=' if above else '>='} {total} {decimal(value)})"


def _finite(slope: Fraction, shift: Fraction) -> bool:
    """Whether both have finite decimal expansions."""
    try:
        return bool(decimal(slope) and decimal(shift))
    except InputError:
        return False


def _number(text: str) -> Fraction:
    return Fraction(float.fromhex(text))


def _assert(text: str) -> str:
    return f"(assert {text})"


def _either(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"(or {' '.join(parts)})"


def _size(shape: tuple[int, ...]) -> int:
    total = 1
    for size in shape:
        total *= size
    return total


def _shape(shape: tuple[int, ...]) -> str:
    return f"[{','.join(map(str, shape))}]"


def _place(shape: tuple[int, ...], index: int) -> str:
    """[i,j,...] of a row-major index."""
    found = []
    for size in reversed(shape):
        index, place = divmod(index, size)
        found.append(place)
    return _shape(tuple(reversed(found)))


def _quoted(name: str) -> str:
    """A tensor's name as VNN-LIB quotes it.

    Raises:
        UsageError: control characters that it cannot quote.
    """
    text = name.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    if any(ord(letter) < 32 for letter in text):
        raise UsageError(f"{_OPTION}: the tensor name {printable(name, 60)} cannot be quoted")
    return f'"{text}"'
