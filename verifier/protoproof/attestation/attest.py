"""Sign what is proved: every certificate is proved again first, and nothing else is signed."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from protoproof.attestation.dsse import PAYLOAD_TYPE, pae, write_envelope
from protoproof.attestation.keys import PrivateKey, key_id, sign
from protoproof.attestation.statement import (
    Data,
    Head,
    Leaf,
    Leaves,
    Policy,
    Predicate,
    Statement,
    counted,
    described,
    plain,
    resting,
    subjects,
    tree,
)
from protoproof.certificate.canonical import core_digest
from protoproof.certificate.reader import read_certificate
from protoproof.certificate.schema import Core
from protoproof.errors import CertificateError, UsageError
from protoproof.kernel import CheckReport, ModelFile, check, read_file
from protoproof.kernel.claims import Claim
from protoproof.version import TOOL

if TYPE_CHECKING:
    from protoproof.attestation.observing import Observer


@dataclass(frozen=True)
class Refused:
    """A certificate that keeps everything from being signed, and why."""

    path: Path
    why: str
    undecided: bool


@dataclass(frozen=True)
class Attested:
    """What is signed, or what stands in the way.

    Attributes:
        statement: what is said; None where anything is refused.
        envelope: its file, signed.
        leaves: the file of all leaves, from which membership is shown.
        refused: the certificates that are not proved. With one of them nothing is signed.
    """

    statement: Statement | None = None
    envelope: bytes = b""
    leaves: bytes = b""
    refused: tuple[Refused, ...] = ()

    @property
    def exit_code(self) -> int:
        """0 signed; 1 something is false; 3 undecided, or signed with conditional ones among it."""
        if self.statement is None:
            return 3 if all(found.undecided for found in self.refused) else 1
        return 3 if self.statement.predicate.conditional.certificates else 0


@dataclass
class _Found:
    """What the certificates are about, so far."""

    leaves: dict[str, Leaf] = field(default_factory=dict)
    cores: dict[str, Path] = field(default_factory=dict)
    heads: Counter[tuple[tuple[str, ...], str, str | None]] = field(default_factory=Counter)
    assumptions: Counter[str] = field(default_factory=Counter)
    refused: list[Refused] = field(default_factory=list)

    def add(self, path: Path, content: bytes, core: Core, report: CheckReport) -> None:
        """Count one that is proved.

        Raises:
            UsageError: the same again, which would count twice.
        """
        digest, same = hashlib.sha256(content).hexdigest(), core_digest(core)
        if same in self.cores:
            raise UsageError(f"{path}: claims and proves what {self.cores[same]} does; give one")
        self.cores[same] = path
        self.leaves[digest] = Leaf(
            certificate=digest,
            core=same,
            input=core.instance.input_sha256,
            status="accepted" if report.accepted else "conditional",
            claims=_by_level(report.claims),
            conditions=report.conditions,
        )
        self.heads[core.model.latent, core.model.output, core.model.routing] += 1
        self.assumptions.update(set(report.assumptions) - set(report.conditions))


def attest(
    certificates: Mapping[Path, bool] | Sequence[Path],
    model: ModelFile,
    name: str,
    key: PrivateKey,
    *,
    observer: Observer | None = None,
    policy: Policy | None = None,
    watch: Callable[[int], None] = lambda _: None,
) -> Attested:
    """Prove certificates about a network again, and sign what they claim.

    Args:
        certificates: their files; as a mapping, whether each is as it was stored.
        model: the network, with its data files.
        name: the model's file name.
        key: signs.
        observer: runs the encoder on the data's inputs; None: inputs are as recorded.
        policy: what the network was found to pass.
        watch: is called with the number of certificates that were looked at.

    Raises:
        UsageError: no certificate, or two that claim and prove the same.
        CertificateError, ModelError: a file cannot be read.
    """
    if not certificates:
        raise UsageError("there is no certificate to attest")
    found = _Found()
    for number, path in enumerate(certificates, 1):
        if isinstance(certificates, Mapping) and not certificates[path]:
            found.refused.append(Refused(path, "missing, or not as the campaign stored it", False))
        else:
            _look_at(found, path, model, observer)
        watch(number)
    if found.refused:
        return Attested(refused=tuple(found.refused))
    leaves = tuple(leaf for _, leaf in sorted(found.leaves.items()))
    statement = _statement(found, leaves, model, name, observer, policy)
    payload = plain(statement)
    signature = sign(key, pae(PAYLOAD_TYPE, payload))
    envelope = write_envelope(payload, signature, key_id(key.public_key()))
    return Attested(statement, envelope, plain(Leaves(leaves=leaves)))


def _look_at(found: _Found, path: Path, model: ModelFile, observer: Observer | None) -> None:
    content = read_file(path)
    # with the data at hand, the input is looked for among them: see ``observer``
    report = check(content, model, None if observer is None else _input_of(content))
    if not report.met:
        unmet = report.failures[0]
        why = f"{report.status}: {unmet.name}: {unmet.detail}"
        found.refused.append(Refused(path, why, report.status == "incomplete"))
        return
    core = read_certificate(content).core
    verdict = None if observer is None else observer.objection(core)
    if verdict is not None:
        found.refused.append(Refused(path, *verdict))
        return
    found.add(path, content, core, report)


def _by_level(claims: Sequence[Claim]) -> dict[str, dict[str, int]]:
    """How many claims of each kind, by level: R but where a claim says another one."""
    found: dict[str, Counter[str]] = {}
    for claim in claims:
        level, kind = getattr(claim, "level", "R"), str(claim).partition(":")[0]
        found.setdefault(level, Counter())[kind] += 1
    return {level: dict(sorted(kinds.items())) for level, kinds in sorted(found.items())}


def _input_of(content: bytes) -> str | None:
    try:
        return read_certificate(content).core.instance.input_sha256
    except CertificateError:  # the checker says so
        return None


def _statement(
    found: _Found,
    leaves: tuple[Leaf, ...],
    model: ModelFile,
    name: str,
    observer: Observer | None,
    policy: Policy | None,
) -> Statement:
    about = described(model, name)
    data = None if observer is None else Data(name=observer.name, arrays_sha256=observer.sha256)
    accepted, conditional = counted(leaves)
    return Statement(
        subject=subjects(about, data),
        predicate=Predicate(
            tool=TOOL,
            created=f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
            model=about,
            heads=tuple(
                Head(latent=latent, output=output, routing=routing, certificates=count)
                for (latent, output, routing), count in sorted(
                    found.heads.items(), key=lambda item: str(item[0])
                )
            ),
            certificates=tree(leaves),
            accepted=accepted,
            conditional=conditional,
            assumptions=resting(found.assumptions),
            data=data,
            policy=policy,
        ),
    )
