"""The order of stages that prove a region, cheapest first.

Bound the encoder by intervals and prove every margin over the box of latents, prototypes together;
refine the cover; bound linear forms by our own propagation; optimise its lines, and cut units; cut
the region into parts; or ask auto_LiRPA for the forms.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Literal

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from protoproof.certificate.canonical import canonical_bytes
from protoproof.certificate.schema import Core, Envelope
from protoproof.certification.branch_and_bound import (
    Branching,
    Proved,
    core_of_parts,
)
from protoproof.certification.invariance import candidates
from protoproof.certification.result import StageLog
from protoproof.certification.splitting import MOST_CASES, Splitting
from protoproof.certification.task import StageProof, Task
from protoproof.errors import (
    BoundsError,
    InputError,
    UnsupportedOperatorError,
)
from protoproof.explanation.explainer import Explainer
from protoproof.kernel import check
from protoproof.prover.latent.facts import FactSet
from protoproof.prover.latent.instance import Instance
from protoproof.prover.latent.reach import Reach
from protoproof.prover.oracle.relational import RelationalOracle
from protoproof.prover.proof.encode import certificate_core
from protoproof.prover.relaxation.intervals import SLACK
from protoproof.region.bounds.attack import Counterexample
from protoproof.region.bounds.latent_bounds import (
    interval_name,
    reach_of,
    refinements,
    with_forms,
    with_propagation,
)
from protoproof.region.bounds.lirpa import Lirpa
from protoproof.region.bounds.names import SLOPES, SPLIT, UNITS
from protoproof.region.bounds.partition import worth_cutting
from protoproof.region.sets.region import LinfBall, Region
from protoproof.region.sets.transformations import Shifts
from protoproof.verdict import Status, Verdict, unknown
from protoproof.wording import plural

_ORACLE = RelationalOracle()
Forms = Float[NDArray[np.float64], "rival location channel"]


def _open(rivals: Sequence[int]) -> str:
    return f"{len(rivals)} rival{'' if len(rivals) == 1 else 's'} open"


class Stages:
    """Proves regions of one network.

    Args:
        explainer: of the network.
        device: where auto_LiRPA runs.
    """

    def __init__(self, explainer: Explainer, device: str) -> None:
        self.explainer, self.network, self.device = explainer, explainer.network, device
        self._engine: Lirpa | None = None
        self._objection = ""  # why the checker did not accept what was proved

    def prove(self, region: Region, task: Task) -> StageProof | Counterexample | Verdict:
        """A certificate per piece of the region, or why there is none."""
        self._objection = ""
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
            f"{proofs[0].method}, {plural(len(proofs), 'image')}",
            tuple(p.certificates[0] for p in proofs),
            tuple(p.checks[0] for p in proofs),
        )

    def _one(self, region: Region, task: Task) -> StageProof | Counterexample | Verdict:
        instance = self.explainer.instance(task.observation)
        if not instance.rivals:
            raise InputError("the network has one class only: every prediction is the same")
        if not float(instance.margins.min()) > SLACK:
            return unknown("tie: exact arithmetic does not separate the prediction at the centre")
        if task.options.explanation is not None:
            return self._held(region, instance, task, task.options.explanation)
        return self._bounded(region, instance, task)

    def along(self, region: Region, task: Task, forms: Forms) -> StageProof | None:
        """By intervals, or else by our own linear bounds of given forms of the latent, one per
        rival, every layer sharpened.

        Raises:
            BoundsError: the walk fails.
        """
        instance = self.explainer.instance(task.observation)
        reach = reach_of(self.network, region, instance.latent)
        for method in ("interval", *UNITS):
            with task.log.stage(method) as say:
                if method != "interval":
                    every = range(len(instance.rivals))
                    reach, _ = with_propagation(
                        self.network, region, instance, every, method, forms
                    )
                found, left = self._attempt(instance, task, reach, method)
                say(found.outcome if found is not None else _open(left))
            if found is not None:
                return found
        return None

    def _bounded(
        self, region: Region, instance: Instance, task: Task
    ) -> StageProof | Counterexample | Verdict:
        """By intervals over ever finer covers, then by what the method goes on with."""
        reach: Reach | None = None
        open_: list[int] = []
        covers = refinements(region)
        # parts that are cut where it matters do better than equal ones
        for finer in covers[:1] if task.options.method in ("auto", "branch") else covers:
            if reach is not None and task.late:
                return unknown("timeout")
            with task.log.stage(interval_name(finer)) as say:
                try:
                    reach = reach_of(self.network, finer, instance.latent)
                except BoundsError as error:
                    say(str(error))
                    return unknown(f"bounds: {error}")
                found, open_ = self._attempt(instance, task, reach, "interval")
                say(found.outcome if found is not None else _open(open_))
            if found is not None:
                return found
        return self._refined(region, instance, task, reach, open_)

    def _refined(
        self, region: Region, instance: Instance, task: Task, reach: Reach | None, open_: list[int]
    ) -> StageProof | Counterexample | Verdict:
        """What intervals leave open: linear bounds, branch and bound, auto_LiRPA."""
        reason = open_margin = unknown("margin: no bound that was tried proves it")
        for name in _further(task.options.method, region):
            if task.late:
                return unknown("timeout") if reason is open_margin else reason
            if reach is None or not open_:
                break
            outcome: StageProof | Counterexample | Verdict | None
            with task.log.stage(name) as say:
                try:
                    if name == "branch":
                        search = Branching(self.network, instance, task.deadline, task.watch)
                        outcome = self._searched(search, region, instance, task, name, say)
                    elif name in (SLOPES, SPLIT):
                        outcome = self._searched(
                            self._splitting(instance, task, name), region, instance, task, name, say
                        )
                    else:
                        outcome = self._linear(region, instance, task, reach, open_, name, say)
                except (BoundsError, UnsupportedOperatorError) as error:
                    say(str(error))
                    outcome = unknown(f"bounds: {error}")
            if isinstance(outcome, Verdict):
                reason = outcome
            elif outcome is not None:
                return outcome
        if reason is open_margin and self._objection:
            return unknown(f"uncertified: {self._objection}")
        return reason

    def _linear(
        self,
        region: Region,
        instance: Instance,
        task: Task,
        reach: Reach,
        open_: list[int],
        name: str,
        say: Callable[[str], None],
    ) -> StageProof | None:
        """By linear bounds of the open margins, ours or auto_LiRPA's."""
        if name in UNITS:
            more, forms = with_propagation(self.network, region, instance, open_, name)
        else:
            more, forms = with_forms(reach, self._lirpa(), region, instance, open_, name)
        found, left = self._attempt(instance, task, more, forms.method)
        tried = "".join(f" ({text})" for text in forms.fallbacks)
        say((found.outcome if found is not None else _open(left)) + tried)
        return found

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
                        say(f"{plural(len(core.facts), 'fact')} over the region: {words}")
                        return proof
            except BoundsError as error:
                say(str(error))
                return unknown(f"bounds: {error}")
            say("no facts that hold over the region force the class")
        return unknown("explanation: no facts that hold over the region force the class")

    def _splitting(self, instance: Instance, task: Task, name: str) -> Splitting:
        """The search over units that are cut; one case is lines alone."""
        return Splitting(
            self.network,
            instance,
            1 if name == SLOPES else MOST_CASES,
            task.deadline,
            task.watch,
            patient=task.options.method == name,
        )

    def _searched(
        self,
        search: Branching | Splitting,
        region: Region,
        instance: Instance,
        task: Task,
        name: str,
        say: Callable[[str], None],
    ) -> StageProof | Counterexample | Verdict:
        """Cut the region into parts, by inputs or by units, that are proved one by one."""
        found = search.run(region)
        if isinstance(found, Counterexample):
            say("refuted")
            return found
        say(f"{plural(found.progress.done, 'part')} proved, {found.progress.open:,} open")
        if not isinstance(found, Proved):
            return unknown(f"{found.reason}: {found.progress}")
        core = core_of_parts(self.network, task.observation, instance, region, found)
        alone = name == SPLIT and len(found.nodes) == 1
        proof = self._checked(core, SLOPES if alone else name, task)
        return proof or unknown(f"uncertified: {self._objection or 'the parts'}")

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
        )
        if not report.met and report.failures:
            self._objection = report.failures[0].detail
        return StageProof(method, (envelope,), (report,)) if report.met else None

    def _lirpa(self) -> Lirpa:
        if self._engine is None:
            self._engine = Lirpa(self.network, self.device)
        return self._engine


def _further(method: str, region: Region) -> tuple[str, ...]:
    """What is tried after intervals."""
    unasked = ("linear", SLOPES, "branch", SPLIT) if worth_cutting(region) else ("linear", SPLIT)
    return {"auto": unasked, "interval": ()}.get(method, (method,))
