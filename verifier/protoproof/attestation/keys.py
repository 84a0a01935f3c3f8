"""Keys in PEM files: Ed25519, and ECDSA over P-256, P-384 and P-521. Imports cryptography.

Each curve goes with the hash of its size, as in DSSE's and Sigstore's implementations.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from protoproof.attestation.reading import read
from protoproof.errors import InputError

PASSWORD = "PROTOPROOF_KEY_PASSWORD"  # noqa: S105  # the variable's name

PrivateKey = ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey
PublicKey = ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey

_MOST = 1 << 16  # bytes of a key's file
_HASHES: dict[str, hashes.HashAlgorithm] = {
    "secp256r1": hashes.SHA256(),
    "secp384r1": hashes.SHA384(),
    "secp521r1": hashes.SHA512(),
}
_KINDS = "Ed25519, or ECDSA over P-256, P-384 or P-521"


def read_private(path: Path) -> PrivateKey:
    """A private key, which may be encrypted: then its password stands in the environment.

    Raises:
        InputError: no such key.
    """
    password = os.environ.get(PASSWORD)
    try:
        key = load_pem_private_key(
            read(path, _MOST, "--key"), None if password is None else password.encode()
        )
    except TypeError as error:
        also = "is encrypted" if password is None else "is not encrypted"
        raise InputError(f"--key {path}: {also}; set {PASSWORD} accordingly") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise InputError(f"--key {path}: no private key in PEM, or another password") from error
    if not isinstance(key, PrivateKey) or not _known(key):
        raise InputError(f"--key {path}: the key is none of {_KINDS}")
    return key


def read_public(path: Path) -> PublicKey:
    """A public key.

    Raises:
        InputError: no such key.
    """
    content = read(path, _MOST, "--key")
    if b"PRIVATE KEY" in content:
        raise InputError(f"--key {path}: a private key; give the public one that belongs to it")
    try:
        key = load_pem_public_key(content)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise InputError(f"--key {path}: no public key in PEM") from error
    if not isinstance(key, PublicKey) or not _known(key):
        raise InputError(f"--key {path}: the key is none of {_KINDS}")
    return key


def sign(key: PrivateKey, data: bytes) -> bytes:
    """The signature of some bytes."""
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(data)
    return key.sign(data, ec.ECDSA(_HASHES[key.curve.name]))


def is_signed(key: PublicKey, signature: bytes, data: bytes) -> bool:
    """Whether the signature is one of these bytes by the key's owner."""
    try:
        if isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(signature, data)
        else:
            key.verify(signature, data, ec.ECDSA(_HASHES[key.curve.name]))
    except InvalidSignature:
        return False
    return True


def is_ecdsa(key: PrivateKey) -> bool:
    """Whether it is a key of an elliptic curve of NIST."""
    return isinstance(key, ec.EllipticCurvePrivateKey)


def key_id(key: PublicKey) -> str:
    """sha256 of the key (SubjectPublicKeyInfo, DER): a name for it, which proves nothing."""
    return hashlib.sha256(
        key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    ).hexdigest()


def key_hint(key: PublicKey) -> str:
    """The name of a key in a Sigstore bundle: sha256 of its PEM text."""
    return hashlib.sha256(
        key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    ).hexdigest()


def _known(key: PrivateKey | PublicKey) -> bool:
    if isinstance(key, ec.EllipticCurvePrivateKey | ec.EllipticCurvePublicKey):
        return key.curve.name in _HASHES
    return True
