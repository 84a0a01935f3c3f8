"""Mutation testing: its changes are changes, and its reasons are about mutants that there are."""

from __future__ import annotations

import ast

import pytest

from protoproof.kernel.latent.lagrangian import box_minimum
from tests.trust.mutation.explained import EXPLAINED
from tests.trust.mutation.mutants import Mutant, mutants
from tests.trust.mutation.running import PACKAGE, replace
from tests.trust.mutation.targets import MODULES

RULE = "kernel/latent/lagrangian.py"


def of(module: str) -> list[Mutant]:
    return list(mutants((PACKAGE / module).read_text(encoding="utf-8")))


def test_every_kind_of_change_is_made() -> None:
    text = """
def f(x, y):
    "unchanged"
    if not x:
        raise ValueError("unchanged")
    spend("unchanged", 3)
    return min(x + 1, -y) if x < y and y else x.lower()
"""
    found = {mutant.what for mutant in mutants(text)}
    assert found == {
        "the other branch", "without Not", "without Raise", "returns nothing", "min to max",
        "Add to Sub", "one more", "one less", "without USub", "Lt to LtE", "Lt to Gt", "And to Or",
        ".lower to .upper",
    }  # fmt: skip
    assert all(ast.unparse(m.tree) != ast.unparse(ast.parse(text)) for m in mutants(text))


@pytest.mark.trust(22)
def test_a_mutant_takes_the_place_of_the_code_and_is_noticed() -> None:
    """Four of the rule that everything rests on, in this process."""
    asked = (4, [-8], [0], [10])
    original = box_minimum.__code__
    assert box_minimum(*asked) == (0, 64)
    signs = [m for m in of(RULE) if m.function == "box_minimum" and m.what == "Mult to Add"]
    noticed = 0
    for mutant in signs[:4]:
        try:
            assert replace(mutant, PACKAGE / RULE) == 1
            noticed += box_minimum(*asked) != (0, 64)
        finally:
            box_minimum.__code__ = original
    assert noticed >= 1
    assert box_minimum(*asked) == (0, 64)


@pytest.mark.trust(22)
@pytest.mark.parametrize("module", EXPLAINED)
def test_what_is_explained_is_a_mutant(module: str) -> None:
    assert module in MODULES
    keys = {mutant.key for mutant in of(module)}
    assert not sorted(set(EXPLAINED[module]) - keys)
    assert all(len(reason) > 10 for reason in EXPLAINED[module].values())
