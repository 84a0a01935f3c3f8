"""Signatures of model files as OpenSSF model-signing writes them (predicate v1.0), with a key.

https://github.com/sigstore/model-transparency: a Sigstore bundle around an in-toto statement whose
one subject is the model, with the sha256 over the digests of its files, listed in the predicate. It
knows ECDSA keys only; whole files hashed by sha256 are what is read here.
"""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Final, Literal

from pydantic import ConfigDict, Field, ValidationError

from protoproof.attestation.dsse import PAYLOAD_TYPE, first_problem, pae, write_bundle
from protoproof.attestation.keys import PrivateKey, is_ecdsa, key_hint, sign
from protoproof.attestation.reading import parsed
from protoproof.attestation.statement import STATEMENT
from protoproof.certificate.values import Frozen, Sha256
from protoproof.errors import InputError, UsageError
from protoproof.kernel import ModelFile

PREDICATE: Final = "https://model_signing/signature/v1.0"

_Name = Annotated[str, Field(min_length=1, max_length=4096)]


class _Loose(Frozen):
    """Other fields carry no meaning, as the format says."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)


class _Digest(_Loose):
    sha256: Sha256


class _Subject(_Loose):
    name: str
    digest: _Digest


class _Resource(_Loose):
    name: _Name
    algorithm: Literal["sha256"]
    digest: Sha256


class _Serialization(_Loose):
    method: Literal["files"]
    hash_type: Literal["sha256"]


class _Predicate(_Loose):
    serialization: _Serialization
    resources: tuple[_Resource, ...]


class _Statement(_Loose):
    subject: tuple[_Subject]
    predicate: _Predicate


def read_resources(payload: bytes) -> dict[str, str]:
    """The signed files: sha256 by name.

    Raises:
        InputError: it is no such statement, or contradicts itself.
    """
    try:
        found = _Statement.model_validate(parsed(payload, "the signed statement"))
    except ValidationError as error:
        raise InputError(f"model-signing: {first_problem(error)}") from error
    resources = found.predicate.resources
    names = {resource.name: resource.digest for resource in resources}
    if len(names) != len(resources):
        raise InputError("model-signing: names one file twice")
    if _over(list(names.values())) != found.subject[0].digest.sha256:
        raise InputError("model-signing: the files do not hash to the digest of the model")
    return names


def sign_model(model: ModelFile, name: str, key: PrivateKey) -> bytes:
    """A bundle that model-signing verifies: of the model's file, or of it and its data files.

    Raises:
        UsageError: a key that model-signing does not know.
    """
    if not is_ecdsa(key):
        raise UsageError("--model-signature: model-signing knows ECDSA keys only; use another key")
    own = hashlib.sha256(model.data).hexdigest()
    # of a single file the name is that of the directory itself
    files = {name: own} | {file: sha for file, sha, _ in model.files} if model.files else {".": own}
    statement = {
        "_type": STATEMENT,
        "subject": [{"name": name, "digest": {"sha256": _over([files[n] for n in sorted(files)])}}],
        "predicateType": PREDICATE,
        "predicate": {
            "serialization": {
                "method": "files",
                "hash_type": "sha256",
                "allow_symlinks": False,
                "ignore_paths": [],
            },
            "resources": [
                {"name": file, "algorithm": "sha256", "digest": files[file]}
                for file in sorted(files)
            ],
        },
    }
    payload = json.dumps(statement, sort_keys=True).encode()
    signature = sign(key, pae(PAYLOAD_TYPE, payload))
    return write_bundle(payload, signature, key_hint(key.public_key()))


def _over(digests: list[str]) -> str:
    """sha256 over digests, one after the other."""
    return hashlib.sha256(b"".join(map(bytes.fromhex, digests))).hexdigest()
