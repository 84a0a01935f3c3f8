"""The second reading: whether a statement is what model and certificate say, by another program.

``verifier/formal/reader`` reads the bytes of both on its own, and shares nothing with the checker
that wrote the statement. What the kernel proves counts where this reader confirms the statement.
"""

from __future__ import annotations

import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from protoproof.errors import UsageError
from protoproof.formal.built import find_built
from protoproof.formal.limited import TooCostlyError, run
from protoproof.kernel.model.file import ModelFile

NAME = "protoproof-reader"
VARIABLE = "PROTOPROOF_READER"
_VERDICTS: dict[int, Literal["confirmed", "contradicted", "not covered"]] = {
    0: "confirmed",
    1: "contradicted",
    3: "not covered",
}


@dataclass(frozen=True)
class Reading:
    """What the second reader says, and why where it does not confirm."""

    verdict: Literal["confirmed", "contradicted", "not covered"]
    reason: str

    @property
    def confirmed(self) -> bool:
        """Whether model and certificate are what the statement says."""
        return self.verdict == "confirmed"

    def __str__(self) -> str:
        return f"second reading: {self.verdict}: {self.reason}"


def find_reader() -> Path:
    """The second reader.

    Raises:
        UsageError: there is none.
    """
    return find_built(NAME, VARIABLE, "the second reader")


def second_reading(
    reader: Path, certificate: bytes | None, model: ModelFile, statement: str
) -> Reading:
    """Let the reader compare a statement with the bytes of model and certificate.

    Without a certificate, only the model's hash and the head are compared.

    Raises:
        UsageError: the program broke off.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = {"statement": statement.encode(), "model": model.data}
        arguments = [str(reader), str(folder / "statement"), str(folder / "model")]
        if certificate is not None:
            files["certificate"] = certificate
            arguments += ["--certificate", str(folder / "certificate")]
        for number, (own, content) in enumerate(sorted(model.data_files.items())):
            files[f"data{number}"] = content
            arguments += ["--data", own, str(folder / f"data{number}")]
        for own, content in files.items():
            (folder / own).write_bytes(content)
        try:
            result = run(arguments)
        except TooCostlyError as error:
            return Reading("not covered", str(error))
        except (OSError, subprocess.TimeoutExpired) as error:
            raise UsageError(
                f"the second reader {str(reader)!r} did not answer: {error}"
            ) from error
    verdict = _VERDICTS.get(result.returncode)
    line = (result.stdout.strip().splitlines() or [""])[-1]
    if verdict is None or not line.startswith(f"{verdict}: "):
        why = (result.stderr.strip().splitlines() or ["no answer"])[-1]
        raise UsageError(f"the second reader broke off: {why}")
    return Reading(verdict, line.removeprefix(f"{verdict}: "))
