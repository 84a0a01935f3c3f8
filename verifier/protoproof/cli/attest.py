"""``attest``: sign what is proved about a network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from protoproof.cli.attested import leaves_beside, lines_about
from protoproof.cli.options import Json, Preprocess, Quiet
from protoproof.cli.terminal import print_json, progress_bar, strong
from protoproof.errors import UsageError
from protoproof.report.page.text import label, visible
from protoproof.wording import plural

if TYPE_CHECKING:
    from collections.abc import Mapping

    from protoproof.attestation.attest import Attested
    from protoproof.attestation.keys import PrivateKey
    from protoproof.attestation.observing import Observer
    from protoproof.attestation.statement import Policy
    from protoproof.campaign import Campaign, Instances
    from protoproof.data.preprocess import Preprocessing
    from protoproof.gate.outcome import GateResult
    from protoproof.kernel import ModelFile

_SHOWN = 5  # certificates that are named where something is refused


Subjects = Annotated[
    list[Path],
    typer.Argument(
        metavar="CAMPAIGN_DIR|CERT", help="Directory of a campaign or gate, or certificates."
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
    preprocess: Preprocess = None,
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
    from protoproof.data.preprocess import preprocessing_of, recorded
    from protoproof.files import require_writable, write_together
    from protoproof.kernel import ModelFile

    if policy is not None and data is None:
        raise UsageError("--policy is decided about the data's inputs; give them with --data")
    private, campaign = read_private(key), _campaign(subjects)
    path = _model(campaign, model, subjects)
    _refuse_places(out, model_signature, [*subjects, key, path])
    require_writable(out.parent)
    file, name, written = ModelFile.read(path), label(path.name), {}
    if model_signature is not None:
        written[model_signature] = sign_model(file, name, private)
    said = "" if campaign is None else campaign.about.get("where", {}).get("preprocess", "")
    stated = recorded(said) if preprocess is None else preprocessing_of(preprocess)
    observer = None if data is None else _observer(file, path, data, stated)
    passed = None
    if policy is not None and observer is not None:
        result, passed = _decided(campaign, path, observer.instances, policy)
        if result.outcome != "passed":
            _print_open(result, as_json, quiet)
            raise typer.Exit(result.exit_code)
    files = _certificates(campaign, subjects)
    found = _signed(files, file, name, private, observer, passed, not (quiet or as_json))
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


def _refuse_places(out: Path, signature: Path | None, read: list[Path]) -> None:
    """Before any work: nothing that is read may be written over.

    Raises:
        UsageError: it would be.
    """
    if out.suffix != ".json":
        raise UsageError(f"--out {out}: the name of an attestation must end in .json")
    places = [path.resolve() for path in (out, leaves_beside(out), signature) if path is not None]
    if len(set(places)) != len(places) or {path.resolve() for path in read} & set(places):
        raise UsageError(f"--out {out}: would be written over what is read; choose another name")


def _observer(model: ModelFile, path: Path, data: str, stated: Preprocessing | None) -> Observer:
    from protoproof.attestation.observing import Observer
    from protoproof.campaign.instances import read_instances
    from protoproof.extras import require

    require("explain", "--data")
    return Observer(read_instances(data, stated), path, model.sha256, stated)


def _decided(
    campaign: Campaign | None, model: Path, instances: Instances, policy: Path
) -> tuple[GateResult, Policy]:
    """The policy's answer.

    Raises:
        UsageError: there is no campaign.
    """
    if campaign is None:
        raise UsageError("--policy is about a campaign; give its directory")
    from protoproof.attestation.places import decided
    from protoproof.campaign.result import network_of

    return decided(policy, campaign, network_of(campaign, model, "--model"), instances)


def _print_open(result: GateResult, as_json: bool, quiet: bool) -> None:
    """A policy that is not passed."""
    if as_json:
        messages = [check.message for check in result.failures]
        document = {"outcome": result.outcome, "failures": messages}
        print_json({"exit_code": result.exit_code, "attestation": None, "policy": document})
    elif not quiet:
        for check in result.failures:
            print(f"{check.status:<11} {visible(check.message)}")
        print(strong(f"nothing is signed: the policy is {result.outcome}"))


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
