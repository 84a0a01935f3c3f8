"""The kernel as a script: made from the present sources, and of one mind with the program."""

from __future__ import annotations

import base64
import hashlib
from importlib import import_module
from math import gcd, isqrt

import numpy as np
import pytest

from models.heldout import heldout
from protoproof import explain
from protoproof.certificate.schema import ReachDomain
from protoproof.formal.portable import kernel_script, portable_proof
from protoproof.formal.program import ask
from protoproof.kernel import ModelFile
from protoproof.kernel.budget import Budget
from protoproof.network import load
from protoproof.resources import ZOO, zoo_path
from tests.support.browser import node
from tests.support.formal import (
    PROGRAM,
    built,
    false_statements,
    in_node,
    one_number_changed,
    read_in_node,
    run_node,
)
from tests.support.kernel.builders import pair_core, scene
from tests.support.kernel.moves import with_witnesses
from tests.support.sources import ROOT

SWEEP = pytest.mark.sweep
FORMAL = ROOT / "verifier" / "formal"
BUILD = ROOT / "build" / "kernel"
PROGRAMS = ("command.ml", "coq.ml", "program.ml")  # they read files
PACKED = ROOT / "verifier" / "protoproof" / "formal" / "browser"
LINES = [line.split() for line in (PACKED / "kernel.txt").read_text("ascii").splitlines()]
TOOLS = {first: second for first, second in LINES if len(first) < 64}
HASHES = {second: first for first, second in LINES if len(first) == 64}


def test_the_script_is_made_from_the_present_sources() -> None:
    made_from = {
        str(path.relative_to(FORMAL)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in [*FORMAL.iterdir(), *(FORMAL / "reader").iterdir()]
        if path.suffix in (".v", ".ml", ".js") and path.name not in PROGRAMS
    }
    script = hashlib.sha256(kernel_script().encode()).hexdigest()
    assert made_from | {"kernel.js": script} == HASHES, "make kernel-page"


def test_building_it_again_gives_the_same_bytes() -> None:
    script, tools = BUILD / "kernel.js", BUILD / "toolchain.txt"
    if not script.is_file():
        pytest.skip("the script is not built: make kernel needs Coq, OCaml and js_of_ocaml")
    sources = [FORMAL / name for name in HASHES if name != "kernel.js"]
    copies = [(BUILD if path.suffix == ".v" else BUILD / "script") / path.name for path in sources]
    if any(a.read_bytes() != b.read_bytes() for a, b in zip(sources, copies, strict=True)):
        pytest.skip("what is built is of other sources: make kernel")
    if dict(line.split() for line in tools.read_text("ascii").splitlines()) != TOOLS:
        pytest.skip("what is built is of other tools than those on record")
    assert script.read_text("ascii") == kernel_script()


@node
def test_integers_are_those_of_python() -> None:
    """Around every size at which the representation changes, and far beyond."""
    edges = [sign * ((1 << k) + d) for k in (0, 15, 30, 31, 32, 53, 62, 200) for d in (-1, 0, 1)
             for sign in (1, -1)]  # fmt: skip
    pairs = [(a, b) for index, a in enumerate(edges) for b in edges[index % 6 :: 6]]

    def truncated(a: int, b: int) -> list[int]:
        quotient = abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)
        return [quotient, a - b * quotient]

    def expected(a: int, b: int) -> list[int]:
        root = isqrt(abs(a))
        ones = [a + b, a - b, a * b, -a, abs(a), a + 1, a - 1, (a > b) - (a < b), int(a == b)]
        more = [(a > 0) - (a < 0), a << 7, root, gcd(a, b)]
        return [*ones, *more, *([*truncated(a, b), a // b, -(-a // b)] if b else [])]

    found = run_node(_PRIMITIVES, {
        "source": (FORMAL / "zarith.js").read_text("ascii"),
        "pairs": [[str(a), str(b)] for a, b in pairs],
    })  # fmt: skip
    small = 1 << 31
    for (a, b), (values, fits) in zip(pairs, found, strict=True):  # type: ignore[misc]
        assert [int(v) for v in values] == expected(a, b), (a, b)
        if -small <= a < small and -small <= b < small:
            assert fits == (-small <= a * b < small)


_PRIMITIVES = """
function caml_raise_zero_divide() { throw new Error("zero"); }
function caml_invalid_argument(text) { throw new Error(text); }
function caml_jsbytes_of_string(text) { return text; }
(0, eval)(given.source);
const read = (text) => ml_z_of_substring_base(0, text, 0, text.length);
for (const fault of ["", "-", "0x10", "1_0", "1.5", "1n", " 1", "+1", "--1"]) {
  let refused = false;
  try { read(fault); } catch (error) { refused = true; }
  if (!refused) throw new Error("read: " + fault);
}
for (const [s, t] of given.pairs) {
  const a = read(s), b = read(t), zero = BigInt(b) === BigInt(0);
  const values = [
    ml_z_add(a, b), ml_z_sub(a, b), ml_z_mul(a, b), ml_z_neg(a), ml_z_abs(a), ml_z_succ(a),
    ml_z_pred(a), ml_z_compare(a, b), ml_z_equal(a, b), ml_z_sign(a), ml_z_shift_left(a, 7),
    ml_z_sqrt(ml_z_abs(a)), ml_z_gcd(a, b),
    ...(zero ? [] : [...ml_z_div_rem(a, b).slice(1), ml_z_fdiv(a, b), ml_z_cdiv(a, b)])
  ];
  const both = typeof a === "number" && typeof b === "number";
  said.push([values.map(String), both ? ml_z_mul_overflows(a, b) === 0 : null]);
}
"""


@node
def test_it_proves_what_is_true_and_not_what_is_false() -> None:
    here, core = with_witnesses(3, box=False)
    portable = portable_proof(core, ModelFile(here.data))
    lines = in_node(portable.statement, portable.proof)
    assert lines[:2] == ["started", "proved sufficient"]
    assert lines[-1] == "end"
    assert {int(line.split()[2]) for line in lines[2:-1]} == {w.fact for w in core.witnesses}
    for word, other in false_statements(portable.statement):
        assert "proved sufficient" not in in_node(other, portable.proof), word


@node
@pytest.mark.parametrize("cut", [0.0, 0.3, 0.9])
def test_what_cannot_be_read_is_said_in_one_line(cut: float) -> None:
    here = scene(5)
    portable = portable_proof(pair_core(here), ModelFile(here.data))
    short = portable.statement[: int(cut * len(portable.statement))]
    (line,) = in_node(short, portable.proof)
    assert line.startswith("malformed ")


@node
@built
def test_it_says_what_the_program_says() -> None:
    """Of the same texts, changed or not: one source, two compilers."""
    assert PROGRAM is not None
    here, core = with_witnesses(4, box=True)
    portable = portable_proof(core, ModelFile(here.data))
    rng, different = np.random.default_rng(0), set()
    for _ in range(8):
        proof = one_number_changed(portable.proof, rng)
        answer = ask(PROGRAM, portable.statement, proof, core)
        lines = in_node(portable.statement, proof)
        if lines[-1] == "end":
            assert answer.sufficient == ("proved sufficient" in lines)
            proved = {int(line.split()[2]) for line in lines if line.startswith("proved necessary")}
            assert proved == set(answer.necessary)
        else:
            assert answer.reason.removeprefix("kernel: ") == lines[-1].removeprefix("malformed ")
        different.add((answer.sufficient, answer.open))
    assert len(different) > 1


@node
@pytest.mark.parametrize(
    "name", [name if name == "motion-labels" else pytest.param(name, marks=SWEEP) for name in ZOO]
)
def test_explanations_of_the_zoo_are_proved(name: str) -> None:
    model = ModelFile.read(zoo_path(name))
    found = explain(load(zoo_path(name)), heldout(name, 1).x[0], timeout=20)
    assert found.certificate is not None
    core = found.certificate.core
    portable = portable_proof(core, model)
    if not portable.proof:
        assert portable.reason.startswith("not covered by the kernel: ")
        return
    lines = in_node(portable.statement, portable.proof)
    if core.level == "F":  # which the kernel does not cover for every head
        assert lines.pop(2) in ("proved float32", "not proved float32")
    assert lines == [
        "started",
        "proved sufficient",
        *(f"proved necessary {witness.fact} {witness.rival}" for witness in core.witnesses),
        "end",
    ]
    # and the head of the statement is what the file computes, for the reader in the script too
    assert read_in_node(portable.statement, model.data).startswith("same ")
    lines = portable.statement.split("\n")
    row = next(k for k, line in enumerate(lines) if line.startswith("points ")) + 1
    first, rest = lines[row].split(" ", 1)
    lines[row] = f"{int(first) + 1} {rest}"
    assert not read_in_node("\n".join(lines), model.data).startswith("same ")


def test_a_proof_that_costs_too_much_is_not_covered(monkeypatch: pytest.MonkeyPatch) -> None:
    """The certificate stands; its page says that it is not proved again."""
    here = scene(5)
    made = import_module("protoproof.formal.portable")
    monkeypatch.setattr(made, "Budget", lambda: Budget(max_steps=1))
    portable = portable_proof(pair_core(here), ModelFile(here.data))
    assert (portable.statement, portable.proof, portable.sha256) == ("", "", "")
    assert portable.reason.startswith("not covered by the kernel: too large to be checked")


@node
def test_a_box_on_somebodys_word_is_said_beside_the_proof() -> None:
    here = scene(5)
    middle = here.latent.astype("<f8")
    ends = [base64.b64encode((middle + d).tobytes()).decode() for d in (-0.5, 0.5)]
    domain = ReachDomain(lower=ends[0], upper=ends[1], source="a friend")
    portable = portable_proof(
        pair_core(here).model_copy(update={"domain": domain}), ModelFile(here.data)
    )
    assert in_node(portable.statement, portable.proof)[1] == "proved sufficient"
    assert any("vouched for by: a friend" in word for word in portable.beyond)
