"""``attest``: sign what is proved about a network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from protoproof.cli.attested import leaves_beside, lines_about
from protoproof.cli.options import Json, Quiet
from protoproof.cli.terminal import print_json, progress_bar, strong
from protoproof.errors import UsageError
from protoproof.report.page.text import plural, visible

if TYPE_CHECKING:
    from collections.abc import Mapping

    from protoproof.attestation.attest import Attested
    from protoproof.attestation.keys import PrivateKey
    from protoproof.attestation.observing import Observer
    from protoproof.attestation.statement import Policy
    from protoproof.campaign import Campaign
    from protoproof.kernel import ModelFile

_SHOWN = 5  # certificates that are named where something is refused


Subjects = Annotated[
    list[Path],
    typer.Argument(
        metavar="CAMPAIGN_DIR|CERT...", help="Directory of a campaign or gate, or certificates."
    ),
]
Key = Annotated[Path, typer.Option("--key", help="The private key that signs (PEM).")]
Out = Annotated[Path, typer.Option("--out", metavar="FILE", help="What is written (.json).")]
Where = Annotated[
    Path | None,
    typer.Option("--model", help="The network, if a directory does not say where it lies."),
]
Data = Annotated[
    str | None,
    typer.Option(
        "--data", help="Also run the network on these data: every certificate is about one."
    ),
]
PolicyFile = Annotated[
    Path | None,
    typer.Option("--policy", help="A policy that a campaign must pass; needs --data."),
]
ModelSignature = Annotated[
    Path | None,
    typer.Option(
        "--model-signature",
        metavar="FILE",
        help="Also sign the model's files as OpenSSF model-signing does (ECDSA keys).",
    ),
]


def attest(
    subjects: Subjects,
    key: Key,
    out: Out,
    model: Where = None,
    data: Data = None,
    policy: PolicyFile = None,
    model_signature: ModelSignature = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Prove certificates again, and sign what they claim. Nothing is signed unless all are proved.

    A key: openssl genpkey -algorithm ed25519 -out key.pem; openssl pkey -in key.pem -pubout -out
    key.pub. Of an encrypted one the password stands in PROTOPROOF_KEY_PASSWORD.
    """
    from protoproof.extras import require

    require("attest", "attest")
    from protoproof.attestation.keys import read_private
    from protoproof.attestation.model_signing import sign_model
    from protoproof.files import require_writable, write_together
    from protoproof.kernel import ModelFile

    if out.suffix != ".json":
        raise UsageError(f"--out {out}: the name of an attestation must end in .json")
    if policy is not None and data is None:
        raise UsageError("--policy is decided about the data's inputs; give them with --data")
    require_writable(out.parent)
    private, campaign = read_private(key), _campaign(subjects)
    path = _model(campaign, model, subjects)
    file, written = ModelFile.read(path), {}
    if model_signature is not None:
        written[model_signature] = sign_model(file, path.name, private)
    observer, passed = _observed(campaign, path, data, policy)
    files = _certificates(campaign, subjects)
    found = _signed(files, file, path.name, private, observer, passed, not (quiet or as_json))
    if found.statement is not None:
        write_together({out: found.envelope, leaves_beside(out): found.leaves} | written)
    if as_json:
        print_json(_document(found, out))
    elif not quiet:
        _print(found, out)
    raise typer.Exit(found.exit_code)


def _signed(
    files: Mapping[Path, bool] | list[Path],
    model: ModelFile,
    name: str,
    key: PrivateKey,
    observer: Observer | None,
    policy: Policy | None,
    bar: bool,
) -> Attested:
    """What is attested, with a bar that shows how far it is."""
    from protoproof.attestation.attest import attest as sign_proved

    with progress_bar(bar) as move:

        def watch(number: int) -> None:
            if move is not None:
                move(number / len(files), f"{number} of {len(files)}")

        return sign_proved(files, model, name, key, observer=observer, policy=policy, watch=watch)


def _campaign(subjects: list[Path]) -> Campaign | None:
    """The campaign in the one directory that is given; None where certificates are given.

    Raises:
        UsageError: a directory besides something else.
    """
    if not any(subject.is_dir() for subject in subjects):
        return None
    if len(subjects) > 1:
        raise UsageError("give one directory, or certificates")
    from protoproof.campaign import read_campaign
    from protoproof.gate.compare import find_campaign

    return read_campaign(find_campaign(subjects[0]))


def _model(campaign: Campaign | None, model: Path | None, subjects: list[Path]) -> Path:
    if model is not None:
        return model
    where = "" if campaign is None else str(campaign.about.get("where", {}).get("model", ""))
    if not where:
        raise UsageError(
            f"{subjects[0]}: does not say where the network lies; give it with --model"
        )
    return Path(where)


def _certificates(campaign: Campaign | None, subjects: list[Path]) -> dict[Path, bool] | list[Path]:
    if campaign is None:
        return subjects
    from protoproof.attestation.places import certificates_in

    return certificates_in(campaign)


def _observed(
    campaign: Campaign | None, model: Path, data: str | None, policy: Path | None
) -> tuple[Observer | None, Policy | None]:
    """Who runs the inputs again, and the policy that is passed.

    Raises:
        typer.Exit: it is not passed: with the gate's exit code.
    """
    if data is None:
        return None, None
    from protoproof.attestation.observing import Observer
    from protoproof.campaign.instances import read_instances
    from protoproof.extras import require

    require("explain", "--data")
    instances = read_instances(data)
    observer = Observer(instances, model)
    if policy is None:
        return observer, None
    if campaign is None:
        raise UsageError("--policy is about a campaign; give its directory")
    from protoproof.attestation.places import decided
    from protoproof.campaign.result import network_of

    result, passed = decided(policy, campaign, network_of(campaign, model, "--model"), instances)
    if result.outcome != "passed":
        for check in result.failures:
            print(f"{check.status:<9} {visible(check.message)}")
        print(strong(f"nothing is signed: the policy is {result.outcome}"))
        raise typer.Exit(result.exit_code)
    return observer, passed


def _document(found: Attested, out: Path) -> dict[str, object]:
    statement = found.statement
    return {
        "exit_code": found.exit_code,
        "attestation": None if statement is None else str(out),
        "leaves": None if statement is None else str(leaves_beside(out)),
        "statement": None
        if statement is None
        else statement.model_dump(mode="json", by_alias=True),
        "refused": [
            {"certificate": str(item.path), "why": item.why, "undecided": item.undecided}
            for item in found.refused
        ],
    }


def _print(found: Attested, out: Path) -> None:
    if found.statement is None:
        for item in found.refused[:_SHOWN]:
            print(f"refused     {visible(str(item.path))}: {visible(item.why)}")
        count = len(found.refused)
        print(strong(f"nothing is signed: {plural(count, 'certificate')} not proved"))
        return
    for line in lines_about(found.statement.predicate):
        print(line)
    print(f"attestation {visible(str(out))}")
    print(f"leaves      {visible(str(leaves_beside(out)))}")
