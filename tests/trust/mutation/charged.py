"""What only decides how much a check is charged, found by following where its values go.

A charge can end a check undecided, and never accept anything; amounts have tests of their own. So
no mutant is made of what flows into charges alone:

* the arguments of ``spend`` and the like;
* an assignment to a local variable, or to an attribute, that is read in such places only;
* a function that is called in such places only, or that does nothing else;
* a condition on which nothing else depends.

Found step by step from the charges on. What is read anywhere else, under any name that is alike,
is computed like everything; and such a place calls only what is known to compute: whatever might
refuse is mutated.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

from tests.support.sources import ROOT

# methods of a budget, and what else is charged where a file imports it from there
_METHODS = frozenset({"spend", "hold", "room", "afford", "paid", "first"})
_BUDGET = "protoproof.kernel.budget"
CHARGES = _METHODS | {"rounds", "integer", "product", "stored"}
# what computes, and neither refuses nor keeps anything
_COMPUTES = CHARGES | {
    "len", "max", "min", "sum", "abs", "range", "zip", "map", "set", "any", "all", "int", "bool",
    "width", "limbs", "isqrt", "prod", "bit_length", "values", "keys", "items", "count", "current",
    "local",
}  # fmt: skip
_KERNEL = ROOT / "verifier" / "protoproof" / "kernel"
_Function = ast.FunctionDef | ast.AsyncFunctionDef
# (name, its file if it is private)
Names = frozenset[tuple[str, str]]


def called(node: ast.Call) -> str:
    """The name that is called, without what it belongs to."""
    return node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")


@cache
def of_kernel() -> Names:
    """The attributes and functions of the kernel that flow into charges alone."""
    return names({str(p): ast.parse(p.read_text("utf-8")) for p in sorted(_KERNEL.rglob("*.py"))})


def names(trees: Mapping[str, ast.Module]) -> Names:
    """Attributes and functions all of whose uses in some files are charges."""
    files = [_File(path, tree) for path, tree in trees.items()]
    defined = frozenset(key for file in files for key in file.defined)
    found: Names = frozenset()
    new = defined
    while new:
        for file in files:
            file.follow(found, new)
        used = {key for file in files for key in file.used} & defined
        charging = {key for file in files for key in file.charging}
        new = used - {key for file in files for key in file.elsewhere}
        new |= charging - {key for file in files for key in file.not_charging}
        new -= found
        found |= new
    return found


def exempt(tree: ast.Module, path: str | Path, charged: Names) -> set[int]:
    """The nodes of a file, by ``id``, that only decide what is charged."""
    file = _File(str(path), tree)
    file.follow(charged)
    return {id(node) for node in ast.walk(tree) if file.inside(node)}


class _File:
    """A file, and what of it is known to be charged.

    Attributes:
        defined: functions and attributes that it defines.
        used, elsewhere: names that are read in charges, and in other places.
        charging, not_charging: functions that do nothing but charge, and the others.
    """

    def __init__(self, path: str, tree: ast.Module) -> None:
        self.path = path
        nodes = list(ast.walk(tree))
        self._above = {id(n): parent for parent in nodes for n in ast.iter_child_nodes(parent)}
        self._functions = [n for n in nodes if isinstance(n, _Function)]
        outermost = [f for f in self._functions if self._outer(f) is None]
        self._bodies = {id(f): list(ast.walk(f)) for f in outermost}
        self._returning = _returning(outermost)
        self._imported = {
            alias.name
            for n in nodes
            if isinstance(n, ast.ImportFrom) and n.module == _BUDGET
            for alias in n.names
        }
        self._called: dict[int, set[str]] = {}
        self._known: set[str] = set()
        self._local: dict[int, set[str]] = {}
        bound = {
            key: {n.arg if isinstance(n, ast.arg) else n.id for n in body if _binds(n)}
            for key, body in self._bodies.items()
        }
        self._reads = []
        for n in nodes:
            name = _read(n)
            own = bound.get(id(self._outer(n)), ()) if isinstance(n, ast.Name) else ()
            if name is not None and name not in own:
                self._reads.append((n, self._key(name)))
        self._mentions = {key for _, key in self._reads}
        defined = {n.name for n in self._functions}
        defined |= {
            n.attr for n in nodes if isinstance(n, ast.Attribute) and isinstance(n.ctx, ast.Store)
        }
        self.defined = {self._key(name) for name in defined if not name.startswith("__")}
        self.used: set[tuple[str, str]] = set()
        self.elsewhere: set[tuple[str, str]] = set()
        self.charging: set[tuple[str, str]] = set()
        self.not_charging: set[tuple[str, str]] = set()

    def _key(self, name: str) -> tuple[str, str]:
        private = name.startswith("_") and not name.startswith("__")
        return name, self.path if private else ""

    def follow(self, charged: Names, new: Names | None = None) -> None:
        """Take some names as charged, and find out what else is, if the new ones matter here."""
        if new is not None and not new & (self._mentions | self.defined):
            return
        self._known = {name for name, file in charged if file in ("", self.path)}
        for key in self._bodies:
            self._local[key] = set()
            self._follow_locals(key)
        self.used, self.elsewhere = set(), set()
        for node, name in self._reads:
            (self.used if self.inside(node) else self.elsewhere).add(name)
        self.charging, self.not_charging = set(), set()
        for function in self._functions:
            body = [n for n in function.body if not _words(n)]
            only = bool(body) and all(map(self._charges, body))
            (self.charging if only else self.not_charging).add(self._key(function.name))

    def _outer(self, node: ast.AST) -> ast.AST | None:
        """The outermost function around a node, if it is in any."""
        found, here = None, self._above.get(id(node))
        while here is not None:
            found = here if isinstance(here, _Function) else found
            here = self._above.get(id(here))
        return found

    def _follow_locals(self, key: int) -> None:
        local, body = self._local[key], self._bodies[key]
        variables = [n for n in body if isinstance(n, ast.Name)]
        others = {n.id for n in variables if isinstance(n.ctx, ast.Store) and not self._set_by(n)}
        others |= {n.arg for n in body if isinstance(n, ast.arg)}
        reads: dict[str, list[ast.AST]] = {
            n.id: [] for n in variables if isinstance(n.ctx, ast.Store) and n.id not in others
        }
        for n in variables:
            if isinstance(n.ctx, ast.Load) and n.id in reads:
                reads[n.id].append(n)
        more = True
        while more:
            more = False
            for name in sorted(reads.keys() - local):
                if any(map(self.inside, reads[name])):
                    local.add(name)  # what it is computed from may be itself
                    if all(map(self.inside, reads[name])):
                        more = True
                    else:
                        local.remove(name)

    def _set_by(self, node: ast.AST) -> bool:
        """Whether a variable is the target of a statement, alone or in a tuple."""
        above = self._above[id(node)]
        while isinstance(above, ast.Tuple):
            above = self._above[id(above)]
        return isinstance(above, ast.Assign | ast.AugAssign | ast.AnnAssign)

    def inside(self, node: ast.AST) -> bool:
        """Whether a node is part of something that only decides what is charged."""
        here, above = node, self._above.get(id(node))
        while above is not None:
            if isinstance(above, ast.Call) and self._charge(above):
                shares = called(above) == "rounds" and here is above.args[0]
                if not shares and here is not above.func:
                    return True
            if isinstance(above, _Function) and above.name in self._known and here in above.body:
                return True
            if isinstance(here, ast.stmt) and self._charges(here):
                return True
            here, above = above, self._above.get(id(above))
        return False

    def _charges(self, node: ast.stmt) -> bool:
        """Whether a statement does nothing but charge, or compute what is charged."""
        match node:
            case ast.Expr(value=ast.Call() as call):
                known = called(call) in self._known and self._computes(call)
                return known or self._charge(call)
            case ast.Assign(targets=targets, value=value):
                return self._computes(value) and all(map(self._charged, targets))
            case ast.AugAssign(target=target, value=value):
                return self._computes(value) and self._charged(target)
            case ast.AnnAssign(target=target, value=ast.expr() as value):
                return self._computes(value) and self._charged(target)
            case ast.If(test=test, body=body, orelse=orelse):
                return self._computes(test) and all(map(self._charges, (*body, *orelse)))
        return False

    def _charged(self, target: ast.AST) -> bool:
        match target:
            case ast.Tuple(elts=parts):
                return all(map(self._charged, parts))
            case ast.Name(id=name):
                return name in self._local.get(id(self._outer(target)), ())
            case ast.Attribute(value=ast.Name(id="self"), attr=name):
                return name in self._known
        return False

    def _computes(self, value: ast.AST) -> bool:
        """Whether a value calls only what computes."""
        if id(value) not in self._called:
            self._called[id(value)] = _calls(value) - _COMPUTES - self._returning
        return self._called[id(value)] <= self._known

    def _charge(self, call: ast.Call) -> bool:
        if isinstance(call.func, ast.Name):
            return call.func.id in CHARGES & self._imported
        return called(call) in _METHODS


def _read(node: ast.AST) -> str | None:
    if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
        return node.attr
    return node.id if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) else None


def _returning(functions: Iterable[_Function]) -> set[str]:
    """Functions that do nothing but return what they compute, step by step."""
    values: dict[str, list[ast.AST | None]] = {}
    for function in functions:
        found = [_value(n) for n in function.body if not _words(n)]
        values.setdefault(function.name, []).extend(found)
    known: set[str] = set()
    while more := {
        name
        for name in values.keys() - known
        if all(value is not None and _calls(value) <= _COMPUTES | known for value in values[name])
    }:
        known |= more
    return known


def _value(step: ast.stmt) -> ast.AST | None:
    """What a step computes, if it does nothing else."""
    if isinstance(step, ast.Return):
        return step.value
    if isinstance(step, ast.Assign | ast.AugAssign | ast.AnnAssign):
        targets = step.targets if isinstance(step, ast.Assign) else [step.target]
        parts = [n for target in targets for n in ast.walk(target) if isinstance(n, ast.expr)]
        return step.value if all(isinstance(n, ast.Name | ast.Tuple) for n in parts) else None
    return None


def _calls(value: ast.AST) -> set[str]:
    return {called(n) for n in ast.walk(value) if isinstance(n, ast.Call)}


def _binds(node: ast.AST) -> bool:
    return isinstance(node, ast.arg) or (
        isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    )


def _words(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
