"""Where the files of a campaign lie, and reading them as what they are: nobody's word."""

from __future__ import annotations

import hashlib
from pathlib import Path

from protoproof.campaign.record import VOCABULARIES
from protoproof.certificate.strict_json import MAX_BYTES
from protoproof.errors import InputError
from protoproof.files import read_regular

LEDGER = "ledger.sqlite"
CERTIFICATES = "certificates"
REGIONS = "regions"  # certificates and counterexamples of regions
LATENTS = "latents"  # what the runtime computed, see ``latents``
SIZES = "sizes"  # certificates of explanations in vocabularies that were not chosen
FOLDERS = (CERTIFICATES, REGIONS, SIZES, LATENTS)


def unchanged(path: Path, digest: str) -> bytes | None:
    """The file's content, or None where it is missing, another one, or no regular file."""
    try:
        data = read_regular(path, MAX_BYTES)
    except InputError:
        return None
    return data if data is not None and hashlib.sha256(data).hexdigest() == digest else None


def certificate_path(directory: Path, key: str) -> Path:
    """Where the certificate of a result lies."""
    return directory / CERTIFICATES / f"{key}.cert.json"


def region_paths(directory: Path, key: str) -> tuple[Path, Path]:
    """Where a region's certificate lies, and its counterexample."""
    folder = directory / REGIONS
    return folder / f"{key}.cert.json", folder / f"{key}.npy"


def size_path(directory: Path, key: str, vocabulary: str) -> Path:
    """Where the certificate of a result in another vocabulary lies.

    Raises:
        InputError: there is no such vocabulary; its name could lead out of the directory.
    """
    if vocabulary not in VOCABULARIES:
        raise InputError(f"{directory}: a result names a vocabulary that does not exist")
    return directory / SIZES / f"{key}.{vocabulary}.cert.json"
