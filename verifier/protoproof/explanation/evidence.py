"""What a file that was written earlier answers: no answer is written over that of another question.

A question is a network and its head, an input, and the inputs or latents that are spoken of (for
labels, which of them, too). How it is answered (vocabulary, oracle, level) is no part of it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from protoproof.certificate.input_region import InputRegion
from protoproof.certificate.reader import read_certificate
from protoproof.certificate.schema import About, Core, ModelIdentity, ReachDomain
from protoproof.certificate.strict_json import MAX_BYTES
from protoproof.errors import CertificateError, InputError, OutputError
from protoproof.files import read_regular
from protoproof.network import Network
from protoproof.network.recorded import input_digest
from protoproof.prover.latent.domain import Domain, bounding_name
from protoproof.prover.proof.encode import model_identity

if TYPE_CHECKING:
    from protoproof.region.sets.region import Region

Question = dict[str, Any]  # plain data, for it is stored beside answers that are no certificate

_REGION: TypeAdapter[InputRegion] = TypeAdapter(InputRegion)
_LONGEST = 60  # characters of one part of a name
_SHORT = 8  # hexadecimal digits
_MOST_TEXT = 4096  # characters of a text that a certificate records


def called(words: Sequence[str], input_name: str = "", preprocessing: str = "") -> About:
    """What a certificate records beside its core of a call.

    Now, by which command, of what, and what was done to pictures.
    """
    return About(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        command=recordable(shlex.join(words)),
        input_name=recordable(input_name),
        preprocessing=preprocessing,
    )


def recordable(text: str) -> str:
    """File names may hold bytes that are no text, which are spelled out; what is longer is cut."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")[:_MOST_TEXT]


def asked_about(
    network: Network, x: NDArray[np.float32], domain: str | Domain, label: str | None
) -> Question:
    """The question that ``explain`` is asked.

    Raises:
        UsageError, InputError: no such region or label.
    """
    if not isinstance(domain, str):
        words = domain.name
    elif ":" not in domain:
        words = bounding_name(domain, network.latent_range, network.head.geometry)
    else:
        from protoproof.region.bounds.latent_bounds import finest
        from protoproof.region.sets.statement import statement

        said = statement(finest(domain, x, network))
        words = domain if said is None else _words(_REGION.validate_python(said))
    model = model_identity(network)
    return _question(model, input_digest(x), words, network.labels(label))


def answered_by(core: Core) -> Question:
    """The question that a certificate of ``explain`` answers."""
    domain = core.domain
    words: str = domain.kind
    if isinstance(domain, ReachDomain):
        words = domain.source if domain.region is None else _words(domain.region)
    labels = core.rivals if core.model.decision == "labels" else ()
    return _question(core.model, core.instance.input_sha256, words, labels)


def asked_of_region(network: Network, region: Region) -> Question:
    """The question whether all inputs of a region are predicted alike."""
    return _question(model_identity(network), input_digest(region.centre), str(region), ())


def _question(model: ModelIdentity, digest: str, words: str, labels: Sequence[int]) -> Question:
    return {
        "model": model.model_dump(mode="json"),
        "input_sha256": digest,
        "over": words,
        "labels": list(labels),
    }


def _words(region: InputRegion) -> str:
    return hashlib.sha256(region.model_dump_json().encode()).hexdigest()


def kept_beside(written: Mapping[Path, Core]) -> dict[Path, bytes]:
    """Where certificates that would be written over go: no proof is lost to another one.

    Another vocabulary, level or search makes another proof of the same question. The same proof
    again is written over.

    Args:
        written: certificates that are about to be written.

    Returns:
        New names for what lies there and says something else, with its bytes.
    """
    found = {}
    for path, core in written.items():
        try:
            content = read_regular(path, MAX_BYTES)
            before = None if content is None else read_certificate(content).core
        except (InputError, CertificateError):
            continue
        if content is None or before is None or before == core:
            continue
        stem = path.name.removesuffix(".json").removesuffix(".cert")
        digest = hashlib.sha256(content).hexdigest()[:_SHORT]
        found[path.with_name(f"{stem}--earlier-{digest}.cert.json")] = content
    return found


def is_answer(path: Path, question: Question) -> bool:
    """Whether a file is a certificate of ``explain`` that answers this question."""
    try:
        content = read_regular(path, MAX_BYTES)
        core = None if content is None else read_certificate(content).core
    except (InputError, CertificateError):
        return False
    return core is not None and answered_by(core) == question


def taken(paths: Sequence[Path], question: Question) -> Path | None:
    """One of an answer's files, certificate first, where they hold another answer; or None."""
    there = [path for path in paths if os.path.lexists(path)]
    return there[0] if there and not is_answer(paths[0], question) else None


def another_question(path: Path) -> OutputError:
    """The refusal to write over a file of somebody's choice."""
    return OutputError(
        f"--out: {path} exists and answers another question (other network, input, region or "
        "label); choose another name, or remove it"
    )


def short(question: Question) -> str:
    """A few digits that differ between questions."""
    text = json.dumps(question, sort_keys=True)
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:_SHORT]


def evidence_name(model: Path, instance: str | Path | None, *parts: str) -> str:
    """What the files of an answer are called, without their endings.

    Args:
        model: the network's file.
        instance: the input's file, of which the folder is kept too; or its name.
        parts: what else tells questions apart, such as the region; empty ones are left out.
    """
    names = [model.stem]
    if isinstance(instance, Path):
        names.append("-".join(filter(None, (instance.parent.name.strip("."), instance.stem))))
    elif instance is not None:
        names.append(instance)
    return "--".join(filter(None, (_plain(name) for name in (*names, *parts))))


def _plain(name: str) -> str:
    """Part of a file's name on every system; cut from the left, where paths are alike."""
    return re.sub(r"[^\w.,+=-]+", "-", name).strip("-.")[-_LONGEST:]
