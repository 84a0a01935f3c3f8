"""Signatures of models by OpenSSF model-signing and by this tool: each reads the other's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from protoproof.attestation.keys import read_private, read_public
from protoproof.attestation.model_signing import sign_model
from protoproof.attestation.verify import Verified, verify
from protoproof.kernel import ModelFile
from tests.support.attestation import CURVES, Given, write_key
from tests.support.cli import protoproof

model_signing = pytest.importorskip("model_signing", reason="model-signing is for development")


def files_of(signature: bytes, public: Path, **more: Any) -> Verified:
    return verify(signature, read_public(public), wanted="model-signing", **more)


def theirs(model: Path, key: Path, signature: Path) -> None:
    config = model_signing.signing.Config().use_elliptic_key_signer(private_key=key)
    config.sign(model, signature)


def verified_by_them(model: Path, key: Path, signature: Path) -> None:
    config = model_signing.verifying.Config().use_elliptic_key_verifier(public_key=key)
    config.set_ignore_unsigned_files(True).verify(model, signature)


@pytest.mark.parametrize("curve", CURVES)
def test_they_verify_ours(given: Given, tmp_path: Path, curve: str) -> None:
    private, public = write_key(tmp_path, "key", ec.generate_private_key(CURVES[curve]))
    signature = tmp_path / "model.sig"
    signature.write_bytes(sign_model(given.file, "model.onnx", read_private(private)))
    verified_by_them(given.model, public, signature)
    assert files_of(signature.read_bytes(), public, model=given.file).exit_code == 0
    other = tmp_path / "model.onnx"
    other.write_bytes(given.model.read_bytes() + b"\x08\x08")
    with pytest.raises(ValueError, match="mismatch"):
        verified_by_them(other, public, signature)


@pytest.mark.parametrize("curve", CURVES)
def test_we_verify_theirs(given: Given, tmp_path: Path, curve: str) -> None:
    private, public = write_key(tmp_path, "key", ec.generate_private_key(CURVES[curve]))
    signature = tmp_path / "model.sig"
    theirs(given.model, private, signature)
    found = files_of(signature.read_bytes(), public, model=given.file)
    assert [(finding.name, finding.verified) for finding in found.findings] == [
        ("signature", True),
        ("statement", True),
        ("model", True),
    ]
    assert "no proof of anything" in found.findings[1].detail
    other = ModelFile(given.model.read_bytes() + b"\x08\x08")
    assert files_of(signature.read_bytes(), public, model=other).exit_code == 1
    _, stranger = write_key(tmp_path, "other", ec.generate_private_key(CURVES[curve]))
    assert files_of(signature.read_bytes(), stranger).exit_code == 1


def test_a_directory_that_they_signed(given: Given, tmp_path: Path) -> None:
    """Model and certificates side by side are signed files; nothing says what is proved."""
    private, public = write_key(tmp_path, "key", ec.generate_private_key(ec.SECP256R1()))
    folder, signature = tmp_path / "release", tmp_path / "release.sig"
    folder.mkdir()
    for path in (given.model, given.certificates[0]):
        (folder / path.name).write_bytes(path.read_bytes())
    theirs(folder, private, signature)
    content = signature.read_bytes()
    there, absent = (path.read_bytes() for path in given.certificates[:2])
    assert files_of(content, public, model=given.file, certificate=there).exit_code == 0
    assert files_of(content, public, model=given.file, certificate=absent).exit_code == 1


def test_a_model_with_data_files(tmp_path: Path) -> None:
    """Both files are listed under their names, as they would list the directory."""
    private, public = write_key(tmp_path, "key", ec.generate_private_key(ec.SECP256R1()))
    folder, signature = tmp_path / "net", tmp_path / "net.sig"
    folder.mkdir()
    (folder / "net.onnx").write_bytes(b"graph")
    (folder / "net.onnx.data").write_bytes(b"weights")
    model = ModelFile(b"graph", {"net.onnx.data": b"weights"})
    signature.write_bytes(sign_model(model, "net.onnx", read_private(private)))
    verified_by_them(folder, public, signature)
    assert files_of(signature.read_bytes(), public, model=model).exit_code == 0
    (folder / "net.onnx.data").write_bytes(b"other weights")
    with pytest.raises(ValueError, match="mismatch"):
        verified_by_them(folder, public, signature)


def test_they_do_not_take_an_attestation_for_a_signature_of_a_model(
    given: Given, tmp_path: Path
) -> None:
    """They know one type of predicate, and ours is another: it says what is proved."""
    from protoproof.attestation.attest import attest
    from protoproof.attestation.dsse import BUNDLE, to_bytes
    from protoproof.attestation.keys import key_hint

    private, public = write_key(tmp_path, "key", ec.generate_private_key(ec.SECP256R1()))
    done = attest(given.certificates[:1], given.file, "model.onnx", read_private(private))
    bundle = {
        "mediaType": BUNDLE,
        "verificationMaterial": {
            "publicKey": {"hint": key_hint(read_public(public))},
            "tlogEntries": [],
        },
        "dsseEnvelope": json.loads(done.envelope),
    }
    signature = tmp_path / "a.sig"
    signature.write_bytes(to_bytes(bundle))
    assert verify(signature.read_bytes(), read_public(public), model=given.file).exit_code == 0
    with pytest.raises(ValueError, match="Predicate type mismatch"):
        verified_by_them(given.model, public, signature)


def test_neither_is_taken_for_the_other(given: Given, tmp_path: Path) -> None:
    """One key signs both: whoever wants proofs is not content with a signature of files."""
    private, public = write_key(tmp_path, "key", ec.generate_private_key(ec.SECP256R1()))
    out, bundle = tmp_path / "a.json", tmp_path / "model.sig"
    start = ("attest", given.certificates[0], "--model", given.model, "--key", private)
    assert protoproof(*start, "--out", out, "--model-signature", bundle).code == 0
    look = ("--key", public, "--model", given.model)
    assert protoproof("verify-attestation", out, *look).code == 0
    assert protoproof("verify-attestation", bundle, *look, "--model-signing").code == 0
    found = protoproof("verify-attestation", bundle, *look)
    assert found.code == 1
    assert "a signature of files (model-signing), and an attestation of proofs is" in found.out
    assert protoproof("verify-attestation", out, *look, "--model-signing").code == 1
    policy = ("--policy", given.model)
    assert protoproof("verify-attestation", bundle, *look, "--model-signing", *policy).code == 2
    found = protoproof("verify-attestation", out, *look, *policy)
    assert found.code == 1
    assert "policy: none was decided" in found.out
