"""What is signed is what was proved; what was changed, or signed by another, is not verified."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from securesystemslib.dsse import Envelope
from securesystemslib.signer import SSlibKey

from protoproof.attestation.attest import Attested, attest
from protoproof.attestation.dsse import PAYLOAD_TYPE, pae, to_bytes, write_envelope
from protoproof.attestation.keys import key_id, read_private, read_public, sign
from protoproof.attestation.merkle import path
from protoproof.attestation.statement import Leaves, Statement, plain, read_as
from protoproof.attestation.verify import Verified, verify
from protoproof.errors import InputError, UsageError
from tests.support.attestation import CURVES, WORD, Given, write_key
from tests.support.cli import protoproof


@pytest.fixture(scope="module")
def signed(given: Given) -> Attested:
    return attest(given.certificates, given.file, "model.onnx", read_private(given.key))


@pytest.fixture(scope="module")
def unconditional(given: Given) -> Attested:
    return attest(given.certificates[:-1], given.file, "model.onnx", read_private(given.key))


def looked_at(given: Given, content: bytes, **more: Any) -> Verified:
    return verify(content, read_public(given.public), **more)


def payload_of(envelope: bytes) -> dict[str, Any]:
    return json.loads(base64.b64decode(json.loads(envelope)["payload"]))


def signed_again(given: Given, payload: bytes, payload_type: str = PAYLOAD_TYPE) -> bytes:
    """An envelope around other contents, by the right key."""
    key = read_private(given.key)
    envelope = json.loads(
        write_envelope(payload, sign(key, pae(payload_type, payload)), key_id(key.public_key()))
    )
    return to_bytes(envelope | {"payloadType": payload_type})


def test_what_is_proved_is_counted_and_what_is_conditional_stands_apart(
    given: Given, signed: Attested, unconditional: Attested
) -> None:
    statement = payload_of(signed.envelope)
    about = statement["predicate"]
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["subject"] == [
        {
            "name": "model.onnx",
            "digest": {"sha256": hashlib.sha256(given.model.read_bytes()).hexdigest()},
        }
    ]
    assert about["certificates"]["size"] == 7
    assert about["accepted"] == {
        "certificates": 6,
        "inputs": 1,
        "claims": {"R": {"sufficient": 6}},
    }
    assert about["conditional"]["certificates"] == 1
    assert about["conditional"]["claims"] == {"R": {"sufficient": 1}}
    (rests,) = about["conditional"]["rests"]
    assert WORD in rests["on"]
    assert (signed.exit_code, unconditional.exit_code) == (3, 0)
    assert looked_at(given, signed.envelope, model=given.file).exit_code == 3
    assert looked_at(given, unconditional.envelope, model=given.file).exit_code == 0


def test_every_certificate_is_shown_to_be_among_them(given: Given, signed: Attested) -> None:
    for certificate in given.certificates:
        more = {"certificate": certificate.read_bytes(), "leaves": signed.leaves}
        found = looked_at(given, signed.envelope, **more)
        conditional = certificate == given.certificates[-1]
        assert found.exit_code == (3 if conditional else 0)
        assert found.inclusion is not None
        more = {"certificate": certificate.read_bytes(), "proof": plain(found.inclusion)}
        assert looked_at(given, signed.envelope, **more).exit_code == found.exit_code


def test_membership_without_anything_that_shows_it_is_refused(
    given: Given, signed: Attested
) -> None:
    with pytest.raises(UsageError, match="--leaves or --proof"):
        looked_at(given, signed.envelope, certificate=b"{}")


@pytest.mark.parametrize("curve", CURVES)
def test_other_implementations_read_the_envelope(given: Given, tmp_path: Path, curve: str) -> None:
    """securesystemslib verifies it, with ECDSA keys and with Ed25519."""
    private, public = write_key(tmp_path, "ec", ec.generate_private_key(CURVES[curve]))
    keys = [(private, public)] + ([(given.key, given.public)] if curve == "P-256" else [])
    for private, public in keys:
        done = attest(given.certificates[:1], given.file, "model.onnx", read_private(private))
        assert verify(done.envelope, read_public(public)).exit_code == 0
        envelope = Envelope.from_dict(json.loads(done.envelope))
        loaded = serialization.load_pem_public_key(public.read_bytes())
        key = SSlibKey.from_crypto(loaded, keyid=next(iter(envelope.signatures)))  # type: ignore[arg-type]
        assert envelope.verify([key], 1)


def test_nothing_is_signed_unless_all_are_proved(given: Given, tmp_path: Path) -> None:
    good = json.loads(given.certificates[0].read_bytes())
    good["core"]["instance"]["predicted"] ^= 1
    bad, key, out = tmp_path / "bad.cert.json", given.key, tmp_path / "a.json"
    bad.write_text(json.dumps(good))
    done = protoproof(
        "attest", given.certificates[0], bad, "--model", given.model, "--key", key, "--out", out
    )
    assert done.code == 1
    assert "nothing is signed: 1 certificate not proved" in done.out
    assert not list(tmp_path.glob("a*"))


def test_a_certificate_of_another_model_is_not_signed(given: Given, tmp_path: Path) -> None:
    other = tmp_path / "other.onnx"
    other.write_bytes(given.model.read_bytes() + b"\x08\x08")  # ir_version once more
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        done = protoproof(
            "attest", given.certificates[0], "--model", other, "--key", given.key,
            "--out", tmp_path / "a.json",
        )  # fmt: skip
    assert done.code == 1
    assert "hash mismatch" in done.out


def test_the_same_certificate_twice_is_refused(given: Given) -> None:
    """Also under other circumstances: it would count twice."""
    document = json.loads(given.certificates[0].read_bytes())
    document["about"]["created"] = "later"
    again = given.folder / "again.cert.json"
    again.write_text(json.dumps(document))
    for second in (given.certificates[0], again):
        twice = [given.certificates[0], second]
        with pytest.raises(UsageError, match=r"claims and proves what .* does"):
            attest(twice, given.file, "model.onnx", read_private(given.key))


def _changed(document: dict[str, Any], place: str, value: Any) -> bytes:
    *way, last = place.split(".")
    inner = document
    for word in way:
        inner = inner[word]
    inner[last] = value
    return to_bytes(document)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("predicate.accepted.certificates", 7),
        ("predicate.tool", "protoproof 9"),
        ("predicate.model.identity", "0" * 64),
        ("predicate.certificates.root", "0" * 64),
    ],
)
def test_a_changed_payload_is_not_verified(
    given: Given, signed: Attested, place: str, value: Any
) -> None:
    payload = _changed(payload_of(signed.envelope), place, value)
    envelope = json.loads(signed.envelope)
    envelope["payload"] = base64.b64encode(payload).decode()
    found = looked_at(given, to_bytes(envelope), model=given.file)
    assert found.exit_code == 1
    assert [finding.name for finding in found.findings] == ["signature"]
    assert found.predicate is None  # nothing of it is shown


@pytest.mark.parametrize(
    ("place", "value", "why"),
    [
        ("predicate.accepted.certificates", 7, "add up"),
        ("predicate.accepted.inputs", 7, "add up"),
        ("predicate.certificates.size", 0, "add up"),
        ("predicate.heads", [], "add up"),
        ("predicate.extra", 1, "extra"),
        ("predicate.policy", {"name": "p", "sha256": "0" * 64, "outcome": "failed"}, "outcome"),
        ("subject", [], "subject"),
        ("predicateType", "https://slsa.dev/provenance/v1", "something else"),
        ("_type", "https://in-toto.io/Statement/v0.1", "is no https://in-toto.io/Statement/v1"),
        ("predicate.model.file.sha256", "0" * 64, "different files"),
    ],
)
def test_a_signed_statement_that_contradicts_itself_is_not_verified(
    given: Given, signed: Attested, place: str, value: Any, why: str
) -> None:
    payload = _changed(payload_of(signed.envelope), place, value)
    found = looked_at(given, signed_again(given, payload))
    assert found.exit_code == 1
    assert why in found.findings[-1].detail


def test_another_key_does_not_verify(given: Given, signed: Attested, tmp_path: Path) -> None:
    for key in (ed25519.Ed25519PrivateKey.generate(), ec.generate_private_key(ec.SECP256R1())):
        _, public = write_key(tmp_path, "other", key)
        assert verify(signed.envelope, read_public(public)).exit_code == 1


def _two(envelope: dict[str, Any]) -> None:
    envelope["signatures"] *= 2


def _none(envelope: dict[str, Any]) -> None:
    envelope["signatures"] = []


def _type(envelope: dict[str, Any]) -> None:
    envelope["payloadType"] = "text/plain"


def _flipped(envelope: dict[str, Any]) -> None:
    signature = bytearray(base64.b64decode(envelope["signatures"][0]["sig"]))
    signature[5] ^= 1
    envelope["signatures"][0]["sig"] = base64.b64encode(signature).decode()


def _empty(envelope: dict[str, Any]) -> None:
    envelope["signatures"][0]["sig"] = ""


@pytest.mark.parametrize("change", [_two, _none, _type, _flipped, _empty])
def test_a_changed_envelope_is_not_verified(
    given: Given, signed: Attested, change: Callable[[dict[str, Any]], None]
) -> None:
    envelope = json.loads(signed.envelope)
    change(envelope)
    assert looked_at(given, to_bytes(envelope)).exit_code == 1


def test_a_signature_for_another_purpose_is_not_verified(given: Given, signed: Attested) -> None:
    payload = base64.b64decode(json.loads(signed.envelope)["payload"])
    as_text = signed_again(given, payload, "text/plain")
    assert looked_at(given, as_text).exit_code == 1
    passed_off = to_bytes(json.loads(as_text) | {"payloadType": PAYLOAD_TYPE})
    assert looked_at(given, passed_off).exit_code == 1


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{}",
        b'{"payload":"","payload":"","payloadType":"x","signatures":[]}',
        b'{"payload":"e30","payloadType":"x","signatures":[]}',
        b'{"payload":"e30=","payloadType":"x","signatures":[],"more":1}',
        b'{"payload":"e30=","payloadType":"x","signatures":[{"sig":"e31="}]}',
        b"[" * 100_000,
        b'{"dsseEnvelope":{"payload":"e30=","payloadType":"x","signatures":[]}}',
    ],
    ids=["empty", "list", "object", "key twice", "padding", "field", "spelling", "deep", "bundle"],
)
def test_what_is_no_envelope_is_refused(given: Given, content: bytes) -> None:
    with pytest.raises(InputError):
        looked_at(given, content)


def test_a_key_twice_in_the_payload_is_not_verified(given: Given, signed: Attested) -> None:
    payload = base64.b64decode(json.loads(signed.envelope)["payload"])
    twice = payload.replace(b'{"_type":', b'{"_type":"x","_type":', 1)
    assert looked_at(given, signed_again(given, twice)).exit_code == 1


def test_a_file_of_a_hundred_megabytes_is_refused_unread(given: Given, tmp_path: Path) -> None:
    large = tmp_path / "large.json"
    with large.open("wb") as stream:
        stream.truncate(100 << 20)
    done = protoproof("verify-attestation", large, "--key", given.public)
    assert done.code == 2
    assert "is larger than" in done.err


def test_a_swapped_certificate_is_not_among_them(given: Given, unconditional: Attested) -> None:
    """One that is proved, too, but was not signed; and one with the proof of another."""
    last, first = given.certificates[-1].read_bytes(), given.certificates[0].read_bytes()
    more = {"certificate": last, "leaves": unconditional.leaves}
    assert looked_at(given, unconditional.envelope, **more).exit_code == 1
    found = looked_at(given, unconditional.envelope, certificate=first, leaves=unconditional.leaves)
    assert found.inclusion is not None
    proof = plain(found.inclusion)
    more = {"certificate": last, "proof": proof}
    assert looked_at(given, unconditional.envelope, **more).exit_code == 1
    # the leaf says that it is the other certificate, or that it proves more
    for change in (
        {"certificate": hashlib.sha256(last).hexdigest()},
        {"claims": {"R": {"robust": 1}}},
    ):
        document = json.loads(proof)
        document["leaf"] |= change
        asked = last if "certificate" in change else first
        more = {"certificate": asked, "proof": to_bytes(document)}
        assert looked_at(given, unconditional.envelope, **more).exit_code == 1


def _forged(leaves: bytes, change: Callable[[list[dict[str, Any]]], None]) -> bytes:
    document = json.loads(leaves)
    change(document["leaves"])
    return to_bytes(document)


def test_forged_leaves_are_not_those_that_were_signed(given: Given, signed: Attested) -> None:
    def double(leaves: list[dict[str, Any]]) -> None:
        leaves.append(leaves[-1])

    def accept(leaves: list[dict[str, Any]]) -> None:
        for leaf in leaves:
            leaf |= {"status": "accepted", "conditions": []}

    for change in (double, accept, list.pop, list.reverse):
        leaves = _forged(signed.leaves, change)  # type: ignore[arg-type]
        more = {"certificate": given.certificates[-1].read_bytes(), "leaves": leaves}
        found = looked_at(given, signed.envelope, **more)
        assert found.exit_code == 1
        assert found.leaf is None


def test_an_inner_node_is_not_passed_off_as_a_leaf(given: Given, signed: Attested) -> None:
    """A proof that starts one level up, with a leaf whose text would be the two below."""
    leaves = read_as(Leaves, signed.leaves, "leaves").leaves
    hashes = [leaf.hash for leaf in leaves]
    way = path(0, hashes)
    shorter = {
        "schema": "protoproof.inclusion/1",
        "index": 0,
        "leaf": json.loads(signed.leaves)["leaves"][0],
        "siblings": [node.hex() for node in way[1:]],
    }
    certificate = next(
        c for c in given.certificates
        if hashlib.sha256(c.read_bytes()).hexdigest() == leaves[0].certificate
    )  # fmt: skip
    more = {"certificate": certificate.read_bytes(), "proof": to_bytes(shorter)}
    assert looked_at(given, signed.envelope, **more).exit_code == 1


def test_leaves_must_add_up_to_what_is_signed(given: Given, signed: Attested) -> None:
    """The signer's own statement over the right tree makes a conditional proof a plain one."""
    assert signed.statement is not None
    about = signed.statement.predicate
    claims = {"R": {"sufficient": 7}}
    better = about.model_copy(
        update={
            "accepted": about.accepted.model_copy(update={"certificates": 7, "claims": claims}),
            "conditional": about.conditional.model_copy(
                update={"certificates": 0, "inputs": 0, "claims": {}, "rests": ()}
            ),
        }
    )
    statement = plain(signed.statement.model_copy(update={"predicate": better}))
    found = looked_at(given, signed_again(given, statement), leaves=signed.leaves)
    assert found.exit_code == 1
    assert "do not add up" in found.findings[-1].detail


def test_another_model_is_not_verified(given: Given, signed: Attested) -> None:
    other = replace(given, model=given.folder / "other.onnx")
    other.model.write_bytes(given.model.read_bytes() + b"\x08\x08")
    assert looked_at(given, signed.envelope, model=other.file).exit_code == 1


def test_a_statement_is_read_as_it_was_written(signed: Attested) -> None:
    payload = base64.b64decode(json.loads(signed.envelope)["payload"])
    assert read_as(Statement, payload, "statement") == signed.statement
    assert plain(read_as(Statement, payload, "statement")) == payload


def test_the_command_line_signs_and_verifies(given: Given, tmp_path: Path) -> None:
    out, proof = tmp_path / "a.json", tmp_path / "p.json"
    sign_it = ("attest", *given.certificates, "--model", given.model, "--key", given.key)
    done = protoproof(*sign_it, "--out", out)
    assert done.code == 3
    assert "conditional 1 certificate about 1 different input, proved only if" in done.out
    assert WORD in done.out
    look = ("verify-attestation", out, "--key", given.public, "--model", given.model)
    found = protoproof(*look)
    assert (found.code, found.err) == (3, "")
    assert found.out.endswith("conditional: it rests on somebody's word, see above\n")
    one = ("--certificate", given.certificates[0], "--write-proof", proof)
    found = protoproof(*look, *one)
    assert found.code == 0
    assert "no proof is run here" in found.out
    assert found.out.endswith("attestation verified\n")
    (tmp_path / "a.leaves.json").unlink()
    found = protoproof(*look, "--certificate", given.certificates[0], "--proof", proof, "--json")
    assert found.code == json.loads(found.out)["exit_code"] == 0
    assert protoproof(*look, "--certificate", given.certificates[0]).code == 2


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("--key", "{public}"), "no private key in PEM"),
        (("--key", "{model}"), "no private key in PEM"),
        (("--key", "no.pem"), "no such file"),
        (("--key", "{key}", "--policy", "p.yaml"), "--data"),
        (("--key", "{key}", "--out", "a.txt"), "must end in .json"),
        (("--key", "{key}", "--out", "{folder}/0.cert.json"), "written over"),
        (("--key", "{key}", "--model-signature", "{model}"), "written over"),
        (("--key", "{key}", "--model-signature", "m.sig"), "ECDSA keys only"),
    ],
)
def test_bad_usage_of_attest_is_refused(
    given: Given, tmp_path: Path, arguments: tuple[str, ...], why: str
) -> None:
    words = [word.format(**vars(given)) for word in arguments]
    start = ("attest", given.certificates[0], "--model", given.model)
    done = protoproof(
        *start, *words, *([] if "--out" in words else ["--out", "a.json"]), cwd=tmp_path
    )
    assert done.code == 2
    assert why in done.err
    assert not list(tmp_path.iterdir())


def test_a_name_that_hides_something_is_signed_visibly(given: Given, tmp_path: Path) -> None:
    hidden = tmp_path / "net\u202exnno.\udcff.onnx"
    hidden.write_bytes(given.model.read_bytes())
    out = tmp_path / "a.json"
    start = ("attest", given.certificates[0], "--model", hidden, "--key", given.key)
    assert protoproof(*start, "--out", out).code == 0
    name = payload_of(out.read_bytes())["subject"][0]["name"]
    assert name == "net[U+202E]xnno.[U+DCFF].onnx"


def test_a_private_key_does_not_verify(given: Given, signed: Attested, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(signed.envelope)
    done = protoproof("verify-attestation", tmp_path / "a.json", "--key", given.key)
    assert done.code == 2
    assert "a private key" in done.err


@pytest.mark.parametrize("which", ["envelope", "leaves", "proof"])
def test_no_changed_byte_says_something_else(given: Given, signed: Attested, which: str) -> None:
    """One bit of a byte: it is refused, or not verified, or was no part of what is said."""
    certificate = given.certificates[0].read_bytes()
    honest = looked_at(given, signed.envelope, certificate=certificate, leaves=signed.leaves)
    assert honest.inclusion is not None
    files = {"envelope": signed.envelope, "leaves": signed.leaves, "proof": plain(honest.inclusion)}
    shown = "leaves" if which == "leaves" else "proof"
    told = 0
    for place in range(0, len(files[which]), 3 if which == "leaves" else 1):
        changed = bytearray(files[which])
        changed[place] ^= 1 << place % 8
        now = files | {which: bytes(changed)}
        more = {"certificate": certificate, shown: now[shown]}
        try:
            found = looked_at(given, now["envelope"], **more)
        except InputError:
            continue
        if found.exit_code != 1:
            told += 1
            assert (found.predicate, found.leaf) == (honest.predicate, honest.leaf)
    assert told < 80  # the key's name, and the space at the end
