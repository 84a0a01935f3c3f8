"""The machine-checked kernel in tests: where it is, and texts that say something else."""

from __future__ import annotations

import base64
import json
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from protoproof.certificate.schema import Core
from protoproof.errors import UsageError
from protoproof.formal import find_program
from protoproof.formal.portable import kernel_script
from protoproof.formal.program import ask
from tests.support.browser import NODE

Change = Callable[[str], str]


def _program() -> Path | None:
    try:
        return find_program()
    except UsageError:
        return None


PROGRAM = _program()
built = pytest.mark.skipif(
    PROGRAM is None, reason="the machine-checked kernel is not built: make kernel needs Coq"
)


def says(statement: str, proof: str, core: Core) -> bool:
    """Whether the kernel proves a statement from a proof."""
    assert PROGRAM is not None
    return ask(PROGRAM, statement, proof, core).sufficient


def all_said(statement: str, proof: str) -> list[str]:
    """Everything that the kernel says of a proof, line by line."""
    assert PROGRAM is not None
    with tempfile.TemporaryDirectory() as folder:
        files = Path(folder) / "statement", Path(folder) / "proof"
        for path, text in zip(files, (statement, proof), strict=True):
            path.write_text(text, encoding="ascii")
        command = [str(PROGRAM), *map(str, files)]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
    return [*result.stdout.splitlines(), *result.stderr.splitlines()]


def line_changed(text: str, word: str, change: Callable[[list[str]], None]) -> str:
    """The text with another version of its first line that starts with a word."""
    lines = text.split("\n")
    index = next(k for k, line in enumerate(lines) if line.split(" ")[0] == word)
    tokens = lines[index].split(" ")
    change(tokens)
    lines[index] = " ".join(tokens)
    return "\n".join(lines)


def false_statements(statement: str) -> Iterator[tuple[str, str]]:
    """Statements that are false, or say much more than the true one, with a word for each."""
    lines = statement.split("\n")

    def other_claim(tokens: list[str]) -> None:
        if tokens[1] == "class":
            tokens[2] = "1" if tokens[2] == "0" else "0"
        else:
            tokens[-1] = "off" if tokens[-1] == "on" else "on"

    yield "another claim", line_changed(statement, "claim", other_claim)
    for index, line in enumerate(lines):
        tokens = line.split(" ")
        if tokens[0] in ("pooled", "pair"):
            low, high = int(tokens[-2]), int(tokens[-1])
            width = max(1, high - low)
            moved = [*tokens[:-2], str(high + width), str(high + 2 * width)]
            other = [*lines[:index], " ".join(moved), *lines[index + 1 :]]
            yield "a fact that does not hold", "\n".join(other)
            break
    yield "another latent", _other_latent(lines)


def _other_latent(lines: list[str]) -> str:
    """Every coordinate far away: the facts are then about another point."""
    at = next(k for k, line in enumerate(lines) if line.startswith("latent "))
    exponent = int(lines[at].split(" ")[1])
    far = [
        " ".join(str(int(n) + (5 << exponent)) for n in line.split(" "))
        for line in lines[at + 1 : -3]
    ]
    return "\n".join([*lines[: at + 1], *far, *lines[-3:]])


def one_number_changed(proof: str, rng: np.random.Generator) -> str:
    """A proof with another number somewhere."""
    lines = proof.split("\n")
    while True:
        index = int(rng.integers(1, len(lines) - 1))
        tokens = lines[index].split(" ")
        places = [k for k, token in enumerate(tokens) if token.lstrip("-").isdigit()]
        if places:
            break
    place = int(rng.choice(places))
    tokens[place] = str(int(tokens[place]) + int(rng.choice([-1, 1, 7, -1000, 1 << 20])))
    return "\n".join([*lines[:index], " ".join(tokens), *lines[index + 1 :]])


def in_node(statement: str, proof: str) -> list[str]:
    """What the kernel's script says, line by line, in Node."""
    given = {"kernel": kernel_script(), "statement": statement, "proof": proof}
    return [str(line) for line in run_node(_ASKED, given)]


def read_in_node(statement: str, model: bytes) -> str:
    """What the reader in the kernel's script says of a model file."""
    content = base64.b64encode(model).decode()
    given = {"kernel": kernel_script(), "statement": statement, "model": content}
    (line,) = run_node(_READ, given)
    return str(line)


def run_node(script: str, given: object) -> list[object]:
    """What a script puts into ``said``; ``given`` is there as a constant."""
    program = (
        "const given = JSON.parse(require('fs').readFileSync(0, 'utf8')), said = [];\n"
        f"{script}\nprocess.stdout.write(JSON.stringify(said));"
    )
    assert NODE is not None
    done = subprocess.run(
        [NODE, "-e", program], input=json.dumps(given), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found: list[object] = json.loads(done.stdout)
    return found


_READ = """
(0, eval)(given.kernel);
const bytes = new Uint8Array(Buffer.from(given.model, "base64"));
said.push(globalThis.protoproofKernel.model(given.statement, bytes));
"""
_ASKED = """
(0, eval)(given.kernel);
const kernel = globalThis.protoproofKernel;
said.push(kernel.start(given.statement, given.proof));
while (/^(started|proved |not proved )/.test(said[said.length - 1])) said.push(kernel.next(""));
"""
