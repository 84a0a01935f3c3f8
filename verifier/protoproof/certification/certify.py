"""Is every input of a region predicted alike? Falsify, prove, and say which prototypes may lead.

PROVED counts only when the checker has accepted the certificate (what rests on auto_LiRPA's word is
UNKNOWN: conditional), REFUTED only with an input that ONNX Runtime predicts differently.
"""

from __future__ import annotations

import time
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Unpack, overload

import numpy as np
from numpy.typing import NDArray

from protoproof.backend import engine_named
from protoproof.certificate.canonical import core_digest
from protoproof.certificate.schema import About
from protoproof.certification.options import CertifyKeywords, CertifyOptions
from protoproof.certification.result import Certified, Closest, Sandwich, StageLog
from protoproof.certification.stages import Stages
from protoproof.certification.task import StageProof, Task, Watch
from protoproof.certification.tiles import asked, prove_tiles
from protoproof.errors import (
    BoundsError,
    InputError,
    InternalError,
    UsageError,
)
from protoproof.explanation.evidence import Question, asked_of_region
from protoproof.explanation.explainer import Explainer
from protoproof.network import Network, Observation, load
from protoproof.region.bounds.attack import Counterexample, Flip, Found, attack
from protoproof.region.bounds.interval import encoder_bounds
from protoproof.region.bounds.latent_bounds import (
    refinements,
)
from protoproof.region.bounds.margins import TopK, activations, top_k
from protoproof.region.bounds.radius import ball, bisect
from protoproof.region.sets.kept import Kept
from protoproof.region.sets.region import Region
from protoproof.region.sets.yaml_file import load_region
from protoproof.verdict import REFUTED, Status, Verdict, unknown


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
        self.stages = Stages(self.explainer, device)

    def certify(
        self,
        region: Region,
        options: CertifyOptions | None = None,
        *,
        about: About | None = None,
        watch: Watch | None = None,
        **keywords: Unpack[CertifyKeywords],
    ) -> Certified:
        """Whether every input of the region is predicted as its centre is.

        Args:
            region: the inputs.
            options: how to decide; the defaults if not given.
            about: what to record beside each certificate's core.
            watch: told how far branch and bound is, after every round.
            keywords: fields of the options that differ from those given.

        Raises:
            UsageError: see the options; a head whose margins no box of latents bounds here.
            InputError: the network has one class only, or the centre is no input of it.
            FragileError: runtime and head disagree about the centre.
        """
        options = replace(options or CertifyOptions(), **keywords)
        require_bounded(self.network)
        begun, log = time.perf_counter(), StageLog()
        observation = self.network.observe(region.centre)
        names = self.network.class_names
        wanted = observation.predicted if options.expected is None else options.expected
        if not 0 <= wanted < len(names):
            raise InputError(f"class {wanted}: the network has {len(names)}")
        if options.keep is not None:
            deadline = begun + options.timeout
            task = Task(observation, options, log, deadline, about or About(), watch)
            return self._tiles(asked(region, options.keep), task, begun)
        closest = Closest(wanted)
        found = self._falsified(region, observation, closest, options, log)
        proof: StageProof | Counterexample | Verdict | None
        proof = unknown(found.words(names)) if isinstance(found, Flip) else found
        if proof is None and wanted != observation.predicted:
            proof = unknown(f"numerically fragile: the centre is not {names[wanted]}")
        if proof is None:
            deadline = begun + options.timeout
            task = Task(observation, options, log, deadline, about or About(), watch)
            proof = self.stages.prove(region, task)
        answer = self._answer(str(region), observation, proof)
        with log.stage("top-k") as say:
            sets = self._top(region, observation, options.top)
            say("unknown" if sets is None else f"{len(sets.certain)} certain")
        spent = time.perf_counter() - begun
        question = self.question(region, options)
        return replace(
            answer,
            stages=tuple(log.stages),
            top=sets,
            seconds=spent,
            question=question,
            closest=closest if closest.tried else None,
        )

    def _tiles(self, region: Kept, task: Task, begun: float) -> Certified:
        """Which tiles have to stay."""
        proof, tiles = prove_tiles(self.stages, region, task)
        answer = self._answer(
            str(region if tiles is None else tiles.region), task.observation, proof
        )
        return replace(
            answer,
            stages=tuple(task.log.stages),
            tiles=tiles,
            seconds=time.perf_counter() - begun,
            question=self.question(region, task.options),
        )

    def question(self, region: Region, options: CertifyOptions) -> Question:
        """What is asked, as plain data: network, input, region, class, and facts that should hold.

        How it is answered is no part of it.
        """
        facts = options.explanation
        tiles = {} if options.keep is None else {"keep": options.keep}
        return (
            asked_of_region(self.network, region)
            | tiles
            | {
                "expected": options.expected,
                "explanation": facts
                if facts is None or isinstance(facts, str)
                else core_digest(facts),
            }
        )

    def _falsified(
        self,
        region: Region,
        observation: Observation,
        closest: Closest,
        options: CertifyOptions,
        log: StageLog,
    ) -> Found:
        """An input that is predicted otherwise than wanted, if a search finds one.

        A region whose float32 execution is seen to flip is never called proved.
        """
        with log.stage("falsify") as say:
            found: Found = None
            wanted = closest.wanted
            if options.falsify or wanted != observation.predicted:
                found = attack(
                    self.network,
                    region,
                    wanted,
                    seed=options.seed,
                    device=self.device,
                    watch=closest,
                )
            told = {Counterexample: "refuted", Flip: "float32 differs"}.get(type(found))
            say(told or ("nothing found" if options.falsify else "skipped"))
        return found

    def _answer(
        self,
        region: str,
        observation: Observation,
        proof: StageProof | Counterexample | Verdict,
    ) -> Certified:
        """What the stages came to, in the answer's words."""
        names = self.network.class_names
        verdict = proof if isinstance(proof, Verdict) else unknown("not decided")
        name = names[observation.predicted]
        answer = Certified(verdict, region, observation, name, "", ())
        if isinstance(proof, Counterexample):
            other = names[proof.observation.predicted]
            return replace(answer, verdict=REFUTED, counterexample=proof, counterexample_name=other)
        if isinstance(proof, StageProof):
            return replace(
                answer,
                verdict=proof.verdict,
                method=proof.method,
                certificates=proof.certificates,
                checks=proof.checks,
            )
        return answer

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
            return isinstance(found, Counterexample)

        def proves(radius: Fraction) -> bool:
            left = max(0.0, deadline - time.perf_counter())
            region = ball(kind, x, self.network.input_range, radius)
            # the search also sees float32 executions that flip
            result = self.certify(region, method=method, seed=seed, timeout=left)
            return result.verdict.status is Status.PROVED

        refuted = bisect(most, lambda r: not refutes(r), steps, deadline)[1]
        top = most if refuted is None else refuted
        proved = bisect(top, proves, steps, deadline)[0]
        if proved is not None and refuted is not None and proved >= refuted:
            raise InternalError(f"radius {proved} is proved and {refuted} refuted; please report")
        return Sandwich(kind, proved, refuted)


@overload
def certify(
    network: Network | str | Path,
    region: Region,
    options: CertifyOptions | None = None,
    /,
    *,
    device: str = "cpu",
    **keywords: Unpack[CertifyKeywords],
) -> Certified: ...


@overload
def certify(
    network: Network | str | Path,
    x: NDArray[np.float32],
    region: str,
    options: CertifyOptions | None = None,
    /,
    *,
    device: str = "cpu",
    **keywords: Unpack[CertifyKeywords],
) -> Certified: ...


def certify(
    network: Network | str | Path,
    centre: Region | NDArray[np.float32],
    region: str | CertifyOptions | None = None,
    options: CertifyOptions | None = None,
    /,
    *,
    device: str = "cpu",
    **keywords: Unpack[CertifyKeywords],
) -> Certified:
    """Prove or refute one region; see :meth:`Certifier.certify`.

    ``certify(network, x, "linf:0.02")``: around an input [C, H, W], a region as on the command
    line; or ``certify(network, region)``. The keywords are the fields of
    :class:`protoproof.certification.options.CertifyOptions`. For many regions of one network, keep
    a :class:`Certifier`: it computes what they share once.

    Raises:
        UsageError: no such region, or an array without one.
    """
    known = network if isinstance(network, Network) else load(network)
    if isinstance(centre, Region):
        asked = centre
        options = region if isinstance(region, CertifyOptions) else options
    elif isinstance(region, str):
        asked = load_region(region, np.asarray(centre), known.input_shape, known.input_range)
    else:
        raise UsageError('certify: say around the input what is certified, such as "linf:0.02"')
    return Certifier(known, device).certify(asked, options, **keywords)


def require_bounded(network: Network) -> None:
    """Refuse heads for which there are no bounds over regions of inputs.

    Raises:
        UsageError: measurements are no squared distances to the nearest location, or the decision
            is not linear.
    """
    head = network.head
    if head.plain and head.decision.kind == "linear":
        return
    kinds = ", ".join(sorted(set(head.pooling_of.kinds)))
    raise UsageError(
        "regions of inputs are bounded for heads of squared distances to the nearest location with "
        f"a linear decision; this head has measurements of kind '{head.geometry}', pooling {kinds} "
        f"and the decision '{head.decision.kind}'; ask without a region"
    )
