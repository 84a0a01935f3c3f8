"""The order of stages, written once: observe, propose facts, build the certificate, check it."""

from __future__ import annotations

import html
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from verifier.assembly import certificate_core, restated, stored_witnesses
from verifier.certificate.canonical import canonical_bytes
from verifier.certificate.schema import About, Envelope, IntervalEvidence
from verifier.checker import CheckReport, ModelFile, check
from verifier.errors import FragileError, InputError, UsageError
from verifier.files import write_atomic
from verifier.latent.domain import Domain, domain_from_name
from verifier.latent.facts import ActivationFact, CeilingFact, Fact, FactSet
from verifier.latent.geometry import distances_between
from verifier.minimise.inflate import inflate
from verifier.minimise.search import VOCABULARIES, Vocabulary, candidates, require_oracle
from verifier.minimise.witness import find_witnesses
from verifier.network import Network, Observation, load
from verifier.oracle.exact import SLACK
from verifier.oracle.interface import Instance
from verifier.oracle.memory import require_memory
from verifier.verdict import PROVED, Verdict, unknown
from verifier.widening import widest


@dataclass(frozen=True)
class Attempt:
    """What one vocabulary gave: the number of proved facts, or why there are none."""

    vocabulary: Vocabulary
    verdict: Verdict
    size: int | None
    seconds: float


@dataclass(frozen=True)
class Explanation:
    """A prediction, the facts that force it, and the certificate that proves it.

    ``verdict`` is PROVED only if the independent checker accepted ``certificate``.
    ``attempts`` holds one line per vocabulary that was tried; ``facts`` are the chosen one's, and
    ``oracle`` is the one that found them.
    """

    verdict: Verdict
    observation: Observation
    predicted_name: str
    margin: float
    domain: str
    oracle: str
    attempts: tuple[Attempt, ...]
    vocabulary: Vocabulary | None
    facts: FactSet
    certificate: Envelope | None
    check: CheckReport | None
    seconds: float
    facts_json: tuple[dict[str, Any], ...] = ()

    @property
    def predicted(self) -> int:
        """Index of the predicted class."""
        return self.observation.predicted

    @property
    def size(self) -> int:
        """Number of facts."""
        return len(self.facts)

    @property
    def evidence(self) -> IntervalEvidence | None:
        """What the certificate holds besides the facts, or None without a certificate."""
        return None if self.certificate is None else self.certificate.core.evidence

    @cached_property
    def necessary(self) -> frozenset[int]:
        """Indices of the facts whose witness the checker accepted."""
        return frozenset(self.check.necessary if self.check is not None else ())

    def to_json(self, certificate_path: str | None = None) -> dict[str, Any]:
        """The document of ``explain --json``; ``lower_bound`` None means that none was proved."""
        return {
            "verdict": self.verdict.status.value,
            "reason": self.verdict.reason,
            "predicted": self.predicted,
            "predicted_name": self.predicted_name,
            "margin": self.margin,
            "vocabulary": self.vocabulary,
            "oracle": self.oracle,
            "domain": self.domain,
            "size": self.size,
            "lower_bound": None,
            "facts": list(self.facts_json),
            "necessity": {
                "proved": len(self.necessary),
                "open": self.size - len(self.necessary),
            },
            "sizes": {
                attempt.vocabulary: {
                    "verdict": attempt.verdict.status.value,
                    "reason": attempt.verdict.reason,
                    "size": attempt.size,
                    "time_s": round(attempt.seconds, 4),
                }
                for attempt in self.attempts
            },
            "level": "R",
            "assumptions": list(self.check.assumptions) if self.check is not None else [],
            "time_s": round(self.seconds, 4),
            "certificate": certificate_path,
        }

    def _repr_html_(self) -> str:
        """A short table for notebooks."""
        rows = [
            ("predicted", self.predicted_name),
            ("verdict", str(self.verdict)),
            ("vocabulary", self.vocabulary or "none"),
            ("facts", f"{self.size} ({len(self.necessary)} with a witness)"),
            ("domain", self.domain),
            ("least margin observed", f"{self.margin:.4g}"),
        ]
        cells = "".join(f"<tr><th>{k}</th><td>{html.escape(v)}</td></tr>" for k, v in rows)
        return f"<table><caption>ProtoProof explanation</caption>{cells}</table>"

    def save(self, path: str | Path) -> None:
        """Write the certificate.

        Raises:
            UsageError: there is none, because nothing was proved.
            OutputError: the file cannot be written.
        """
        if self.certificate is None:
            raise UsageError(f"nothing was proved ({self.verdict}), so there is no certificate")
        write_atomic(Path(path), canonical_bytes(self.certificate))


@dataclass(frozen=True)
class _Proof:
    facts: FactSet
    oracle: str
    certificate: Envelope
    check: CheckReport


class Explainer:
    """Explains predictions of one network; what does not depend on the input is computed once."""

    def __init__(self, network: Network) -> None:
        self.network = network
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
        about: About | None = None,
    ) -> Explanation:
        """The smallest proved explanation of the prediction for ``x`` ([C, H, W], raw range).

        Args:
            x: the input, in the range that the head description declares.
            vocabulary: ``auto`` (the smallest over all), ``topk``, ``ceiling``, ``mixed`` or
                ``pairs``.
            domain: ``free``, ``box``, ``sphere`` or ``simplex`` (what the encoder's last operator
                guarantees), or a domain of ``verifier.latent``, such as a ``Reach``.
            oracle: ``auto`` (exact, then relational), ``triangle``, ``exact``, ``relational`` or
                ``cascade``. It bounds pairs; other facts have no location and are bounded exactly.
            witnesses: search, for every fact, a latent that shows why it is needed.
            widen: give the facts the widest intervals that keep the proof, instead of the
                recorded values.
            about: what to record beside the certificate's core.

        Raises:
            InputError: ``x`` has the wrong shape, type or range.
            UsageError: an unknown vocabulary, domain or oracle; a domain that the network does
                not guarantee, or that the latent of ``x`` is not in.
            FragileError: runtime and exact arithmetic disagree about ``x``.
        """
        started = time.perf_counter()
        if vocabulary != "auto" and vocabulary not in VOCABULARIES:
            raise UsageError(
                f"--vocabulary {vocabulary}: unknown; use auto, " + ", ".join(VOCABULARIES)
            )
        require_oracle(oracle)
        channels = self.network.head.channels
        where = domain_from_name(domain, self.network.latent_range, channels)
        require_memory(self.network.head, vocabulary, oracle)
        observation = self.network.observe(x)
        instance = self.instance(observation)
        where.require(instance.latent)
        undecided = _undecided(instance, observation, self.network.class_names)
        wanted = [v for v in VOCABULARIES if vocabulary in ("auto", v)]
        attempts: list[Attempt] = []
        proofs: list[tuple[int, int, Vocabulary, _Proof]] = []
        for word in wanted if undecided is None else []:
            begun = time.perf_counter()
            outcome = self._prove(
                instance, observation, where, word, oracle, widen, about or About()
            )
            spent = time.perf_counter() - begun
            if isinstance(outcome, Verdict):
                attempts.append(Attempt(word, outcome, None, spent))
            else:
                attempts.append(Attempt(word, PROVED, len(outcome.facts), spent))
                proofs.append((len(outcome.facts), len(proofs), word, outcome))
        best = min(proofs, default=None)
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
            tuple(_describe(f, instance) for f in best[3].facts) if best else (),
        )

    def explain_many(
        self, inputs: Iterable[NDArray[np.float32]], **options: Any
    ) -> Iterator[Explanation | InputError | FragileError]:
        """Explain one input after another, as they are asked for; nothing is kept in between.

        Each is observed on its own, because ONNX Runtime may give other bits in a batch, and the
        certificate holds the latent bit for bit. An input that cannot be explained gives its
        error instead of an explanation, and the next one follows.

        Args:
            inputs: arrays [C, H, W].
            options: as for :meth:`explain`.
        """
        for x in inputs:
            try:
                yield self.explain(x, **options)
            except (InputError, FragileError) as error:
                yield error

    def _prove(
        self,
        instance: Instance,
        observation: Observation,
        domain: Domain,
        vocabulary: Vocabulary,
        oracle: str,
        widen: bool,
        about: About,
    ) -> _Proof | Verdict:
        """A certified explanation in one vocabulary, or why there is none."""
        reason = unknown("no set of facts of this vocabulary suffices")
        for found in candidates(instance, domain, vocabulary, oracle):
            facts = found.facts
            if widen and not facts.pairs:  # nothing but intervals: the proof follows the facts
                facts = inflate(found.state, facts)
            follows = widen and bool(facts.pairs)
            core = certificate_core(
                self.network,
                observation,
                domain,
                vocabulary,
                facts,
                found.state,
                short=not follows,
            )
            if follows:  # multipliers: the facts follow the proof
                facts = widest(found.state, facts, core)
            if facts != found.facts:
                core = restated(core, facts)
            envelope = Envelope(core=core, about=about.model_copy(update={"oracle": found.oracle}))
            report = self._check(envelope)
            if report.accepted:
                return _Proof(facts, found.oracle, envelope, report)
            reason = unknown("uncertified: the checker did not accept the proof")
        return reason

    def _witnessed(self, instance: Instance, domain: Domain, proof: _Proof) -> _Proof:
        """The same proof with the witnesses that the checker accepts."""
        found = find_witnesses(instance, domain, proof.facts)
        core = proof.certificate.core.model_copy(update={"witnesses": stored_witnesses(found)})
        envelope = proof.certificate.model_copy(update={"core": core})
        report = self._check(envelope)
        # a witness that the checker refuses would take the whole certificate with it
        return _Proof(proof.facts, proof.oracle, envelope, report) if report.accepted else proof

    def _check(self, envelope: Envelope) -> CheckReport:
        # loading the network compared a declared head with the runtime
        return check(
            canonical_bytes(envelope),
            self.model_file,
            envelope.core.instance.input_sha256,
            allow_declared=True,
        )


def _undecided(
    instance: Instance, observation: Observation, names: tuple[str, ...]
) -> Verdict | None:
    """Why the prediction at the instance itself cannot be proved, or None."""
    if not instance.rivals:
        raise InputError("the network has one class only: every prediction is the same")
    weakest = int(np.argmin(instance.margins))
    rival = instance.rivals[weakest]
    if instance.margins[weakest] > SLACK:
        return None
    pair = f"{names[observation.predicted]} and {names[rival]}"
    if observation.logits[observation.predicted] == observation.logits[rival]:
        return unknown(f"tie: the logits of {pair} are equal")
    return unknown(f"numerically fragile: exact arithmetic does not separate {pair}")


def _describe(fact: Fact, instance: Instance) -> dict[str, Any]:
    """One fact for the JSON document: indices, bounds in squared L2, similarity at the instance."""
    grid_columns = instance.head.grid[1]
    if isinstance(fact, CeilingFact):
        tau = float(instance.similarity(np.array([fact.bound]))[0])
        return {
            "kind": "ceiling",
            "similarity_at_most": tau,
            "squared_distance_at_least": fact.bound,
            "exempt": list(fact.exempt),
        }
    body = {
        "prototype": fact.prototype,
        "squared_distance": [fact.lower, fact.upper],
        "similarity": float(instance.similarity(np.array([fact.upper]))[0]),
    }
    if instance.head.prototype_class is not None:
        body["class"] = instance.head.prototype_class[fact.prototype]
    if isinstance(fact, ActivationFact):
        return {"kind": "activation", **body}
    row, column = divmod(fact.location, grid_columns)
    return {"kind": "pair", "location": fact.location, "row": row, "column": column, **body}


def explain(
    network: Network | str | Path,
    x: NDArray[np.float32],
    *,
    vocabulary: str = "auto",
    domain: str | Domain = "free",
    oracle: str = "auto",
    witnesses: bool = True,
    widen: bool = False,
) -> Explanation:
    """Explain one prediction; see :meth:`Explainer.explain`.

    For many inputs of one network, keep an :class:`Explainer`: it computes what the inputs share
    once.
    """
    known = network if isinstance(network, Network) else load(network)
    return Explainer(known).explain(
        x, vocabulary=vocabulary, domain=domain, oracle=oracle, witnesses=witnesses, widen=widen
    )
