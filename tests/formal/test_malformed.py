"""Files that are no statement or no proof: one line, whatever they hold."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from protoproof.formal.proof import proof
from protoproof.kernel import ModelFile
from protoproof.kernel.budget import Budget
from protoproof.kernel.statement import stated_head, write
from tests.support.formal import PROGRAM, built
from tests.support.kernel.moves import with_witnesses
from tests.support.kernel.sizes import certificate

WORDS = ["", "-1", "0", "1", "99999999999999999999", "1073741823", "1/0", "x", "end", "inf", "-"]


@cache
def texts() -> tuple[tuple[str, str], ...]:
    """Statement and proof: of witnesses, and of a size bound."""
    found = []
    for here, core in (with_witnesses(4, True), certificate(0, "ceiling")[:2]):
        with Budget().active():
            bound = stated_head(core, ModelFile(here.data))
            found.append((write(core, bound), proof(core, bound.head)))
    return tuple(found)


def told(folder: Path, statement: bytes, evidence: bytes) -> tuple[int, str, str]:
    """Exit code, output and errors of the program."""
    files = folder / "statement", folder / "proof"
    for path, content in zip(files, (statement, evidence), strict=True):
        path.write_bytes(content)
    result = subprocess.run([str(PROGRAM), *map(str, files)], capture_output=True, check=False)
    return result.returncode, result.stdout.decode(), result.stderr.decode("utf-8", "replace")


def answered_in_one_line(code: int, out: str, err: str) -> bool:
    if code in (0, 1):
        return not err
    return code in (2, 3) and err.startswith("kernel: ") and len(err.splitlines()) == 1


@built
@pytest.mark.parametrize("which", [0, 1], ids=["statement", "proof"])
@pytest.mark.parametrize("example", [0, 1])
def test_a_changed_file_is_answered_in_one_line(which: int, example: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(7 * example + which)
    parts = [text.encode() for text in texts()[example]]
    for _ in range(40):
        tokens = parts[which].split(b" ")
        place = int(rng.integers(len(tokens)))
        match int(rng.integers(4)):
            case 0:
                del tokens[place]
            case 1:
                tokens[place:place] = tokens[place : place + int(rng.integers(1, 30))]
            case 2:
                tokens[place] = WORDS[int(rng.integers(len(WORDS)))].encode()
            case _:
                tokens = [b" ".join(tokens)[: int(rng.integers(len(parts[which])))]]
        changed = list(parts)
        changed[which] = b" ".join(tokens)
        code, out, err = told(tmp_path, *changed)
        assert answered_in_one_line(code, out, err), (code, err, tokens[place - 2 : place + 2])


@built
@pytest.mark.parametrize(
    "content", [b"", b"\n", b"\x00\xff" * 100, b"1 " * 100, b"{}", b"9" * 10**5]
)
def test_what_is_no_file_of_its_kind_is_refused(content: bytes, tmp_path: Path) -> None:
    statement, evidence = (text.encode() for text in texts()[0])
    for pair in ((content, evidence), (statement, content)):
        code, out, err = told(tmp_path, *pair)
        assert code == 2
        assert not out
        assert answered_in_one_line(code, out, err)


@built
def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    for arguments in ([], ["a"], [str(tmp_path / "a"), str(tmp_path / "b")], [str(tmp_path)] * 2):
        result = subprocess.run(
            [str(PROGRAM), *arguments], capture_output=True, text=True, check=False
        )
        assert result.returncode == 2
        assert answered_in_one_line(result.returncode, result.stdout, result.stderr)
