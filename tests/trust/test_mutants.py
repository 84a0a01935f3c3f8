"""Mutation testing: its changes are changes, and its reasons are about mutants that there are."""

from __future__ import annotations

import ast

import pytest
from flint import fmpq

from protoproof.kernel.latent.lagrangian import box_minimum
from protoproof.kernel.model.primitives import PRIMITIVES
from tests.trust.mutation import charged
from tests.trust.mutation.explained import EXPLAINED
from tests.trust.mutation.mutants import Mutant, mutants
from tests.trust.mutation.running import PACKAGE, Place
from tests.trust.mutation.targets import MODULES

RULE, TABLE = "kernel/latent/lagrangian.py", "kernel/model/primitives.py"
BUDGET = "from protoproof.kernel.budget import hold, rounds, spend\n"


def of(module: str) -> list[Mutant]:
    path = PACKAGE / module
    return list(mutants(path.read_text(encoding="utf-8"), path))


def test_every_kind_of_change_is_made() -> None:
    text = """
from protoproof.kernel.budget import spend
def f(x, y):
    "unchanged"
    with ctx.workprec(64):
        pass
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


def test_what_is_only_charged_is_not_changed() -> None:
    """An amount that anything else depends on is; so is what a loop runs over."""
    text = f"""{BUDGET}
class C:
    def __init__(self, n):
        each = n + 11
        self._amount = each * 12
        self.kept = n + 1
    def cost(self):
        return self.kept - 13
    def pay(self, n):
        "Words."
        size = n + 14
        if n > 15:
            size += 16
        spend("", size * self._amount)
    def use(self, n):
        size = n + 2
        hold("", 17 + self.cost())
        self.pay(n + 18)
        for x in rounds(range(n + 3), n + 19, ""):
            refused = refuse(n + 4)
            spend("", refused)
        return size + self.kept
"""
    tree = ast.parse(text)
    exempt = charged.exempt(tree, "file", charged.names({"file": tree}))
    numbers = [n for n in ast.walk(tree) if isinstance(n, ast.Constant) and type(n.value) is int]
    assert {n.value for n in numbers if id(n) in exempt} == set(range(11, 20))
    assert {n.value for n in numbers if id(n) not in exempt} == set(range(1, 5))


def test_a_function_without_a_name_is_changed_too() -> None:
    add, original = PRIMITIVES["add"].value, PRIMITIVES["add"].value.__code__
    (mutant,) = (m for m in of(TABLE) if m.what == "Add to Sub" and '"add": Primitive' in m.source)
    try:
        assert Place(PACKAGE / TABLE).replace(mutant.tree, mutant.function) == 1
        assert add(fmpq(5), fmpq(3)) == 2
    finally:
        add.__code__ = original
    assert add(fmpq(5), fmpq(3)) == 8


@pytest.mark.trust(22)
def test_a_mutant_takes_the_place_of_the_code_and_is_noticed() -> None:
    """Four of the rule that everything rests on, in this process."""
    asked = (4, [-8], [0], [10])
    original = box_minimum.__code__
    assert box_minimum(*asked) == (0, 64)
    signs = [m for m in of(RULE) if m.function == "box_minimum" and m.what == "Mult to Add"]
    noticed, place = 0, Place(PACKAGE / RULE)
    for mutant in signs[:4]:
        try:
            assert place.replace(mutant.tree, mutant.function) == 1
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
