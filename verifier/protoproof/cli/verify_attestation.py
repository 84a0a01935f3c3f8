"""``verify-attestation``: what was signed about a network, without proving anything."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from protoproof.cli.attested import claim_lines, leaves_beside, lines_about
from protoproof.cli.options import Json, Quiet
from protoproof.cli.terminal import print_json, strong
from protoproof.errors import UsageError
from protoproof.report.page.text import visible

if TYPE_CHECKING:
    from protoproof.attestation.verify import Verified

NO_PROOF = "no proof is run here: that the certificates are proved is the signer's word; see check"


File = Annotated[
    Path, typer.Argument(metavar="FILE", help="What attest wrote, or a model-signing bundle.")
]
Key = Annotated[Path, typer.Option("--key", help="The public key of the signer (PEM).")]
About = Annotated[Path | None, typer.Option("--model", help="The network that it should be about.")]
Certificate = Annotated[
    Path | None,
    typer.Option("--certificate", help="A certificate that should be among those attested."),
]
Leaves = Annotated[
    Path | None,
    typer.Option("--leaves", help="All leaves; by default those beside FILE, if any."),
]
Proof = Annotated[
    Path | None,
    typer.Option("--proof", help="A proof of membership, in place of all leaves."),
]
Policy = Annotated[
    Path | None, typer.Option("--policy", help="A policy that must have been passed.")
]
FilesOnly = Annotated[
    bool,
    typer.Option("--model-signing", help="FILE is a bundle of OpenSSF model-signing: files only."),
]
WriteProof = Annotated[
    Path | None,
    typer.Option("--write-proof", metavar="FILE", help="Write such a proof, to hand on."),
]


def verify_attestation(
    attestation: File,
    key: Key,
    model: About = None,
    certificate: Certificate = None,
    leaves: Leaves = None,
    proof: Proof = None,
    write_proof: WriteProof = None,
    policy: Policy = None,
    files_only: FilesOnly = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Verify signature, model and membership of a certificate: offline, without running proofs."""
    from protoproof.extras import require

    require("attest", "verify-attestation")
    from protoproof.attestation.dsse import MOST
    from protoproof.attestation.keys import read_public
    from protoproof.attestation.reading import read
    from protoproof.attestation.statement import plain
    from protoproof.attestation.verify import verify
    from protoproof.certificate.strict_json import MAX_BYTES
    from protoproof.kernel import ModelFile, read_file

    if (proof or write_proof) and certificate is None:
        raise UsageError("a proof of membership is about a certificate; give --certificate")
    if files_only and (policy or leaves or proof or write_proof):
        raise UsageError("a bundle of model-signing knows no policy, leaves or proof")
    if proof is not None and leaves is not None:
        raise UsageError("give --leaves or --proof: each shows membership by itself")
    beside = leaves_beside(attestation)
    if leaves is None and proof is None and beside.exists() and not files_only:
        leaves = beside
    content = read(attestation, MOST, "attestation")
    found = verify(
        content,
        read_public(key),
        model=None if model is None else ModelFile.read(model),
        certificate=None if certificate is None else read_file(certificate),
        leaves=None if leaves is None else read(leaves, MAX_BYTES, "--leaves"),
        proof=None if proof is None else read(proof, MOST, "--proof"),
        policy=None if policy is None else sha256(read(policy, MOST, "--policy")).hexdigest(),
        wanted="model-signing" if files_only else "attestation",
    )
    if write_proof is not None and found.inclusion is not None:
        from protoproof.files import write_atomic

        write_atomic(write_proof, plain(found.inclusion))
    if as_json:
        print_json(_document(found))
    elif not quiet:
        _print(found)
    raise typer.Exit(found.exit_code)


def _document(found: Verified) -> dict[str, object]:
    return {
        "exit_code": found.exit_code,
        "verified": found.exit_code == 0,
        "conditional": found.conditional,
        "findings": [vars(finding) for finding in found.findings],
        "predicate": None if found.predicate is None else found.predicate.model_dump(mode="json"),
        "certificate": None if found.leaf is None else found.leaf.model_dump(mode="json"),
        "note": NO_PROOF,
    }


def _print(found: Verified) -> None:
    for finding in found.findings:
        mark = {True: "verified", False: "NOT", None: "open"}[finding.verified]
        print(f"{mark:<11} {finding.name}: {visible(finding.detail)}")
    if found.exit_code != 1 and found.predicate is not None:
        for line in lines_about(found.predicate):
            print(line)
    if found.leaf is not None:
        print(f"certificate {found.leaf.status}")
        for line in claim_lines(found.leaf.claims):
            print(line)
    for condition in () if found.leaf is None else found.leaf.conditions:
        print(f"holds if    {visible(condition)}")
    print(f"note        {NO_PROOF}")
    words = {0: "verified", 1: "not verified", 3: "open"}[found.exit_code]
    if found.exit_code == 3 and found.conditional:
        words = "conditional: it rests on somebody's word, see above"
    print(f"attestation {strong(words)}")
