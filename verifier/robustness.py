"""Is every input of a region predicted alike? The order of stages, cheapest first.

Falsify; bound the encoder by intervals and prove every margin over the box of latents, prototypes
together; refine the cover; ask auto_LiRPA for linear forms. PROVED counts only when the checker has
accepted the certificate, REFUTED only with an input that ONNX Runtime predicts differently.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from verifier.assembly import certificate_core
from verifier.bounds.attack import attack
from verifier.bounds.interval import encoder_bounds
from verifier.bounds.lirpa import METHODS, Lirpa, available
from verifier.bounds.margins import TopK, activations, top_k
from verifier.bounds.region import L2Ball, LinfBall, Region
from verifier.bounds.region_maps import Brightness, Shifts
from verifier.certificate.canonical import canonical_bytes
from verifier.certificate.schema import About, Envelope
from verifier.certified import Certified, Sandwich, Stage
from verifier.checker import CheckReport, check
from verifier.errors import (
    BoundsError,
    InputError,
    InternalError,
    UnsupportedOperatorError,
    UsageError,
)
from verifier.latent.facts import FactSet
from verifier.latent.reach import Reach
from verifier.network import Network, Observation, load
from verifier.network.arrays import engine_named
from verifier.oracle.exact import SLACK
from verifier.oracle.interface import Instance
from verifier.oracle.relational import RelationalOracle
from verifier.pipeline import Explainer
from verifier.reaching import reach_of, refinements, with_forms
from verifier.verdict import PROVED, REFUTED, Status, Verdict, unknown

WAYS = ("auto", *METHODS)
TOP = 10
_ORACLE = RelationalOracle()
_GRID = 1 << 16  # radii that a bisection tries are multiples of 1 / _GRID


@dataclass
class _Log:
    """The stages so far."""

    stages: list[Stage] = field(default_factory=list)

    @contextmanager
    def stage(self, name: str) -> Iterator[Callable[[str], None]]:
        """Time what happens inside; call the yielded function with the outcome."""
        begun, outcome = time.perf_counter(), ["failed"]
        try:
            yield lambda text: outcome.__setitem__(0, text)
        finally:
            self.stages.append(Stage(name, outcome[0], time.perf_counter() - begun))


@dataclass(frozen=True, eq=False)
class _Proof:
    method: str
    certificates: tuple[Envelope, ...]
    checks: tuple[CheckReport, ...]


class Certifier:
    """Certifies regions of one network; what does not depend on the input is computed once.

    Args:
        network: a network, or the explainer of one (then its model file is shared).
        device: where the falsifier and auto_LiRPA run.
    """

    def __init__(self, network: Network | Explainer, device: str = "cpu") -> None:
        engine = engine_named(device)
        self.explainer = network if isinstance(network, Explainer) else Explainer(network, engine)
        self.network, self.device = self.explainer.network, device
        self._engine: Lirpa | None = None

    def certify(
        self,
        region: Region,
        *,
        method: str = "auto",
        expected: int | None = None,
        falsify: bool = True,
        seed: int = 0,
        timeout: float = 60.0,
        top: int = TOP,
        about: About | None = None,
    ) -> Certified:
        """Whether every input of the region is predicted as its centre is.

        Args:
            region: the inputs.
            method: ``auto`` (intervals, then CROWN-IBP, then CROWN), or one that is tried after
                intervals: ``crown-ibp``, ``crown``, ``alpha-crown``; ``interval`` tries no other.
            expected: the class that must be predicted; None for that of the centre.
            falsify: search counterexamples first.
            seed: of the falsifier.
            timeout: seconds after which no further stage starts.
            top: k of the top-k sets.
            about: what to record beside each certificate's core.

        Raises:
            UsageError: an unknown method.
            InputError: the network has one class only, or the centre is no input of it.
            FragileError: runtime and head disagree about the centre.
        """
        if method not in WAYS:
            raise UsageError(f"--method {method}: unknown; use " + ", ".join(WAYS))
        begun, log = time.perf_counter(), _Log()
        observation = self.network.observe(region.centre)
        answer = Certified(
            unknown("not decided"),
            str(region),
            observation,
            self.network.class_names[observation.predicted],
            "",
            (),
        )
        wanted = observation.predicted if expected is None else expected
        if not 0 <= wanted < len(self.network.class_names):
            raise InputError(f"class {wanted}: the network has {len(self.network.class_names)}")
        with log.stage("falsify") as say:
            found = None
            if falsify or wanted != observation.predicted:
                found = attack(self.network, region, wanted, seed=seed, device=self.device)
            say("skipped" if not falsify else "nothing found" if found is None else "refuted")
        if found is not None:
            name = self.network.class_names[found.observation.predicted]
            answer = replace(
                answer, verdict=REFUTED, counterexample=found, counterexample_name=name
            )
        elif wanted != observation.predicted:
            answer = replace(answer, verdict=unknown("numerically fragile: the centre is not " +
                                                     self.network.class_names[wanted]))  # fmt: skip
        else:
            deadline = begun + timeout
            proof = self._prove(region, observation, method, log, deadline, about or About())
            if isinstance(proof, Verdict):
                answer = replace(answer, verdict=proof)
            else:
                answer = replace(
                    answer,
                    verdict=PROVED,
                    method=proof.method,
                    certificates=proof.certificates,
                    checks=proof.checks,
                )
        with log.stage("top-k") as say:
            sets = self._top(region, answer.observation, top)
            say("unknown" if sets is None else f"{len(sets.certain)} certain")
        spent = time.perf_counter() - begun
        return replace(answer, stages=tuple(log.stages), top=sets, seconds=spent)

    def _prove(
        self,
        region: Region,
        observation: Observation,
        method: str,
        log: _Log,
        deadline: float,
        about: About,
    ) -> _Proof | Verdict:
        """A certificate per piece of the region, or why there is none."""
        if not isinstance(region, Shifts):
            return self._one(region, observation, method, log, deadline, about)
        proofs: list[_Proof] = []
        for image in region.images():
            point = LinfBall(image, region.domain, Fraction(0))
            seen = self.network.observe(image)
            if seen.predicted != observation.predicted:
                return unknown("numerically fragile: a shifted image is predicted otherwise")
            proof = self._one(point, seen, method, _Log(), deadline, about)
            if isinstance(proof, Verdict):
                return proof
            proofs.append(proof)
        return _Proof(
            f"{proofs[0].method}, {len(proofs)} images",
            tuple(p.certificates[0] for p in proofs),
            tuple(p.checks[0] for p in proofs),
        )

    def _one(
        self,
        region: Region,
        observation: Observation,
        method: str,
        log: _Log,
        deadline: float,
        about: About,
    ) -> _Proof | Verdict:
        instance = self.explainer.instance(observation)
        if not instance.rivals:
            raise InputError("the network has one class only: every prediction is the same")
        if not float(instance.margins.min()) > SLACK:
            return unknown("tie: exact arithmetic does not separate the prediction at the centre")
        reason = unknown("margin: no bound proves it")
        reach: Reach | None = None
        for finer in refinements(region):
            if reach is not None and time.perf_counter() > deadline:
                return unknown("timeout")
            with log.stage(_interval_name(finer)) as say:
                try:
                    reach = reach_of(self.network, finer, instance.latent)
                except BoundsError as error:
                    say(str(error))
                    return unknown(f"bounds: {error}")
                found, open_ = self._attempt(instance, observation, reach, "interval", about)
                say("proved" if found is not None else f"{len(open_)} rivals open")
            if found is not None:
                return found
        for name in _further(method):
            if time.perf_counter() > deadline:
                return unknown("timeout")
            if reach is None or not open_:
                break
            with log.stage(name) as say:
                try:
                    more, forms = with_forms(reach, self._lirpa(), region, instance, open_, name)
                except (BoundsError, UnsupportedOperatorError) as error:
                    say(str(error))
                    return unknown(f"bounds: {error}")
                found, left = self._attempt(instance, observation, more, forms.method, about)
                tried = "".join(f" ({text})" for text in forms.fallbacks)
                say(("proved" if found is not None else f"{len(left)} rivals open") + tried)
            if found is not None:
                return found
        return reason

    def _attempt(
        self,
        instance: Instance,
        observation: Observation,
        reach: Reach,
        method: str,
        about: About,
    ) -> tuple[_Proof | None, list[int]]:
        """A certificate over a domain without any fact, or the margins that stay open."""
        state = _ORACLE.prepare(instance, reach)
        decision = _ORACLE.decide(state, FactSet())
        if decision.verdict.status is not Status.PROVED:
            return None, np.flatnonzero(~(decision.margins > SLACK)).tolist()
        core = certificate_core(self.network, observation, reach, "pairs", FactSet(), state)
        envelope = Envelope(core=core, about=about.model_copy(update={"oracle": method}))
        report = check(
            canonical_bytes(envelope),
            self.explainer.model_file,
            core.instance.input_sha256,
            allow_declared=True,
        )
        if not report.accepted:
            return None, list(range(len(instance.rivals)))
        return _Proof(method, (envelope,), (report,)), []

    def _top(self, region: Region, observation: Observation, k: int) -> TopK | None:
        """Which prototypes can be, and must be, among the k most activated over the region."""
        head = self.network.head
        cover = refinements(region)[-1].cover()
        try:
            found = activations(head, encoder_bounds(self.network, cover))
        except BoundsError:
            return None
        at = head.activation(head.measurement(observation.latent.astype(np.float64)))
        # float32 rounding may have put the observed values a little outside
        low = np.minimum(found.low.min(axis=0), at)
        return top_k(low, np.maximum(found.high.max(axis=0), at), at, k)

    def _lirpa(self) -> Lirpa:
        if self._engine is None:
            self._engine = Lirpa(self.network, self.device)
        return self._engine

    def sandwich(
        self,
        x: NDArray[np.float32],
        kind: str,
        most: Fraction,
        *,
        method: str = "interval",
        steps: int = 8,
        seed: int = 0,
        timeout: float = 60.0,
    ) -> Sandwich:
        """The largest proved and the smallest refuted radius up to ``most``, by bisection.

        Args:
            x: the centre.
            kind: ``linf``, ``l2`` or ``brightness``.
            most: the largest radius to try.
            method: see :meth:`certify`.
            steps: halvings on each side.
            seed: of the falsifier.
            timeout: seconds after which no further radius is tried.

        Raises:
            UsageError: another kind.
            InternalError: a radius is proved that is not below a refuted one.
        """
        deadline = time.perf_counter() + timeout
        predicted = self.network.observe(x).predicted

        def refutes(radius: Fraction) -> bool:
            region = self._ball(kind, x, radius)
            found = attack(self.network, region, predicted, seed=seed, device=self.device)
            return found is not None

        def proves(radius: Fraction) -> bool:
            left = max(0.0, deadline - time.perf_counter())
            region = self._ball(kind, x, radius)
            result = self.certify(region, method=method, falsify=False, timeout=left)
            return result.verdict.status is Status.PROVED

        refuted = _bisect(most, lambda r: not refutes(r), steps, deadline)[1]
        top = most if refuted is None else refuted
        proved = _bisect(top, proves, steps, deadline)[0]
        if proved is not None and refuted is not None and proved >= refuted:
            raise InternalError(f"radius {proved} is proved and {refuted} refuted; please report")
        return Sandwich(kind, proved, refuted)

    def _ball(self, kind: str, x: NDArray[np.float32], radius: Fraction) -> Region:
        domain = self.network.input_range
        kinds: dict[str, Callable[[], Region]] = {
            "linf": lambda: LinfBall(x, domain, radius),
            "l2": lambda: L2Ball(x, domain, radius),
            "brightness": lambda: Brightness(x, domain, radius),
        }
        if kind not in kinds:
            raise UsageError(f"region {kind}: it has no radius; use " + ", ".join(kinds))
        return kinds[kind]()


def certify(
    network: Network | str | Path, region: Region, *, device: str = "cpu", **options: Any
) -> Certified:
    """Prove or refute one region; see :meth:`Certifier.certify` for the options.

    For many regions of one network, keep a :class:`Certifier`: it computes what they share once.
    """
    known = network if isinstance(network, Network) else load(network)
    return Certifier(known, device).certify(region, **options)


def _bisect(
    most: Fraction, holds: Callable[[Fraction], bool], steps: int, deadline: float
) -> tuple[Fraction | None, Fraction | None]:
    """(a radius where ``holds``, one where not), close together; None where there is none."""
    if holds(most):
        return most, None
    if not holds(Fraction(0)):
        return None, Fraction(0)
    low, high = Fraction(0), most
    for _ in range(steps):
        middle = Fraction(round((low + high) / 2 * _GRID), _GRID)
        if not low < middle < high or time.perf_counter() > deadline:
            break
        if holds(middle):
            low = middle
        else:
            high = middle
    return low, high


def _further(method: str) -> tuple[str, ...]:
    """What is tried after intervals."""
    if method == "interval" or (method == "auto" and not available()):
        return ()
    return ("crown-ibp", "crown") if method == "auto" else (method,)


def _interval_name(region: Region) -> str:
    parts = region.parts if isinstance(region, Brightness) else 1
    return "interval" if parts == 1 else f"interval, {parts} parts"
