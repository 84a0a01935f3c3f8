"""VNN-LIB queries of both versions: what is read, what is refused, and what is answered."""

from __future__ import annotations

import base64
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from protoproof.errors import InputError, ProtoProofError
from protoproof.explanation.explainer import Explainer
from protoproof.network import load
from protoproof.query import formula
from protoproof.query.decide import Answer, decide
from protoproof.query.formula import Atom, Both, Either, Element, disjuncts, element, number
from protoproof.query.language import parse_query
from protoproof.query.order import Linear, contradictory
from protoproof.query.points import Points
from protoproof.query.standard import decimal, lines
from tests.support.queries import (
    ANOTHER,
    BEST,
    HEAD,
    LAST,
    NET,
    OTHER,
    SAME,
    SECOND,
    X_PLACES,
    X,
    inputs,
    latents,
    spelled,
)

pytest.importorskip("vnnlib")


@pytest.fixture(scope="module")
def explainer(tmp_path_factory: pytest.TempPathFactory) -> Explainer:
    path = tmp_path_factory.mktemp("net") / "tiny.onnx"
    path.write_bytes(NET.model())
    return Explainer(load(path))


Ask = Callable[..., Answer]


@pytest.fixture(scope="module")
def ask(explainer: Explainer) -> Ask:
    def asked(body: str, kind: str = "real", head: str = HEAD) -> Answer:
        return decide(parse_query(head.format(t=kind) + body), explainer)

    return asked


def test_never_another_class_is_decided_from_inputs_and_from_the_latent_alone(ask: Ask) -> None:
    assert ask(inputs() + OTHER).word == "unsat"
    assert ask(latents() + OTHER).word == "unsat"
    assert ask(latents() + OTHER, "float32").word == "unsat"


def test_a_satisfying_input_is_replayed_and_printed_exactly(ask: Ask) -> None:
    found = ask(inputs() + latents(0.25) + SAME)
    text = lines(found)
    assert text[:2] == ["sat", "X real [1,2,1,2]"]
    for word, value in zip(text[2:6], X.reshape(-1).tolist(), strict=True):
        assert abs(Fraction(word) - Fraction(value)) <= Fraction(1, 1024)
    assert text[6] == "Z real [1,2,1,2]"
    assert text[-4] == "Y real [1,3]"
    assert max(text[-3:], key=Fraction) == text[-3:][BEST]


def test_what_nothing_proves_is_unknown_and_says_why(ask: Ask) -> None:
    found = ask(latents(4.0) + OTHER.replace("or", "and"))
    assert found.word == "unknown"
    assert found.reason


def test_an_equation_that_float32_cannot_meet_is_decided_over_the_reals(ask: Ask) -> None:
    """0.3 is no float32 number: the box of one point is decided, and no input of it is invented."""
    fixed = "".join(f"(assert (== X[{place}] 0.3))" for place in X_PLACES)
    nearest = NET.measured(NET.latent(np.full(X.shape, 0.3))).min(axis=0)
    best, *others = np.argsort(-NET.scores(nearest)).tolist()
    some = " ".join(f"(>= Y[0,{k}] Y[0,{best}])" for k in others)
    assert ask(f"{fixed}(assert (or {some}))").word == "unsat"
    found = ask(f"{fixed}(assert (<= Y[0,{others[0]}] Y[0,{best}]))")
    assert lines(found)[2:6] == ["0.3"] * 4


@pytest.mark.parametrize("strict", ["<", "<="])
def test_a_strict_comparison_is_stricter(ask: Ask, strict: str) -> None:
    text = f"(assert ({strict} X[0,0,0,0] 0.5))(assert (>= X[0,0,0,0] 0.5))"
    assert (ask(text).word == "unsat") == (strict == "<")


def test_an_offered_latent_is_only_a_place_to_start(ask: Ask) -> None:
    """A wrong one changes no answer."""
    z = NET.latent(X.astype(np.float64)).astype("<f4")
    for offered in (z, z + np.float32(9)):
        text = base64.b64encode(offered.tobytes()).decode()
        assert ask(f"; latent: {text}\n" + latents() + OTHER).word == "unsat"
    assert ask(f"; latent: {text}\n" + latents() + SAME).word != "unsat"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (inputs() + OTHER, "float32: sound from a latent on"),
        ("(assert (<= X[0,0,0,9] 0.5))", "out of bounds"),
        ("(assert (<= X[0,0,0,0] 1))", "line 5: Type mismatch"),
        ("(assert (<= W[0] 0.5))", "Undeclared variable"),
        ("(assert (not (<= X[0,0,0,0] 0.5)))", "syntax error"),
        ("", r"the file ends, and needs \(assert ...\) at least"),
        ("(assert " + "(and " * 300 + "(<= X[0,0,0,0] 0.5)" + ")" * 301, "nested deeper"),
    ],
)
def test_the_rest_is_refused_in_one_line(ask: Ask, text: str, problem: str) -> None:
    with pytest.raises(InputError, match=problem) as caught:
        ask(text, "float32")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("[1,3]", "[1,4]", r"Y is declared \[1, 4\]"),
        ('"latent"', '"nowhere"', "'nowhere', which the network does not have"),
        ("X {t}", "X real", "real or float32 throughout"),
        ("{t}", "float64", "declares element types float64"),
        ("{t}", "Real", "does not know"),
        ("<2.0>", "<2.1>", "written in VNN-LIB 2.1"),
        ("(declare-output Y", "(declare-output U {t} [1,3]) (declare-output Y", "2 outputs"),
        ("(declare-input X", "(declare-input W {t} [1]) (declare-input X", "2 inputs"),
        (
            "(declare-network N",
            ANOTHER + "(declare-network N",
            "declares 2 networks",
        ),
    ],
)  # fmt: skip
def test_declarations_that_are_not_the_networks(ask: Ask, old: str, new: str, problem: str) -> None:
    with pytest.raises(ProtoProofError, match=problem):
        ask("(assert (<= Y[0,0] Y[0,1]))", "float32", HEAD.replace(old, new))


def first_version(body: str) -> str:
    names = [f"X_{k}" for k in range(4)] + [f"Y_{k}" for k in range(3)]
    return "".join(f"(declare-const {name} Real)" for name in names) + body


def test_the_first_version_has_alternatives_over_inputs(explainer: Explainer) -> None:
    flat = X.reshape(-1).tolist()

    def box(reach: float, off: float = 0.0) -> str:
        return " ".join(
            f"(>= X_{k} {spelled(v + off - reach)}) (<= X_{k} {spelled(v + off + reach)})"
            for k, v in enumerate(flat)
        )

    boxes = f"(assert (or (and {box(0.001)}) (and {box(0.001, 0.002)})))"
    rivals = f"(assert (or (<= Y_{BEST} Y_{SECOND}) (<= Y_{BEST} Y_{LAST})))"
    assert decide(parse_query(first_version(boxes + rivals)), explainer).word == "unsat"
    same = f"(assert (<= (+ Y_{LAST} (- 0.0001)) Y_{BEST}))"
    assert decide(parse_query(first_version(boxes + same)), explainer).word == "sat"


def test_time_is_up_before_anything_starts(explainer: Explainer) -> None:
    query = parse_query(HEAD.format(t="real") + inputs() + OTHER)
    assert decide(query, explainer, timeout=0).word == "timed-out"


def test_numbers_are_spelled_exactly() -> None:
    assert [decimal(Fraction(text)) for text in ("3/8", "-1/10", "7", "0")] == [
        "0.375", "-0.1", "7.0", "0.0"
    ]  # fmt: skip
    with pytest.raises(InputError, match="no finite decimal"):
        decimal(Fraction(1, 3))


def test_a_power_of_an_element_is_never_less_than_it_can_be() -> None:
    x = element("X", 0)
    ends = {next(iter(x.terms))[0]: (Fraction(-1), Fraction(2))}
    assert (x * x).bounds(ends) == (0, 4)
    assert (x * x * x - number(1)).bounds(ends) == (-2, 7)
    assert (x - x).terms == {}


def test_many_alternatives_are_refused() -> None:
    clause = "(assert (or (<= Y[0,0] Y[0,1]) (<= Y[0,1] Y[0,2])))"
    query = parse_query(HEAD.format(t="real") + clause * 20)
    with pytest.raises(InputError, match="disjuncts"):
        disjuncts(query.condition, {})


@pytest.mark.trust(47)
def test_conditions_that_go_into_all_alternatives_are_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Few alternatives of many conditions are many: refused before they are put together."""
    atom = Atom(number(Fraction(1)))
    condition = Both((*[atom] * 100, *[Either((atom, atom))] * 4))
    assert [len(each) for each in disjuncts(condition, {})] == [104] * 16
    monkeypatch.setattr(formula, "MOST_LITERALS", 1000)
    with pytest.raises(InputError, match="conditions in disjuncts"):
        disjuncts(condition, {})


def test_files_name_themselves(tmp_path: Path) -> None:
    from protoproof.query.language import read_query

    path = tmp_path / "bad.vnnlib"
    path.write_bytes(b"\xff")
    with pytest.raises(InputError, match=r"bad.vnnlib: not UTF-8"):
        read_query(path)


@pytest.mark.parametrize("kind", ["real", "float32"])
@pytest.mark.parametrize(
    "body",
    [
        "(assert (> Y[0,0] Y[0,1]))(assert (> Y[0,1] Y[0,0]))",
        "(assert (and (>= Y[0,0] Y[0,1]) (>= Y[0,1] Y[0,2]) (> Y[0,2] Y[0,0])))",
        "(assert (>= Y[0,0] Y[0,1]))(assert (<= Y[0,0] 1.0))(assert (> Y[0,1] 1.0))",
        "(assert (or (and (< Z[0,0,0,0] Z[0,1,0,0]) (< Z[0,1,0,0] Z[0,0,0,0])) (< 1.0 0.5)))",
    ],
)
def test_comparisons_that_contradict_each_other_are_unsatisfiable(
    ask: Ask, body: str, kind: str
) -> None:
    assert ask(body, kind).word == "unsat"


@pytest.mark.parametrize(
    ("known", "never"),
    [
        ([({0: 1, 1: -1}, 1, False), ({0: -2, 1: 2}, 2, False)], True),  # d <= -1 and d >= 1
        ([({0: 1, 1: -1}, 1, False), ({0: -2, 1: 2}, -2, False)], False),  # d = -1
        ([({0: 1, 1: -1}, 1, True), ({0: -2, 1: 2}, -2, False)], True),
        ([({0: 1, 1: 1, 2: 1}, 0, False), ({0: -1, 1: -1, 2: -1}, 1, False)], True),
        ([({0: 1, 1: 1, 2: 1}, 0, False), ({0: -1, 1: -1, 2: -1}, 0, False)], False),
        ([({0: 1, 1: -1}, 0, False), ({1: 1, 2: -1}, 0, False), ({2: 1, 0: -1}, 0, False)], False),
        ([({0: 1, 1: -1}, 0, False), ({1: 1, 2: -1}, 0, True), ({2: 1, 0: -1}, 0, False)], True),
        ([({0: 1, 1: -1}, 0, False), ({0: -1}, 3, False), ({1: 1}, -2, False)], True),
        ([({0: 1, 1: -1}, 0, False), ({0: -1}, 3, False), ({1: 1}, -3, False)], False),
        ([({0: 1}, 1, False), ({0: -1}, 1, False)], False),  # compared where bounds are collected
    ],
)
def test_what_contradicts_itself(
    known: list[tuple[dict[int, int], int, bool]], never: bool
) -> None:
    """weights, constant, strict: the weighted sum and the constant are at most (or below) 0."""
    said = [
        Linear({Element("Y", k): Fraction(w) for k, w in weights.items()}, Fraction(c), strict)
        for weights, c, strict in known
    ]
    assert contradictory(said) is never
    assert contradictory(reversed(said)) is never


def test_an_answer_prints_values_that_satisfy_the_query(
    ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Float32 results may tie where the real ones do not: what is printed does not."""
    run = Points._run

    def tied(points: Points, x: np.ndarray) -> dict[str, np.ndarray] | None:
        ran = run(points, x)
        assert ran is not None
        return ran | {"logits": np.full_like(ran["logits"], ran["logits"].max())}

    monkeypatch.setattr(Points, "_run", tied)
    found = ask(f"{inputs()}(assert (>= Y[0,{BEST}] Y[0,{SECOND}]))")
    printed = [Fraction(word) for word in lines(found)[-3:]]
    assert printed[BEST] > printed[SECOND]
