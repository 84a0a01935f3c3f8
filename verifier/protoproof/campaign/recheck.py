"""One instance of a campaign, found out again: by ONNX Runtime, the checker, and nobody's word.

A directory is not trusted: whoever can write to it can change ledger and files together, and a
cache of a build server is such a directory. What counts is what ONNX Runtime computes now for an
input of the data, and what the checker accepts now about the model's bytes, that input's hash, the
latent that was computed, bit for bit, and the question that was asked. A true statement about
something else proves nothing here. The ledger is asked only why something is *not* proved.
"""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from protoproof.campaign.places import certificate_path, region_paths, size_path
from protoproof.campaign.record import (
    Options,
    Record,
    named_prototypes,
    needed,
    possible_facts,
    signature,
)
from protoproof.campaign.regions import RegionRecord, domain_words, lies_in
from protoproof.campaign.store import ALTERED
from protoproof.certificate.canonical import core_digest
from protoproof.certificate.reader import read_certificate
from protoproof.certificate.schema import Core
from protoproof.certificate.strict_json import MAX_BYTES
from protoproof.data.npz import UNREADABLE
from protoproof.errors import InputError, ProtoProofError
from protoproof.files import read_regular
from protoproof.kernel import CheckReport, ModelFile, check
from protoproof.kernel.claims import Claim, Robust, Sufficient
from protoproof.length import numbers
from protoproof.network import Network
from protoproof.network.recorded import input_digest
from protoproof.prover.latent.atoms import Atoms

FOREIGN = "the data at hand holds another input in its place"
_HEADER = 1 << 12  # bytes that a stored array may have besides its numbers


@dataclass(frozen=True)
class Complaint:
    """Why a result does not count.

    Attributes:
        text: the reason, in words.
        final: it is false, altered or lost, not only unproved.
        conditional: it is proved only if somebody's word is true.
    """

    text: str
    final: bool
    conditional: bool = False


@dataclass(frozen=True)
class Rechecked:
    """A certificate, what the checker says now, and what is wrong with it (None: nothing)."""

    content: bytes | None = None
    core: Core | None = None
    report: CheckReport | None = None
    complaint: Complaint | None = None

    @property
    def accepted(self) -> bool:
        """Whether it proves what was asked about the instance."""
        return self.complaint is None


@dataclass(frozen=True, eq=False)
class Seen:
    """An input as ONNX Runtime sees it now.

    Attributes:
        digest: sha256 of the input.
        x: the input; None where the data is not at hand, and certificates alone have the word.
        latent: the bytes of the latent [L, D], float32; None where there is none.
        predicted: the class, or the label with the largest score; None where there is none.
        labels: those that are on, where labels are predicted.
        trouble: why nothing can be decided about the input, or empty.
    """

    digest: str
    x: NDArray[np.float32] | None = None
    latent: bytes | None = None
    predicted: int | None = None
    labels: tuple[int, ...] = ()
    trouble: str = ""


class Rechecker:
    """Finds out again what a directory tells of a network; one session, one parsed model.

    Args:
        directory: of the campaign.
        network: the network.
        options: what was asked; they say what a certificate has to be about.
    """

    def __init__(self, directory: Path, network: Network, options: Options) -> None:
        self.network = network
        self._directory, self._options = directory, options
        self._file = ModelFile(network.data, network.files)
        self._domain = domain_words(options.domain, network)
        self._labels = network.labels(options.label)

    def see(self, x: NDArray[np.float32]) -> Seen:
        """Run ONNX Runtime on an input in the network's range."""
        digest = input_digest(x)
        try:
            found = self.network.observe(x)
        except ProtoProofError as error:
            return Seen(digest, x, trouble=str(error))
        latent = np.ascontiguousarray(found.latent, "<f4").tobytes()
        seen = Seen(digest, x, latent, found.predicted, found.labels)
        try:
            self.network.check_head(found)
        except ProtoProofError as error:
            return replace(seen, trouble=str(error))
        return seen

    def explanation(
        self, key: str, seen: Seen, told: Record | None, vocabularies: Collection[str]
    ) -> tuple[Record, Rechecked | None]:
        """What is known of an instance's explanation, and its certificate if there is one.

        Args:
            key: under which the campaign found it.
            seen: the input.
            told: what the ledger says, or None.
            vocabularies: those whose sizes are asked for.
        """
        found = self._explanation(
            certificate_path(self._directory, key), seen, self._options.vocabularies
        )
        found = _lost(None if told is None else (told.state, told.reason), found)
        if found is None or not found.accepted or found.core is None or found.report is None:
            state, reason = _open(None if told is None else (told.state, told.reason), found)
            plain = Record(state, reason, seen.predicted)  # type: ignore[arg-type]
            return self._measured(plain, seen.latent), found
        core = found.core
        latent = base64.b64decode(core.instance.latent)
        counted = needed(core, found.report.necessary)
        record = Record(
            "proved",
            predicted=seen.predicted if self._labels else core.instance.predicted,
            vocabulary=core.vocabulary,
            size=len(core.facts),
            numbers=numbers(core.facts, core.instance.locations),
            possible=possible_facts(core, len(self.network.head.prototypes)),
            necessary=len(found.report.necessary),
            sizes=self._sizes(key, seen, core, vocabularies),
            prototypes=named_prototypes(counted),
            signature=signature(counted),
            certificate=hashlib.sha256(found.content or b"").hexdigest(),
            core=core_digest(core),
            level=core.level,
        )
        return self._measured(record, latent), found

    def region(
        self, key: str, name: str, words: str, seen: Seen, told: RegionRecord | None
    ) -> tuple[RegionRecord, Rechecked | None]:
        """What is known of the region ``name`` around an instance; ``words`` are a certificate's.

        An input that ONNX Runtime predicts otherwise refutes, whatever else there is.
        """
        path, _ = region_paths(self._directory, key)
        instead = self._refuted(key, name, seen)
        if instead is not None:
            return RegionRecord(key, "refuted", "", seen.predicted, instead=instead), None
        found = self._certificate(path, seen)
        found = _lost(None if told is None else (told.state, told.reason), found)
        if found is not None and found.accepted and found.report and found.core:
            stated = dict(found.report.subject).get("region")
            if not _claims(found.report, Robust) or stated != words or found.core.holds:
                found = _not(f"is not about the region {name}", found)
        if found is None or not found.accepted or found.core is None:
            state, reason = _open(None if told is None else (told.state, told.reason), found)
            if state == "refuted":
                state, reason = "undecided", "recorded as refuted, but no stored input refutes it"
            return RegionRecord(key, state, reason, seen.predicted), found  # type: ignore[arg-type]
        digest = hashlib.sha256(found.content or b"").hexdigest()
        predicted = found.core.instance.predicted
        return RegionRecord(key, "proved", "", predicted, certificate=digest), found

    def _refuted(self, key: str, name: str, seen: Seen) -> int | None:
        """The class of a stored input of the region that is predicted otherwise."""
        if seen.x is None or seen.predicted is None:
            return None
        x = stored_input(self._directory, key, self.network)
        if x is None:
            return None
        try:
            instead = self.network.observe(x).predicted
            inside = lies_in(x, name, seen.x, self.network)
        except ProtoProofError:
            return None
        return instead if inside and instead != seen.predicted else None

    def _sizes(
        self, key: str, seen: Seen, chosen: Core, vocabularies: Collection[str]
    ) -> dict[str, dict[str, Any]]:
        """Per vocabulary that was tried: the size of its explanation, by a certificate of it."""
        found: dict[str, dict[str, Any]] = {}
        for name in self._options.vocabularies:
            core, reason = (chosen, "") if name == chosen.vocabulary else (None, "not asked for")
            if core is None and name in vocabularies:
                path = size_path(self._directory, key, name)
                again = self._explanation(path, seen, (name,))
                core = None if again is None or not again.accepted else again.core
                complaint = None if again is None else again.complaint
                reason = "no certificate" if complaint is None else complaint.text
            found[name] = {
                "status": "unknown" if core is None else "proved",
                "reason": reason if core is None else "",
                "size": None if core is None else len(core.facts),
                "numbers": None if core is None else numbers(core.facts, core.instance.locations),
            }
        return found

    def _explanation(
        self, path: Path, seen: Seen, vocabularies: Collection[str]
    ) -> Rechecked | None:
        found = self._certificate(path, seen)
        if found is None or not found.accepted or found.report is None or found.core is None:
            return found
        if not _claims(found.report, Sufficient):
            return _not("does not say that its facts suffice", found)
        if self._labels and found.core.rivals != self._labels:
            return _not("is about other labels than were asked for", found)
        if found.core.vocabulary not in vocabularies:
            return _not(f"is about {found.core.vocabulary}, which was not asked for", found)
        if self._options.level == "F" and found.core.level != "F":
            return _not("is at level R, and level F was asked for", found)
        about = dict(found.report.subject)
        # a smaller domain would make a weaker claim
        if about.get("region", about["domain"].partition(",")[0]) != self._domain:
            return _not(f"is not about the domain {self._options.domain}", found)
        return found

    def _certificate(self, path: Path, seen: Seen) -> Rechecked | None:
        """A certificate about the input as it is seen now; None where there is no file."""
        try:
            content = read_regular(path, MAX_BYTES)
        except InputError as error:
            return Rechecked(complaint=Complaint(f"certificate {error}", True))
        if content is None:
            return None
        report = check(content, self._file, seen.digest)
        found = Rechecked(content, None, report)
        if not report.accepted:
            unmet = [f"{o.name}: {o.detail}" for o in report.failures]
            why = next(iter((*unmet, *report.conditions)), "nothing was examined")
            text = f"certificate is {report.status}: {why}"
            final, word = report.status == "rejected", report.status == "conditional"
            return replace(found, complaint=Complaint(text, final, word))
        core = read_certificate(content).core
        found = replace(found, core=core)
        read = self.network.recognised
        if (core.model.latent, core.model.output) != (read.latents, read.output):
            return _not("is about another head of the network", found)
        return self._of_this_latent(found, seen)

    def _of_this_latent(self, found: Rechecked, seen: Seen) -> Rechecked:
        """Complain if ONNX Runtime does not compute what the certificate records."""
        if seen.trouble:
            return replace(found, complaint=Complaint(seen.trouble, False))
        if found.core is None or seen.latent is None:
            return found
        if base64.b64decode(found.core.instance.latent) != seen.latent:
            return _not("records another latent than ONNX Runtime computes here", found)
        stored = found.core.instance
        if stored.labels != seen.labels:
            return _not("records other labels than are on", found)
        if not self._labels and stored.predicted != seen.predicted:
            return _not("is about another class than is predicted", found)
        if found.core.model.routing not in (None, "distributed"):
            return _not("is about another reading of the tree than its scores are", found)
        return found

    def _measured(self, record: Record, latent: bytes | None) -> Record:
        """With the least observed margin and the most activated prototype, in float64.

        And with the label of the largest score, where ONNX Runtime did not run.
        """
        head = self.network.head
        if latent is None or (record.predicted is None and not self._labels):
            return record
        values = np.frombuffer(latent, "<f4").astype(np.float64).reshape(-1, head.channels)
        activation = head.activation(head.measurement(values))
        logits = head.logits(activation)
        predicted = int(np.argmax(logits)) if record.predicted is None else record.predicted
        atoms = Atoms.of(head.decision, predicted, logits, self._labels)
        return replace(
            record,
            predicted=predicted,
            margin=float(atoms.margins(activation).min()),
            top=int(np.argmax(activation)),
        )


def stored_input(directory: Path, key: str, network: Network) -> NDArray[np.float32] | None:
    """The stored counterexample of a region, if it is an input of the network."""
    shape, (low, high) = network.input_shape, network.input_range
    _, path = region_paths(directory, key)
    try:
        content = read_regular(path, _HEADER + 4 * int(np.prod(shape)))
        if content is None:
            return None
        x = np.load(io.BytesIO(content), allow_pickle=False)
    except (InputError, *UNREADABLE):
        return None
    if not isinstance(x, np.ndarray) or x.shape != shape or x.dtype != np.float32:
        return None
    return x if bool(((x >= low) & (x <= high)).all()) else None


def _lost(told: tuple[str, str] | None, found: Rechecked | None) -> Rechecked | None:
    """With a complaint where the ledger tells of a file that is not there, or no longer proves."""
    if told is None or (found is not None and found.accepted):
        return found
    if told[1] == ALTERED:
        return Rechecked(complaint=Complaint(ALTERED, True))
    if found is None and told[0] == "proved":
        return Rechecked(complaint=Complaint("certificate is missing", True))
    return found


def _open(told: tuple[str, str] | None, found: Rechecked | None) -> tuple[str, str]:
    """State and reason of what is not proved. The ledger's word can only say why."""
    state, reason = ("not_run", "not run yet") if told is None else told
    if found is not None and found.complaint is not None:
        reason = found.complaint.text
    return ("undecided" if state == "proved" else state), reason


def _claims(report: CheckReport, kind: type[Claim]) -> bool:
    """Whether a theorem of a kind is proved."""
    return any(isinstance(claim, kind) for claim in report.claims)


def _not(complaint: str, found: Rechecked, final: bool = True) -> Rechecked:
    return replace(found, complaint=Complaint(f"certificate {complaint}", final))
