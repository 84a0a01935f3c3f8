"""Read what was signed: signature, model, and whether a certificate is among those attested.

Offline, and without proving anything: whoever signed ran the checker. A certificate is proved
again by ``check``.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Literal

from protoproof.attestation.dsse import PAYLOAD_TYPE, Envelope, read_envelope
from protoproof.attestation.keys import PublicKey, is_signed
from protoproof.attestation.merkle import path, root_above
from protoproof.attestation.model_signing import PREDICATE as MODEL_SIGNING
from protoproof.attestation.model_signing import read_resources
from protoproof.attestation.reading import parsed
from protoproof.attestation.statement import (
    PREDICATE,
    STATEMENT,
    Inclusion,
    Leaf,
    Leaves,
    Predicate,
    Statement,
    counted,
    read_as,
    subjects,
    tree,
)
from protoproof.errors import InputError, UsageError
from protoproof.kernel import ModelFile
from protoproof.wording import plural

Kind = Literal["attestation", "model-signing"]
_KINDS: dict[Kind, str] = {
    "attestation": "an attestation of proofs",
    "model-signing": "a signature of files (model-signing)",
}


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: verified, not (False), or undecided (None)."""

    name: str
    verified: bool | None
    detail: str


@dataclass
class Verified:
    """What was found, in order; later things are looked at only where the signature is verified.

    Attributes:
        findings: what was looked at.
        predicate: what is attested; None where it is not signed by this key, or is another kind.
        leaf: the certificate that was asked about, as the tree knows it.
        inclusion: a proof of its membership, to be handed on with it.
    """

    findings: list[Finding] = field(default_factory=list)
    predicate: Predicate | None = None
    leaf: Leaf | None = None
    inclusion: Inclusion | None = None

    @property
    def conditional(self) -> bool:
        """Whether what was asked about rests on somebody's word."""
        if self.leaf is not None:
            return self.leaf.status == "conditional"
        return self.predicate is not None and self.predicate.conditional.certificates > 0

    @property
    def exit_code(self) -> int:
        """0 verified; 1 not; 3 undecided, or conditional."""
        answers = [finding.verified for finding in self.findings]
        if False in answers:
            return 1
        return 3 if None in answers or self.conditional else 0

    def add(self, name: str, verified: bool | None, detail: str) -> bool:
        """Note a finding; whether it is verified."""
        self.findings.append(Finding(name, verified, detail))
        return verified is True


def verify(
    content: bytes,
    key: PublicKey,
    *,
    what: str = "attestation",
    model: ModelFile | None = None,
    certificate: bytes | None = None,
    leaves: bytes | None = None,
    proof: bytes | None = None,
    policy: str | None = None,
    wanted: Kind = "attestation",
) -> Verified:
    """Verify an attestation; or, where that is wanted, a bundle that model-signing wrote.

    One key may sign both, and a bundle says nothing of proofs: neither is taken for the other.
    One of ``leaves`` and ``proof`` shows that a certificate is among those attested.

    Args:
        content: the envelope's file.
        key: of whoever is believed.
        what: how messages call the file.
        model: the network that should be the one it is about.
        certificate: the file of a certificate that should be among those attested.
        leaves: the file of all leaves.
        proof: the file that shows one certificate's membership.
        policy: sha256 of the policy that must be passed.
        wanted: what the file should be.

    Raises:
        InputError: a file is not of its kind.
        UsageError: nothing is given that could show membership.
    """
    envelope, found = read_envelope(content, what), Verified()
    if not _is_signed(found, envelope, key):
        return found
    kind = _kind(found, envelope, wanted)
    if kind == "model-signing":
        _files_only(found, envelope, model, certificate)
    elif kind == "attestation":
        try:
            statement = read_as(Statement, envelope.payload, "the signed statement")
        except InputError as error:
            found.add("statement", False, str(error))
            return found
        found.predicate = statement.predicate
        if not _consistent(found, statement):
            return found
        if model is not None:
            _about(found, statement.predicate, model)
        if policy is not None:
            _passed(found, statement.predicate, policy)
        if leaves is not None:
            _adds_up(found, statement.predicate, read_as(Leaves, leaves, "leaves"))
        if certificate is not None and found.exit_code in (0, 3):
            _among(found, statement.predicate, certificate, leaves, proof)
    return found


def _is_signed(found: Verified, envelope: Envelope, key: PublicKey) -> bool:
    count = len(envelope.signatures)
    if count != 1:
        return found.add("signature", False, f"the envelope has {count} signatures, not one")
    if envelope.payload_type != PAYLOAD_TYPE:
        return found.add("signature", False, f"the payload is not of the type {PAYLOAD_TYPE}")
    if not is_signed(key, envelope.signatures[0], envelope.signed):
        return found.add("signature", False, "not by this key, or what it is under was changed")
    return found.add("signature", True, "by this key")


def _kind(found: Verified, envelope: Envelope, wanted: Kind) -> Kind | None:
    """What kind of statement is signed; noted where it is not the one that is wanted."""
    try:
        document = parsed(envelope.payload, "the signed statement")
    except InputError as error:
        found.add("statement", False, str(error))
        return None
    fields = document if isinstance(document, dict) else {}
    if fields.get("_type") != STATEMENT:
        found.add("statement", False, f"what is signed is no {STATEMENT}")
        return None
    kinds: dict[object, Kind] = {PREDICATE: "attestation", MODEL_SIGNING: "model-signing"}
    kind = kinds.get(fields.get("predicateType"))
    if kind == wanted:
        return kind
    words = "something else" if kind is None else _KINDS[kind]
    found.add("statement", False, f"what is signed is {words}, and {_KINDS[wanted]} is wanted")
    return None


def _consistent(found: Verified, statement: Statement) -> bool:
    """Whether the statement says the same thing wherever it says it."""
    about = statement.predicate
    total = about.accepted.certificates + about.conditional.certificates
    if statement.subject != subjects(about.model, about.data):
        return found.add("statement", False, "subject and predicate name different files")
    heads = sum(head.certificates for head in about.heads)
    more = any(part.inputs > part.certificates for part in (about.accepted, about.conditional))
    if more or not total or not total == about.certificates.size == heads:
        return found.add("statement", False, "its certificates do not add up")
    return found.add("statement", True, f"{plural(total, 'certificate')}, signed by {about.tool}")


def _about(found: Verified, predicate: Predicate, model: ModelFile) -> None:
    own = hashlib.sha256(model.data).hexdigest()
    files = tuple((file.name, file.sha256, file.size) for file in predicate.model.data_files)
    same = (own, model.sha256) == (predicate.model.file.sha256, predicate.model.identity)
    if same and files == model.files:
        found.add("model", True, f"the one that it is about (sha256 {model.sha256[:16]}...)")
    else:
        found.add("model", False, "another one: its sha256 differs")


def _passed(found: Verified, predicate: Predicate, policy: str) -> None:
    if predicate.policy is None:
        found.add("policy", False, "none was decided when this was signed")
    elif predicate.policy.sha256 != policy:
        found.add("policy", False, "another one: its sha256 differs")
    else:
        found.add("policy", True, "the one that was passed when this was signed")


def _adds_up(found: Verified, predicate: Predicate, leaves: Leaves) -> None:
    """Whether leaves are those that were signed, and what the statement says of them is so."""
    digests = [leaf.certificate for leaf in leaves.leaves]
    if digests != sorted(set(digests)):
        found.add("leaves", False, "not in the tree's order, each certificate once")
    elif tree(leaves.leaves) != predicate.certificates:
        found.add("leaves", False, "not those that were signed: they have another root")
    elif counted(leaves.leaves) != (predicate.accepted, predicate.conditional):
        found.add("leaves", False, "they do not add up to what the statement says")
    else:
        found.add("leaves", True, "they have the signed root, and add up to what is stated")


def _among(
    found: Verified,
    predicate: Predicate,
    certificate: bytes,
    leaves: bytes | None,
    proof: bytes | None,
) -> None:
    digest = hashlib.sha256(certificate).hexdigest()
    if leaves is None and proof is None:
        raise UsageError("membership is shown by --leaves or --proof; give one of them")
    if leaves is not None:
        inclusion = _shown(read_as(Leaves, leaves, "leaves"), digest)
    else:
        inclusion = read_as(Inclusion, proof or b"", "--proof")
    if inclusion is None or inclusion.leaf.certificate != digest:
        found.add("certificate", False, "none of those that are attested")
        return
    siblings = [bytes.fromhex(sibling) for sibling in inclusion.siblings]
    size = predicate.certificates.size
    above = root_above(inclusion.leaf.hash, inclusion.index, size, siblings)
    if above is None or above.hex() != predicate.certificates.root:
        found.add("certificate", False, "the proof does not lead to the signed root")
        return
    found.leaf, found.inclusion = inclusion.leaf, inclusion
    found.add("certificate", True, f"number {inclusion.index} of the {size} that are attested")


def _shown(leaves: Leaves, digest: str) -> Inclusion | None:
    """The proof of a certificate's membership; None where it is not there."""
    place = next((i for i, leaf in enumerate(leaves.leaves) if leaf.certificate == digest), None)
    if place is None:
        return None
    siblings = path(place, [leaf.hash for leaf in leaves.leaves])
    return Inclusion(
        leaf=leaves.leaves[place], index=place, siblings=tuple(node.hex() for node in siblings)
    )


def _files_only(
    found: Verified, envelope: Envelope, model: ModelFile | None, certificate: bytes | None
) -> None:
    """A bundle of model-signing: which files were signed, and nothing about proofs."""
    try:
        resources = read_resources(envelope.payload)
    except InputError as error:
        found.add("statement", False, str(error))
        return
    found.add(
        "statement",
        True,
        f"model-signing: {plural(len(resources), 'file')}, and no proof of anything",
    )
    if certificate is not None:
        there = hashlib.sha256(certificate).hexdigest() in resources.values()
        words = "one of the signed files" if there else "none of the signed files"
        found.add("certificate", there, f"{words} (which says nothing about what it proves)")
    if model is not None:
        wanted = {hashlib.sha256(model.data).hexdigest(), *(sha for _, sha, _ in model.files)}
        missing = wanted - set(resources.values())
        words = "none of the signed files" if missing else "its files are among the signed ones"
        found.add("model", not missing, words)
