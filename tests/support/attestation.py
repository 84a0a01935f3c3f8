"""What is attested in tests: a network, certificates of which one is conditional, and keys."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from protoproof.attestation.keys import PrivateKey
from protoproof.certificate.schema import ReachDomain
from protoproof.kernel import ModelFile
from tests.support.kernel.builders import file, pair_core, scene

WORD = "whoever drew this box"


@dataclass(frozen=True)
class Given:
    """Files, and the model that they are about; the last certificate is conditional."""

    folder: Path
    model: Path
    certificates: tuple[Path, ...]
    key: Path
    public: Path

    @property
    def file(self) -> ModelFile:
        return ModelFile.read(self.model)


def write_key(folder: Path, name: str, key: PrivateKey) -> tuple[Path, Path]:
    """The files of a key: private and public."""
    private, public = folder / f"{name}.pem", folder / f"{name}.pub"
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    public.write_bytes(
        key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
    return private, public


CURVES = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1(), "P-521": ec.SECP521R1()}


def _numbers(shape: tuple[int, int], value: float) -> str:
    return base64.b64encode(np.full(shape, value, "<f8").tobytes()).decode()


def written(folder: Path) -> Given:
    """Write them all."""
    here = scene(5)
    (folder / "model.onnx").write_bytes(here.data)
    plain = pair_core(here)
    texts = [plain.model_copy(update={"tool": f"prover {n}"}) for n in range(6)]
    shape = (plain.instance.locations, plain.instance.channels)
    box = ReachDomain(lower=_numbers(shape, -1e3), upper=_numbers(shape, 1e3), source=WORD)
    texts.append(plain.model_copy(update={"domain": box}))
    paths = []
    for number, core in enumerate(texts):
        paths.append(folder / f"{number}.cert.json")
        paths[-1].write_bytes(file(core))
    key, public = write_key(folder, "key", ed25519.Ed25519PrivateKey.generate())
    return Given(folder, folder / "model.onnx", tuple(paths), key, public)
