"""What a worker does: explain one instance, or carry an earlier explanation over.

Tasks about regions go to ``certifying``, which loads torch; a campaign without regions does not.
"""

from __future__ import annotations

import base64
import hashlib
import resource
import sys
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from protoproof.backend import engine_named
from protoproof.campaign.executor import Outcome, Server, Task
from protoproof.campaign.latents import KeptSession
from protoproof.campaign.record import (
    STATE_OF,
    HeadKey,
    Options,
    Record,
    named_prototypes,
    possible_facts,
    signature,
)
from protoproof.certificate.canonical import canonical_bytes, core_digest
from protoproof.certificate.reader import read_certificate
from protoproof.certificate.schema import About, Core, Envelope
from protoproof.data.preprocess import recorded
from protoproof.errors import CertificateError, ModelError
from protoproof.explanation.evidence import recordable
from protoproof.explanation.explainer import Explainer
from protoproof.explanation.result import OUT_OF_TIME, Explanation
from protoproof.kernel import CheckReport, check
from protoproof.length import numbers
from protoproof.network import Observation, load
from protoproof.network.recorded import input_digest, same_prediction
from protoproof.prover.proof.encode import model_identity
from protoproof.verdict import Status

if TYPE_CHECKING:
    from protoproof.certification.certify import Certifier


SEARCH = 0.75  # of an instance's seconds: for searches


@dataclass(frozen=True)
class ExplainJob:
    """How to make a worker's server; travels to workers.

    Attributes:
        model: the model file, at the same path for every worker.
        head: which head of which file was planned with.
        options: how to explain.
        device: where regions are falsified and bounded, ``cpu`` or ``cuda``.
        seconds: what an instance, or a region around one, may take.
        about: what certificates record of when and how they were asked for.
        latents: where results of the runtime are kept for all tasks (see ``latents``); None for
            nowhere.
    """

    model: Path
    head: HeadKey
    options: Options
    device: str = "cpu"
    seconds: float | None = None
    about: About = field(default_factory=About)
    latents: Path | None = None

    def __call__(self) -> Server:
        """Load the network once.

        Raises:
            ModelError: the file cannot be read, or is another one by now.
            UsageError: the device is not there.
        """
        engine = engine_named(self.device)
        network = load(
            self.model,
            latent=self.head.latent,
            output=self.head.output,
            preprocess=recorded(self.about.preprocessing),
        )
        if network.sha256 != self.head.model:
            raise ModelError(f"{self.model}: the file changed after the campaign was planned")
        kept = None if self.latents is None else KeptSession(network, self.latents)
        if kept is not None:
            network = replace(network, session=kept)
        explainer = Explainer(network, engine)

        @cache
        def certifier() -> Certifier:
            from protoproof.certification.certify import Certifier

            return Certifier(explainer, self.device)

        def serve(task: Task) -> Outcome:
            about = self.about.model_copy(update={"input_name": recordable(task.name)})
            if kept is not None:
                kept.about(task.x)
            if task.region is not None:
                from protoproof.campaign.certify_task import certified

                outcome = certified(certifier(), task, task.region, self.seconds, about)
            else:
                carried = carried_over(explainer, task, self.options, about)
                outcome = carried or explained(
                    explainer, task, self.options, about, seconds=self.seconds
                )
            return replace(outcome, megabytes=_peak_megabytes())

        return serve


def explained(
    explainer: Explainer,
    task: Task,
    options: Options,
    about: About | None = None,
    *,
    seconds: float | None = None,
) -> Outcome:
    """Explain from nothing.

    Args:
        explainer: of the network.
        task: the instance.
        options: how to explain.
        about: what to record beside the certificates' cores.
        seconds: what the instance may take; searches end before, so that what they found can be
            proved.
    """
    timeout = None if seconds is None else SEARCH * seconds
    found = explainer.explain(task.x, options.explain(), about=about, timeout=timeout)
    sizes: dict[str, dict[str, Any]] = {
        str(attempt.vocabulary): {
            "status": attempt.verdict.status.value,
            "reason": attempt.verdict.reason,
            "size": attempt.size,
            "numbers": None if attempt.size is None else attempt.numbers,
        }
        for attempt in found.attempts
    }
    others: dict[str, bytes] = {}
    for attempt in found.attempts:
        if attempt.certificate is not None and attempt.vocabulary != found.vocabulary:
            others[attempt.vocabulary] = canonical_bytes(attempt.certificate)
            sizes[attempt.vocabulary]["certificate"] = _digest(others[attempt.vocabulary])
    late = found.certificate is None and found.verdict.reason.startswith(OUT_OF_TIME)
    record = Record(
        state="timeout" if late else STATE_OF[found.verdict.status],
        reason=found.verdict.reason,
        limit=seconds if found.unfinished or late else None,
        predicted=found.predicted,
        margin=found.margin,
        top=top_prototype(explainer, found),
        sizes=sizes,
    )
    if found.certificate is None or found.check is None or not found.check.accepted:
        # a size is a claim: without a certificate that counts there is none
        plain = {name: _without_size(entry, record.reason) for name, entry in sizes.items()}
        return Outcome(replace(record, sizes=plain))
    return replace(_certified(explainer, record, found, found.certificate), others=others)


def _without_size(entry: dict[str, Any], reason: str) -> dict[str, Any]:
    if entry["size"] is None:
        return entry
    return {"status": Status.UNKNOWN.value, "reason": reason, "size": None, "numbers": None}


def top_prototype(explainer: Explainer, found: Explanation) -> int:
    """The most activated prototype; the first of several."""
    head = explainer.network.head
    latent = found.observation.latent.astype(np.float64)
    return int(np.argmax(head.activation(head.measurement(latent))))


def _certified(
    explainer: Explainer, record: Record, found: Explanation, envelope: Envelope
) -> Outcome:
    core = envelope.core
    content = canonical_bytes(envelope)
    full = replace(
        record,
        vocabulary=core.vocabulary,
        oracle=found.oracle,
        size=len(core.facts),
        numbers=numbers(core.facts, core.instance.locations),
        possible=possible_facts(core, len(explainer.network.head.prototypes)),
        necessary=len(found.necessary),
        prototypes=named_prototypes(core),
        signature=signature(core),
        certificate=_digest(content),
        core=core_digest(core),
        level=core.level,
    )
    return Outcome(full, content)


def carried_over(
    explainer: Explainer, task: Task, options: Options, about: About | None = None
) -> Outcome | None:
    """An earlier explanation, if the network computes the very same latent for the input.

    The caller made sure that the heads are equal. Then the prover would find the same facts: it
    reads nothing but head and latent (and, for the latents of a region, the encoder: these are
    explained again). Only the model's identity in the certificate changes, and the checker proves
    the result again for the network at hand; None if it does not accept it, or if it is about
    another domain or other facts than the earlier campaign recorded.
    """
    if task.earlier is None or ":" in options.domain:
        return None
    record, network = task.earlier.record, explainer.network
    seen = network.observe(task.x)
    # raises where runtime and head disagree, as explaining
    instance = explainer.instance(seen, network.labels(options.label))
    main = _moved(explainer, task.earlier.certificate, seen, options, about)
    if main is None:
        return None
    core, report, content = main
    told = (core.vocabulary, len(core.facts), signature(core), len(report.necessary))
    if told != (record.vocabulary, record.size, record.signature, record.necessary):
        return None
    sizes, others = {name: dict(entry) for name, entry in record.sizes.items()}, dict[str, bytes]()
    for name, entry in sizes.items():
        if name == record.vocabulary or entry.get("size") is None:
            continue
        moved = _moved(explainer, task.earlier.others.get(name, b""), seen, options, about)
        if moved is None or (moved[0].vocabulary, len(moved[0].facts)) != (name, entry["size"]):
            return None
        others[name] = moved[2]
        entry["certificate"] = _digest(others[name])
    full = replace(
        record,
        predicted=seen.predicted,
        margin=float(instance.margins.min()),
        top=int(np.argmax(instance.activation)),
        possible=possible_facts(core, len(network.head.prototypes)),
        numbers=numbers(core.facts, core.instance.locations),
        sizes=sizes,
        prototypes=named_prototypes(core),
        certificate=_digest(content),
        core=core_digest(core),
        level=core.level,
    )
    return Outcome(full, content, True, others=others)


def _moved(
    explainer: Explainer,
    content: bytes,
    seen: Observation,
    options: Options,
    about: About | None,
) -> tuple[Core, CheckReport, bytes] | None:
    """A certificate restated for the network at hand, if the checker accepts it there."""
    try:
        envelope = read_certificate(content)
    except CertificateError:
        return None
    stored = envelope.core.instance
    latent = np.ascontiguousarray(seen.latent, "<f4").tobytes()
    same = same_prediction(stored, explainer.network, seen)
    if base64.b64decode(stored.latent) != latent or not same:
        return None
    core = envelope.core.model_copy(update={"model": model_identity(explainer.network)})
    labels = explainer.network.labels(options.label)
    if core.domain.kind != options.domain or (labels and core.rivals != labels):
        return None
    if options.level not in ("auto", core.level):
        return None
    told = (about or About()).model_copy(update={"oracle": envelope.about.oracle})
    moved = canonical_bytes(envelope.model_copy(update={"core": core, "about": told}))
    report = check(moved, explainer.model_file, input_digest(seen.x))
    return (core, report, moved) if report.accepted else None


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _peak_megabytes() -> float:
    """The process's largest resident memory so far."""
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(used / 2 ** (20 if sys.platform == "darwin" else 10), 1)
