"""Is every input of a region predicted alike? The order of stages, cheapest first.

Falsify; bound the encoder by intervals and prove every margin over the box of latents, prototypes
together; refine the cover; bound linear forms by our own propagation; cut the region into parts; or
ask auto_LiRPA for the forms. PROVED counts only when the checker has accepted the certificate,
REFUTED only with an input that ONNX Runtime predicts differently.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from protoproof.backend import engine_named
from protoproof.certificate.canonical import canonical_bytes
from protoproof.certificate.schema import About, Core, Envelope
from protoproof.certification.branch_and_bound import Branching, Undecided, core_of_parts
from protoproof.certification.invariance import candidates
from protoproof.certification.result import Certified, Sandwich, StageLog
from protoproof.certification.task import StageProof, Task, Watch
from protoproof.errors import (
    BoundsError,
    InputError,
    InternalError,
    UnsupportedOperatorError,
    UsageError,
)
from protoproof.explanation.explainer import Explainer
from protoproof.kernel import check
from protoproof.network import Network, Observation, load
from protoproof.prover.latent.facts import FactSet
from protoproof.prover.latent.instance import Instance
from protoproof.prover.latent.reach import Reach
from protoproof.prover.oracle.relational import RelationalOracle
from protoproof.prover.proof.encode import certificate_core
from protoproof.prover.relaxation.intervals import SLACK
from protoproof.region.bounds.attack import Counterexample, attack
from protoproof.region.bounds.interval import encoder_bounds
from protoproof.region.bounds.latent_bounds import (
    interval_name,
    reach_of,
    refinements,
    with_forms,
    with_propagation,
)
from protoproof.region.bounds.linear import UNITS
from protoproof.region.bounds.lirpa import METHODS, Lirpa
from protoproof.region.bounds.margins import TopK, activations, top_k
from protoproof.region.bounds.partition import worth_cutting
from protoproof.region.bounds.radius import ball, bisect
from protoproof.region.sets.region import LinfBall, Region
from protoproof.region.sets.transformations import Shifts
from protoproof.verdict import PROVED, REFUTED, Status, Verdict, unknown

WAYS = ("auto", *UNITS, "branch", *METHODS)
TOP = 10
_ORACLE = RelationalOracle()


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
        watch: Watch | None = None,
        explanation: Core | Literal["region"] | None = None,
    ) -> Certified:
        """Whether every input of the region is predicted as its centre is.

        Args:
            region: the inputs.
            method: ``auto`` (intervals, then ``linear``, ``linear-deep``, and ``branch`` where few
                quantities vary; the checker replays all), or the one to try after intervals: any of
                these, or by auto_LiRPA ``crown-ibp``, ``crown``, ``alpha-crown``; ``interval``
                tries no other.
            expected: the class that must be predicted; None for that of the centre.
            falsify: search counterexamples first.
            seed: of the falsifier.
            timeout: seconds after which no further stage starts, nor a further round of cuts.
            top: k of the top-k sets.
            about: what to record beside each certificate's core.
            watch: told how far branch and bound is, after every round.
            explanation: prove that the facts of this explanation of the centre hold all over the
                region (with wider intervals if need be); ``region``: of facts that are chosen for
                it. No other method is tried then.

        Raises:
            UsageError: an unknown method.
            InputError: the network has one class only, or the centre is no input of it.
            FragileError: runtime and head disagree about the centre.
        """
        if method not in WAYS:
            raise UsageError(f"--method {method}: unknown; use " + ", ".join(WAYS))
        begun, log = time.perf_counter(), StageLog()
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
        proof: StageProof | Counterexample | Verdict | None = found
        if found is not None:
            pass
        elif wanted != observation.predicted:
            name = self.network.class_names[wanted]
            proof = unknown(f"numerically fragile: the centre is not {name}")
        else:
            task = Task(
                observation, method, log, begun + timeout, about or About(), watch, explanation
            )
            proof = self._prove(region, task)
        if isinstance(proof, Verdict):
            answer = replace(answer, verdict=proof)
        elif isinstance(proof, Counterexample):
            name = self.network.class_names[proof.observation.predicted]
            answer = replace(
                answer, verdict=REFUTED, counterexample=proof, counterexample_name=name
            )
        elif proof is not None:
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

    def _prove(self, region: Region, task: Task) -> StageProof | Counterexample | Verdict:
        """A certificate per piece of the region, or why there is none."""
        if not isinstance(region, Shifts):
            return self._one(region, task)
        proofs: list[StageProof] = []
        for image in region.images():
            point = LinfBall(image, region.domain, Fraction(0))
            seen = self.network.observe(image)
            if seen.predicted != task.observation.predicted:
                return unknown("numerically fragile: a shifted image is predicted otherwise")
            proof = self._one(point, replace(task, observation=seen, log=StageLog()))
            if not isinstance(proof, StageProof):
                return proof
            proofs.append(proof)
        return StageProof(
            f"{proofs[0].method}, {len(proofs)} images",
            tuple(p.certificates[0] for p in proofs),
            tuple(p.checks[0] for p in proofs),
        )

    def _one(self, region: Region, task: Task) -> StageProof | Counterexample | Verdict:
        instance = self.explainer.instance(task.observation)
        if not instance.rivals:
            raise InputError("the network has one class only: every prediction is the same")
        if not float(instance.margins.min()) > SLACK:
            return unknown("tie: exact arithmetic does not separate the prediction at the centre")
        if task.explanation is not None:
            return self._held(region, instance, task, task.explanation)
        reason = open_margin = unknown("margin: no bound that was tried proves it")
        reach: Reach | None = None
        covers = refinements(region)
        # parts that are cut where it matters do better than equal ones
        for finer in covers[:1] if task.method in ("auto", "branch") else covers:
            if reach is not None and task.late:
                return unknown("timeout")
            with task.log.stage(interval_name(finer)) as say:
                try:
                    reach = reach_of(self.network, finer, instance.latent)
                except BoundsError as error:
                    say(str(error))
                    return unknown(f"bounds: {error}")
                found, open_ = self._attempt(instance, task, reach, "interval")
                say("proved" if found is not None else f"{len(open_)} rivals open")
            if found is not None:
                return found
        for name in _further(task.method, region):
            if task.late:
                return unknown("timeout") if reason is open_margin else reason
            if reach is None or not open_:
                break
            with task.log.stage(name) as say:
                try:
                    if name == "branch":
                        outcome = self._branch(region, instance, task, say)
                        if not isinstance(outcome, Verdict):
                            return outcome
                        reason = outcome
                        continue
                    if name in UNITS:
                        more, forms = with_propagation(self.network, region, instance, open_, name)
                    else:
                        more, forms = with_forms(
                            reach, self._lirpa(), region, instance, open_, name
                        )
                except (BoundsError, UnsupportedOperatorError) as error:
                    say(str(error))
                    reason = unknown(f"bounds: {error}")
                    continue
                found, left = self._attempt(instance, task, more, forms.method)
                tried = "".join(f" ({text})" for text in forms.fallbacks)
                say(("proved" if found is not None else f"{len(left)} rivals open") + tried)
            if found is not None:
                return found
        return reason

    def _held(
        self, region: Region, instance: Instance, task: Task, asked: Core | Literal["region"]
    ) -> StageProof | Verdict:
        """An explanation whose facts hold all over the region."""
        with task.log.stage("explanation") as say:
            given = None if asked == "region" else asked
            try:
                tried = candidates(self.explainer, region, task.observation, instance, given)
                for words, core in tried:
                    proof = self._checked(core, f"explanation, {words}", task)
                    if proof is not None:
                        say(f"{len(core.facts)} facts hold: {words}")
                        return proof
            except BoundsError as error:
                say(str(error))
                return unknown(f"bounds: {error}")
            say("no facts that hold over the region force the class")
        return unknown("explanation: no facts that hold over the region force the class")

    def _branch(
        self, region: Region, instance: Instance, task: Task, say: Callable[[str], None]
    ) -> StageProof | Counterexample | Verdict:
        """Cut the region into parts that are proved one by one."""
        found = Branching(self.network, instance, task.deadline, task.watch).run(region)
        if isinstance(found, Counterexample):
            say("refuted")
            return found
        say(f"{found.progress.done} parts proved, {found.progress.open} open")
        if isinstance(found, Undecided):
            return unknown(f"{found.reason}: {found.progress}")
        core = core_of_parts(self.network, task.observation, instance, region, found)
        proof = self._checked(core, "branch", task)
        return proof or unknown("uncertified: the checker did not accept the parts")

    def _attempt(
        self, instance: Instance, task: Task, reach: Reach, method: str
    ) -> tuple[StageProof | None, list[int]]:
        """A certificate over a domain without any fact, or the margins that stay open."""
        state = _ORACLE.prepare(instance, reach)
        decision = _ORACLE.decide(state, FactSet())
        if decision.verdict.status is not Status.PROVED:
            return None, np.flatnonzero(~(decision.margins > SLACK)).tolist()
        core = certificate_core(self.network, task.observation, reach, "pairs", FactSet(), state)
        proof = self._checked(core, method, task)
        return proof, [] if proof is not None else list(range(len(instance.rivals)))

    def _checked(self, core: Core, method: str, task: Task) -> StageProof | None:
        envelope = Envelope(core=core, about=task.about.model_copy(update={"oracle": method}))
        report = check(
            canonical_bytes(envelope),
            self.explainer.model_file,
            core.instance.input_sha256,
            allow_declared=True,
        )
        return StageProof(method, (envelope,), (report,)) if report.accepted else None

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
            region = ball(kind, x, self.network.input_range, radius)
            found = attack(self.network, region, predicted, seed=seed, device=self.device)
            return found is not None

        def proves(radius: Fraction) -> bool:
            left = max(0.0, deadline - time.perf_counter())
            region = ball(kind, x, self.network.input_range, radius)
            result = self.certify(region, method=method, falsify=False, timeout=left)
            return result.verdict.status is Status.PROVED

        refuted = bisect(most, lambda r: not refutes(r), steps, deadline)[1]
        top = most if refuted is None else refuted
        proved = bisect(top, proves, steps, deadline)[0]
        if proved is not None and refuted is not None and proved >= refuted:
            raise InternalError(f"radius {proved} is proved and {refuted} refuted; please report")
        return Sandwich(kind, proved, refuted)


def certify(
    network: Network | str | Path, region: Region, *, device: str = "cpu", **options: Any
) -> Certified:
    """Prove or refute one region; see :meth:`Certifier.certify` for the options.

    For many regions of one network, keep a :class:`Certifier`: it computes what they share once.
    """
    known = network if isinstance(network, Network) else load(network)
    return Certifier(known, device).certify(region, **options)


def _further(method: str, region: Region) -> tuple[str, ...]:
    """What is tried after intervals."""
    unasked = (*UNITS, "branch") if worth_cutting(region) else tuple(UNITS)
    return {"auto": unasked, "interval": ()}.get(method, (method,))
