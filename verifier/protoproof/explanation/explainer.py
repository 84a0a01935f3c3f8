"""The order of stages, written once: observe, propose facts, build the certificate, check it."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray

from protoproof.backend import Engine, engine_named
from protoproof.certificate.canonical import canonical_bytes
from protoproof.certificate.schema import About, Core, Envelope, SizeBound
from protoproof.errors import ModelError
from protoproof.explanation.answer import answer
from protoproof.explanation.certifiable import checkers_reading
from protoproof.explanation.choosing import Choosing
from protoproof.explanation.level import Levels, levels_of, missed
from protoproof.explanation.minimum import Proof, smallest, stated
from protoproof.explanation.options import ExplainKeywords, ExplainOptions
from protoproof.explanation.prediction import undecided_prediction
from protoproof.explanation.question import Question
from protoproof.explanation.result import OUT_OF_TIME, Attempt, Explanation
from protoproof.kernel import CheckReport, ModelFile, check
from protoproof.length import numbers
from protoproof.network import Network, Observation, load
from protoproof.network.head.head import Head
from protoproof.network.onnx.node import printable
from protoproof.prover.counterexample.needed import Found, Needed
from protoproof.prover.counterexample.witness import needed
from protoproof.prover.latent.domain import Domain, bounding_name, domain_from_name
from protoproof.prover.latent.facts import FactSet
from protoproof.prover.latent.gram import distances_between
from protoproof.prover.latent.instance import Instance
from protoproof.prover.latent.time_limit import until
from protoproof.prover.oracle.memory import require_memory
from protoproof.prover.proof.encode import stored_superfluous, stored_witnesses
from protoproof.prover.search.names import VOCABULARIES, WORDS, Vocabulary
from protoproof.prover.search.search import Candidate
from protoproof.verdict import Verdict, judged


class Explainer:
    """Explains predictions of one network; what does not depend on the input is computed once.

    Args:
        network: the network.
        device: where searches for witnesses and refutations run, ``cpu`` or ``cuda``. Whatever
            they find is replayed exactly, so a device changes how long they take and nothing else.

    Raises:
        UsageError: there is no such device here.
        ModelError: the checker reads no head, or another one, so that nothing could be certified.
    """

    def __init__(self, network: Network, device: str | Engine = "cpu") -> None:
        self.network = network
        self.engine = engine_named(device) if isinstance(device, str) else device
        self.gram = distances_between(network.head.prototypes)
        self.model_file = ModelFile(network.data, network.files)
        reading = checkers_reading(network, self.model_file)
        self._unrounded = reading.unrounded
        if reading.objection:
            raise ModelError(
                f"{printable(network.path, 400)}: explanations cannot be certified: "
                f"{reading.objection}"
            )

    def instance(self, observation: Observation, labels: tuple[int, ...] = ()) -> Instance:
        """The latent of an observation, measured in float64.

        Args:
            labels: of a head about labels, those that are explained; none for all.

        Raises:
            FragileError: the runtime's results are farther from the head over the reals than
                float32 rounding explains.
        """
        self.network.check_head(observation)
        latent = observation.latent.astype(np.float64)
        return self.instance_at(latent, observation.predicted, labels)

    def instance_at(
        self,
        latent: NDArray[np.float64],
        predicted: int | None = None,
        labels: tuple[int, ...] = (),
    ) -> Instance:
        """A latent [L, D] of float32 numbers, measured in float64.

        Args:
            predicted: its class; None for the one that the head gives it.
            labels: see :meth:`instance`.
        """
        head = self.network.head
        measurement = head.measurement(latent)
        activation = head.activation(measurement)
        if predicted is None:
            predicted = int(np.argmax(head.logits(activation)))
        return Instance(
            head,
            latent,
            measurement,
            activation,
            predicted,
            self.gram,
            self.engine,
            labels,
            self._unrounded,
        )

    def explain(
        self,
        x: NDArray[np.float32],
        options: ExplainOptions | None = None,
        *,
        about: About | None = None,
        **keywords: Unpack[ExplainKeywords],
    ) -> Explanation:
        """The smallest proved explanation of the prediction for ``x`` ([C, H, W], raw range).

        Args:
            x: the input, in the range that the network declares.
            options: how to explain; the defaults if not given.
            about: what to record beside the certificate's core.
            keywords: fields of the options that differ from those given.

        Raises:
            InputError: ``x`` has the wrong shape, type or range.
            UsageError: see the options; a domain that is unknown, that the network does not
                guarantee, or that the latent of ``x`` is not in.
            FragileError: runtime and exact arithmetic disagree about ``x``.
        """
        started = time.perf_counter()
        options = replace(options or ExplainOptions(), **keywords)
        options.require_one()
        options.require_installed()
        require_memory(self.network.head, options.vocabulary, options.oracle)
        if options.level == "F":
            self.levels.require()
        question = self.question(self.network.observe(x), options, about)
        undecided = undecided_prediction(
            question.instance, question.observation, self.network.class_names
        )
        if undecided is not None:
            return answer(question, self.network, undecided, (), None, started)
        deadline = started + (math.inf if options.timeout is None else options.timeout)
        words = self._vocabularies(options.vocabulary)
        choosing = Choosing(self, question, words, deadline)
        attempts, best = choosing.made()
        unfinished = choosing.unfinished
        if best is not None and options.minimal == "minimum":
            proof = self._smallest(question, best[2], best[3], deadline)
            best = (len(proof.facts), *best[1:3], proof)
            read = numbers(proof.facts, len(question.instance.measurement))
            changed: dict[str, Any] = {
                "size": best[0],
                "certificate": proof.certificate,
                "numbers": read,
            }
            attempts = [replace(a, **changed) if a.vocabulary == best[2] else a for a in attempts]
        if best is not None and options.witnesses and options.minimal == "minimum":
            with until(deadline) as limit:
                best = (*best[:3], self._witnessed(question, best[3]))
            if limit.cut:
                unfinished.append("witnesses were not looked for to the end")
        verdict = _unproved(attempts) if best is None else judged(best[3].check.conditions)
        found = answer(question, self.network, verdict, attempts, best, started)
        return replace(found, unfinished=tuple(unfinished))

    def question(
        self, observation: Observation, options: ExplainOptions, about: About | None = None
    ) -> Question:
        """What is asked about an observed input.

        Raises:
            UsageError: see :meth:`domain`; the latent is not in the domain.
            FragileError: see :meth:`instance`.
        """
        domain = self.domain(options.domain, observation)
        instance = self.instance(observation, self.network.labels(options.label))
        domain.require(instance.latent)
        return Question(observation, instance, domain, options, about or About())

    def domain(self, name: str | Domain, observation: Observation) -> Domain:
        """The domain that ``explain`` calls ``name``.

        Raises:
            UsageError: an unknown name, or a domain that the network does not guarantee.
        """
        if not isinstance(name, str):
            return name
        if ":" not in name:
            head, latent_range = self.network.head, self.network.latent_range
            name = bounding_name(name, latent_range, head.geometry)
            return domain_from_name(name, latent_range, head.channels)
        from protoproof.region.bounds.latent_bounds import named_reach

        return named_reach(self.network, name, observation)

    def _vocabularies(self, asked: str) -> list[Vocabulary]:
        """The vocabularies to try; by default those that the head has."""
        if asked != "auto":
            return [word for word in WORDS if word == asked]
        return vocabularies_of(self.network.head)

    def certified(
        self,
        question: Question,
        vocabulary: Vocabulary,
        found: Candidate,
        size_bound: SizeBound | None = None,
    ) -> Proof | None:
        """The certificate of a set, if the checker finds every obligation met."""
        return self.attempted(question, vocabulary, found, size_bound)[0]

    @cached_property
    def levels(self) -> Levels:
        """What is known about float32 executions of the network's head."""
        return levels_of(self.network, self.model_file)

    def attempted(
        self,
        question: Question,
        vocabulary: Vocabulary,
        found: Candidate,
        size_bound: SizeBound | None = None,
        *,
        deadline: float | None = None,
    ) -> tuple[Proof | None, CheckReport, Core, bool]:
        """The certificate of a set, or None, and what the checker says; its core; and whether
        there was no time for all witnesses.

        At level F where the facts prove it, unless only R is asked for; at R where they do not,
        unless F is.

        Args:
            deadline: until when witnesses are sought; None for none at all.
        """
        core, facts = stated(
            self.network,
            question.observation,
            question.domain,
            vocabulary,
            found,
            question.options.widen,
        )
        core, cut = core.model_copy(update={"size_bound": size_bound}), False
        if deadline is not None:
            with until(deadline) as limit:
                known = needed(question.instance, question.domain, facts)
            cut = limit.cut
            if known.found or known.spared:
                seen = core.model_copy(update=self._stored(question, facts, known))
                proof, report = self._at_its_level(question, found, facts, core, seen)
                # a witness that the checker refuses would take the whole certificate with it
                if proof is not None:
                    return proof, report, core, cut
        proof, report = self._at_its_level(question, found, facts, core, core)
        return proof, report, core, cut

    def _at_its_level(
        self, question: Question, found: Candidate, facts: FactSet, bare: Core, core: Core
    ) -> tuple[Proof | None, CheckReport]:
        """``core``, which is ``bare`` and perhaps witnesses, at the level that it is proved at."""
        about = question.about.model_copy(update={"oracle": found.oracle})
        level, reason = question.options.level, ""
        if level != "R":
            reason = self.levels.objection(core)
            if not reason and level == "auto" and bare is not core and self.levels.doubtful:
                # mostly missed: found out without the witnesses, which would be checked twice
                reason = missed(self.checked(Envelope(core=self.levels.at_f(bare), about=about)))
            if not reason:
                envelope = Envelope(core=self.levels.at_f(core), about=about)
                report = self.checked(envelope)
                reason = missed(report)
                if report.met or level == "F" or not reason:
                    proof = Proof(facts, found, envelope, report) if report.met else None
                    return proof, report
        envelope = Envelope(core=core, about=about)
        report = self.checked(envelope)
        proof = Proof(facts, found, envelope, report, level_reason=reason) if report.met else None
        return proof, report

    def _smallest(
        self, question: Question, vocabulary: Vocabulary, proof: Proof, deadline: float
    ) -> Proof:
        """A smallest explanation, or the best one with what the checker accepts of the bound."""

        def certify(found: Candidate, bound: SizeBound | None) -> Proof | None:
            return self.certified(question, vocabulary, found, bound)

        better, reason = smallest(
            question.instance, question.domain, vocabulary, proof.found, deadline, certify
        )
        return replace(better or proof, gap_reason=reason)

    def _witnessed(self, question: Question, proof: Proof) -> Proof:
        """The same proof with the witnesses that a search finds."""
        known = needed(question.instance, question.domain, proof.facts)
        return self._extended(proof, self._stored(question, proof.facts, known))

    @staticmethod
    def _stored(question: Question, facts: FactSet, known: Needed) -> dict[str, Any]:
        """What a certificate says of single facts: which are necessary, and which superfluous."""
        return {
            "witnesses": stored_witnesses(known.witnesses),
            "superfluous": stored_superfluous(
                question.instance, question.domain, facts, known.spared
            ),
        }

    def with_witnesses(self, proof: Proof, found: Sequence[Found]) -> Proof:
        """The same proof with witnesses, if the checker accepts them."""
        return self._extended(proof, {"witnesses": stored_witnesses(found)})

    def _extended(self, proof: Proof, more: dict[str, Any]) -> Proof:
        """The same proof with more fields of the core, if the checker accepts them."""
        core = proof.certificate.core.model_copy(update=more)
        envelope = proof.certificate.model_copy(update={"core": core})
        report = self.checked(envelope)
        # a witness that the checker refuses would take the whole certificate with it
        better = replace(proof, certificate=envelope, check=report)
        return better if report.met else proof

    def checked(self, envelope: Envelope) -> CheckReport:
        """What the checker says about a certificate of this network."""
        digest = envelope.core.instance.input_sha256
        return check(canonical_bytes(envelope), self.model_file, digest)


def vocabularies_of(head: Head) -> list[Vocabulary]:
    """The vocabularies that a head has, in the order in which they are tried."""
    words = [word for word in VOCABULARIES if word != "pairs" or head.all_nearest]
    return ["path", *words] if head.decision.kind == "tree" else words


def _unproved(attempts: Sequence[Attempt]) -> Verdict:
    """Why nothing is proved: time, where there was none; else what the first vocabulary says."""
    verdicts = [attempt.verdict for attempt in attempts]
    late = (verdict for verdict in verdicts if verdict.reason.startswith(OUT_OF_TIME))
    return next(late, verdicts[0])


def explain(
    network: Network | str | Path,
    x: NDArray[np.float32],
    options: ExplainOptions | None = None,
    *,
    device: str = "cpu",
    **keywords: Unpack[ExplainKeywords],
) -> Explanation:
    """Explain one prediction; see :class:`Explainer` and :meth:`Explainer.explain`.

    ``explain(network, x, vocabulary="pairs", minimal="minimum")``: the keywords are the fields of
    :class:`protoproof.explanation.options.ExplainOptions`. For many inputs of one network, keep an
    :class:`Explainer`: it computes what the inputs share once.
    """
    known = network if isinstance(network, Network) else load(network)
    return Explainer(known, device).explain(x, options, **keywords)
