"""``show``: what a certificate says, in words; nothing is proved here."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from protoproof.cli.options import Json
from protoproof.cli.terminal import print_json, program_words, strong
from protoproof.cli.two_files import read_certificate_file
from protoproof.errors import UsageError
from protoproof.report.page.text import visible

if TYPE_CHECKING:
    from protoproof.certificate.schema import Core, Envelope
    from protoproof.network import Network

_SOMETIMES = ("region", "unit", "preprocessing", "against")
NOBODY = "Nobody's word: check walks the encoder again, from the model's bytes."
NOT_PROVED = "These are the certificate's claims. Nothing was proved here: check does that."


def show(
    certificate: Annotated[Path, typer.Argument(metavar="CERT", help="The certificate.")],
    model: Annotated[
        Path | None,
        typer.Argument(metavar="[MODEL]", help="Its network: then names and similarities, too."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Print what a certificate says, in words: facts, claims, what they rest on, what is open.

    Nothing is proved, and no input is needed. With MODEL, facts read as explain wrote them.
    """
    from protoproof.certificate.reader import read_certificate, require_certificate

    content = read_certificate_file(certificate, model, "protoproof show")
    require_certificate(content, str(certificate))
    envelope = read_certificate(content)
    network = None if model is None else _named(envelope, certificate, model)
    document = _document(envelope, network) | {
        "certificate": certificate.name,
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    if as_json:
        print_json(document)
        return
    _print(document, certificate, model)


def _named(envelope: Envelope, certificate: Path, model: Path) -> Network:
    """The network that the certificate is about.

    Raises:
        UsageError: it is about another.
        ModelError: see :func:`protoproof.network.load`.
    """
    from protoproof.data.preprocess import recorded
    from protoproof.network import load

    stated = envelope.core.model
    network = load(
        model,
        latent=stated.latent,
        output=stated.output,
        routing=stated.routing,
        preprocess=recorded(envelope.about.preprocessing),
    )
    if network.sha256 != stated.sha256:
        raise UsageError(
            f"{certificate} is about another model than {model}: its sha256 is "
            f"{stated.sha256[:16]}..., that of the file {network.sha256[:16]}...; leave MODEL out, "
            "or give the right one"
        )
    return network


def _document(envelope: Envelope, network: Network | None) -> dict[str, Any]:
    """What is printed, as plain data."""
    from protoproof.kernel.conditions import conditions
    from protoproof.kernel.encoder.input_region import describe
    from protoproof.length import numbers
    from protoproof.report.page import stated
    from protoproof.report.page.words import domain_words, level_sentence, limits_words

    core, about = envelope.core, envelope.about
    if network is None:
        predicted = stated.class_words(core)
        facts = [stated.fact_stated(fact, core) for fact in core.facts]
    else:
        predicted, facts = _as_the_model_says(core, network)
    region = stated.region_of(core)
    # as far as the file says; nothing keeps it from naming a fact twice
    needed, spare = ({one.fact for one in said} for said in (core.witnesses, core.superfluous))
    return {
        "schema": envelope.schema_,
        "tool": core.tool,
        "created": about.created or None,
        "command": about.command or None,
        "model": {
            "name": None if network is None else network.about.name,
            "sha256": core.model.sha256,
            "files": [entry.name for entry in core.model.files],
            "latent": list(core.model.latent),
            "output": core.model.output,
        },
        "input": {"name": about.input_name or None, "sha256": core.instance.input_sha256},
        "predicted": core.instance.predicted,
        "predicted_name": predicted,
        "level": core.level,
        "level_words": level_sentence(core),
        "vocabulary": core.vocabulary,
        "domain": core.domain.kind,
        "domain_words": domain_words(core),
        "region": None if region is None else describe(region),
        "preprocessing": about.preprocessing or None,
        "against": (network.pixels.against if network is not None else "") or None,
        "unit": _unit(envelope, network) or None,
        "claims": list(stated.claimed_words(core, predicted)),
        "size": len(core.facts),
        "numbers": numbers(core.facts, core.instance.locations),
        "facts": facts,
        "rests_on": list(stated.resting_words(core, conditions(core))),
        "conditional": bool(conditions(core)),
        "not_proved": list(limits_words(core, len(needed), len(spare), None)),
    }


def _unit(envelope: Envelope, network: Network | None) -> str:
    """In what the size of a region is measured; "" where the certificate speaks of none."""
    from protoproof.report.page.stated import region_of
    from protoproof.report.page.units import recorded_unit, unit_of

    region = region_of(envelope.core)
    if network is not None:
        return unit_of(network, envelope.core)
    return "" if region is None else recorded_unit(region, envelope.about.preprocessing)


def _as_the_model_says(core: Core, network: Network) -> tuple[str, list[str]]:
    """What is predicted, and the facts, with the model's names and similarities."""
    from protoproof.report.page.facts import fact_words
    from protoproof.report.page.reading import recorded_reading

    reading = recorded_reading(network, core)
    return reading.predicted_name, [fact_words(fact, reading) for fact in core.facts]


def _print(document: dict[str, Any], certificate: Path, model: Path | None) -> None:
    """The lines for people."""
    from protoproof.length import size_words

    named, given = document["model"], document["input"]
    name = named["name"]
    rows = [
        ("certificate", f"{document['certificate']} (sha256 {document['sha256']})"),
        ("made", f"{document['created'] or 'no date recorded'}, by {document['tool']}"),
        ("command", document["command"] or "not recorded"),
        ("model", f"{f'{name}, ' if name else ''}sha256 {named['sha256']}"),
        ("input", f"{given['name'] or 'no name recorded'}, sha256 {given['sha256']}"),
        ("predicted", document["predicted_name"]),
        *((word, document[word]) for word in _SOMETIMES if document[word]),
    ]
    for word, text in rows:
        print(f"{word:<11} {visible(text)}")
    words = size_words(document["size"], document["numbers"])
    vocabulary = f" ({document['vocabulary']}): {words} to read" if document["facts"] else ""
    _list(f"Facts{vocabulary}", document["facts"] or ["None: the domain alone is enough."])
    _list("It claims", document["claims"])
    _list("Over which latents", [document["domain_words"]])
    _list("What a proof means", [document["level_words"]])
    _list("It rests on", document["rests_on"] or [NOBODY])
    _list("Not claimed", document["not_proved"])
    print(f"\n{strong(NOT_PROVED)}")
    again = program_words("check", certificate, model or Path("MODEL.onnx"))
    print(f"check       {visible(again)}")


def _list(title: str, lines: list[str]) -> None:
    print(f"\n{strong(title)}")
    for line in lines:
        print(f"  - {visible(line)}")
