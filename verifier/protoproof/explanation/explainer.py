"""The order of stages, written once: observe, propose facts, build the certificate, check it."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from protoproof.backend import Engine, engine_named
from protoproof.certificate.canonical import canonical_bytes
from protoproof.certificate.schema import About, Envelope, SizeBound
from protoproof.errors import UsageError
from protoproof.explanation.describe import describe
from protoproof.explanation.minimum import Proof, smallest, stated
from protoproof.explanation.prediction import undecided_prediction
from protoproof.explanation.result import Attempt, Explanation
from protoproof.kernel import CheckReport, ModelFile, check
from protoproof.network import Network, Observation, load
from protoproof.prover.counterexample.witness import Found, find_witnesses
from protoproof.prover.latent.domain import Domain, domain_from_name
from protoproof.prover.latent.facts import FactSet
from protoproof.prover.latent.gram import distances_between
from protoproof.prover.latent.instance import Instance
from protoproof.prover.oracle.memory import require_memory
from protoproof.prover.proof.encode import stored_witnesses
from protoproof.prover.search.search import (
    VOCABULARIES,
    Candidate,
    Vocabulary,
    candidates,
    require_oracle,
)
from protoproof.verdict import PROVED, Verdict, unknown

MINIMAL = ("subset", "minimum", "all")


def require_minimal(name: str) -> None:
    """Refuse a word that names no kind of minimality.

    Raises:
        UsageError: it is not one of :data:`MINIMAL`.
    """
    if name not in MINIMAL:
        raise UsageError(f"--minimal {name}: unknown; use " + ", ".join(MINIMAL))


class Explainer:
    """Explains predictions of one network; what does not depend on the input is computed once.

    Args:
        network: the network.
        device: where searches for witnesses and refutations run, ``cpu`` or ``cuda``. Whatever
            they find is replayed exactly, so a device changes how long they take and nothing else.

    Raises:
        UsageError: there is no such device here.
    """

    def __init__(self, network: Network, device: str | Engine = "cpu") -> None:
        self.network = network
        self.engine = engine_named(device) if isinstance(device, str) else device
        self.gram = distances_between(network.head.prototypes)
        self.model_file = ModelFile(network.data)

    def instance(self, observation: Observation) -> Instance:
        """The latent of an observation, measured in float64.

        Raises:
            FragileError: the runtime's results are farther from the head over the reals than
                float32 rounding explains.
        """
        head = self.network.head
        self.network.check_head(observation)
        latent = observation.latent.astype(np.float64)
        measurement = head.measurement(latent)
        return Instance(
            head,
            latent,
            measurement,
            head.activation(measurement),
            observation.predicted,
            self.gram,
            self.engine,
        )

    def explain(
        self,
        x: NDArray[np.float32],
        *,
        vocabulary: str = "auto",
        domain: str | Domain = "free",
        oracle: str = "auto",
        witnesses: bool = True,
        widen: bool = False,
        minimal: str = "subset",
        timeout: float | None = None,
        about: About | None = None,
    ) -> Explanation:
        """The smallest proved explanation of the prediction for ``x`` ([C, H, W], raw range).

        Args:
            x: the input, in the range that the head description declares.
            vocabulary: ``auto`` (the smallest over all; ``pairs`` that are far more than another
                needs are not made as few as they could be), ``topk``, ``ceiling``, ``mixed`` or
                ``pairs``.
            domain: ``free``, ``box``, ``sphere`` or ``simplex`` (what the encoder's last operator
                guarantees), a region of inputs (``linf:0.02``), or one of
                ``protoproof.prover.latent``.
            oracle: ``auto`` (interval, then relational), ``triangle``, ``interval``,
                ``relational`` or ``cascade``. It bounds pairs; other facts have no location and
                are bounded by intervals. ``branch-and-bound``: all kinds, by cases, after
                ``cascade``. (Older words: ``exact`` for intervals, ``smt`` for cases.)
            witnesses: search, for every fact, a latent that shows why it is needed.
            widen: give the facts the widest intervals that keep the proof, instead of the
                recorded values.
            minimal: ``subset`` (no single fact can be dropped) or ``minimum`` (no smaller set
                exists, or the gap to a proved lower bound is reported).
            timeout: seconds after which the search for a smallest set ends with what it has.
            about: what to record beside the certificate's core.

        Raises:
            InputError: ``x`` has the wrong shape, type or range.
            UsageError: an unknown vocabulary, domain, oracle or kind of minimality; a domain that
                the network does not guarantee, or that the latent of ``x`` is not in.
            FragileError: runtime and exact arithmetic disagree about ``x``.
        """
        started = time.perf_counter()
        if vocabulary != "auto" and vocabulary not in VOCABULARIES:
            raise UsageError(
                f"--vocabulary {vocabulary}: unknown; use auto, " + ", ".join(VOCABULARIES)
            )
        oracle = require_oracle(oracle)
        require_minimal(minimal)
        if minimal == "all":
            raise UsageError(
                "one explanation is asked for: use minimal=subset or minimum, and "
                "protoproof.explanation.alternatives for all of them"
            )
        require_memory(self.network.head, vocabulary, oracle)
        observation = self.network.observe(x)
        where = self.domain(domain, observation)
        instance = self.instance(observation)
        where.require(instance.latent)
        undecided = undecided_prediction(instance, observation, self.network.class_names)
        wanted = [v for v in VOCABULARIES if vocabulary in ("auto", v)]
        attempts: list[Attempt] = []
        proofs: list[tuple[int, int, Vocabulary, Proof]] = []
        for word in wanted if undecided is None else []:
            begun = time.perf_counter()
            known = min(proofs)[0] if proofs else None
            outcome = self._prove(
                instance, observation, where, word, oracle, widen, about or About(), known
            )
            spent = time.perf_counter() - begun
            if isinstance(outcome, Verdict):
                attempts.append(Attempt(word, outcome, None, spent))
            else:
                attempts.append(Attempt(word, PROVED, len(outcome.facts), spent))
                proofs.append((len(outcome.facts), len(proofs), word, outcome))
        best = min(proofs, default=None)
        if best is not None and minimal == "minimum":
            deadline = math.inf if timeout is None else started + timeout
            proof = self._smallest(instance, observation, where, best[2], best[3], widen, deadline)
            best = (len(proof.facts), *best[1:3], proof)
            attempts = [
                replace(a, size=best[0]) if a.vocabulary == best[2] else a for a in attempts
            ]
        if best is not None and witnesses:
            best = (*best[:3], self._witnessed(instance, where, best[3]))
        verdict = undecided if undecided is not None else attempts[0].verdict
        if best is not None:
            verdict = PROVED
        return Explanation(
            verdict,
            observation,
            self.network.class_names[observation.predicted],
            float(instance.margins.min()),
            where.name,
            best[3].oracle if best else oracle,
            tuple(attempts),
            best[2] if best else None,
            best[3].facts if best else FactSet(),
            best[3].certificate if best else None,
            best[3].check if best else None,
            time.perf_counter() - started,
            tuple(describe(f, instance) for f in best[3].facts) if best else (),
            best[3].gap_reason if best else "",
            where,
            domain if isinstance(domain, str) else "",
        )

    def domain(self, name: str | Domain, observation: Observation) -> Domain:
        """The domain that ``explain`` calls ``name``.

        Raises:
            UsageError: an unknown name, or a domain that the network does not guarantee.
        """
        if not isinstance(name, str):
            return name
        if ":" not in name:
            return domain_from_name(name, self.network.latent_range, self.network.head.channels)
        from protoproof.region.bounds.latent_bounds import named_reach

        return named_reach(self.network, name, observation)

    def _prove(
        self,
        instance: Instance,
        observation: Observation,
        domain: Domain,
        vocabulary: Vocabulary,
        oracle: str,
        widen: bool,
        about: About,
        known: int | None,
    ) -> Proof | Verdict:
        """A certified explanation in one vocabulary, or why there is none; ``known``: the size of
        the best so far, next to which far larger sets are not polished."""
        reason = unknown("no set of facts of this vocabulary suffices")
        for found in candidates(instance, domain, vocabulary, oracle, known):
            proof = self.certified(observation, domain, vocabulary, found, widen, about)
            if proof is not None:
                return proof
            reason = unknown("uncertified: the checker did not accept the proof")
        return reason

    def certified(
        self,
        observation: Observation,
        domain: Domain,
        vocabulary: Vocabulary,
        found: Candidate,
        widen: bool,
        about: About,
        size_bound: SizeBound | None = None,
    ) -> Proof | None:
        """The certificate of a set, if the checker accepts it."""
        core, facts = stated(self.network, observation, domain, vocabulary, found, widen)
        core = core.model_copy(update={"size_bound": size_bound})
        envelope = Envelope(core=core, about=about.model_copy(update={"oracle": found.oracle}))
        report = self.checked(envelope)
        return Proof(facts, found, envelope, report) if report.accepted else None

    def _smallest(
        self,
        instance: Instance,
        observation: Observation,
        domain: Domain,
        vocabulary: Vocabulary,
        proof: Proof,
        widen: bool,
        deadline: float,
    ) -> Proof:
        """A smallest explanation, or the best one with what the checker accepts of the bound."""

        def certify(found: Candidate, bound: SizeBound | None) -> Proof | None:
            about = proof.certificate.about
            return self.certified(observation, domain, vocabulary, found, widen, about, bound)

        better, reason = smallest(instance, domain, vocabulary, proof.found, deadline, certify)
        return replace(better or proof, gap_reason=reason)

    def _witnessed(self, instance: Instance, domain: Domain, proof: Proof) -> Proof:
        """The same proof with the witnesses that a search finds."""
        return self.with_witnesses(proof, find_witnesses(instance, domain, proof.facts))

    def with_witnesses(self, proof: Proof, found: Sequence[Found]) -> Proof:
        """The same proof with witnesses, if the checker accepts them."""
        core = proof.certificate.core.model_copy(update={"witnesses": stored_witnesses(found)})
        envelope = proof.certificate.model_copy(update={"core": core})
        report = self.checked(envelope)
        # a witness that the checker refuses would take the whole certificate with it
        better = replace(proof, certificate=envelope, check=report)
        return better if report.accepted else proof

    def checked(self, envelope: Envelope) -> CheckReport:
        """What the checker says about a certificate of this network."""
        # loading the network compared a declared head with the runtime
        return check(
            canonical_bytes(envelope),
            self.model_file,
            envelope.core.instance.input_sha256,
            allow_declared=True,
        )


def explain(
    network: Network | str | Path,
    x: NDArray[np.float32],
    *,
    vocabulary: str = "auto",
    domain: str | Domain = "free",
    oracle: str = "auto",
    witnesses: bool = True,
    widen: bool = False,
    minimal: str = "subset",
    timeout: float | None = None,
    device: str = "cpu",
) -> Explanation:
    """Explain one prediction; see :class:`Explainer` and :meth:`Explainer.explain`.

    For many inputs of one network, keep an :class:`Explainer`: it computes what the inputs share
    once.
    """
    known = network if isinstance(network, Network) else load(network)
    return Explainer(known, device).explain(
        x,
        vocabulary=vocabulary,
        domain=domain,
        oracle=oracle,
        witnesses=witnesses,
        widen=widen,
        minimal=minimal,
        timeout=timeout,
    )
