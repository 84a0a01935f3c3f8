"""Small changes of a source file, one at a time: what mutation testing puts to the tests.

Comparisons, arithmetic and Boolean operators, signs, numbers, results, ends (``min`` for ``max``,
lower for upper, rounding down for up), conditions, and statements that are left out; in functions,
and in the functions without a name that tables hold. Not changed, as none of it can make a check
accept what is false, are

* texts, and annotations;
* what only decides how much a check is charged (see ``charged``);
* the precision of balls: they hold the number at every precision.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.trust.mutation import charged

LAMBDA = "<lambda>"
_COMPARED: dict[type, tuple[type, ...]] = {
    ast.Lt: (ast.LtE, ast.Gt),
    ast.LtE: (ast.Lt, ast.GtE),
    ast.Gt: (ast.GtE, ast.Lt),
    ast.GtE: (ast.Gt, ast.LtE),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
_JOINED: dict[type, type] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}
_PAIRS = (
    ("min", "max"), ("any", "all"), ("lower", "upper"), ("floor", "ceiling"), ("floor", "ceil"),
    ("round_down", "round_up"), ("low", "high"), ("lows", "highs"), ("down", "up"),
    ("at_least", "at_most"),
)  # fmt: skip
_OTHER = {name: pair[1 - k] for pair in reversed(_PAIRS) for k, name in enumerate(pair)}
_DROPPED = (ast.Raise, ast.Continue, ast.Break, ast.AugAssign)


@dataclass(frozen=True)
class Mutant:
    """One change: where (line, and the outermost function), and what.

    ``function`` is :data:`LAMBDA` for one without a name, outside of all others.
    """

    line: int
    function: str
    what: str
    source: str
    _tree: ast.Module
    _node: ast.AST
    _change: Callable[[Any], object]

    @property
    def key(self) -> str:
        """The same wherever the lines around it move."""
        return f"{self.function}: {self.what}: {self.source}"

    @property
    def tree(self) -> ast.Module:
        """The changed file."""
        changed = copy.deepcopy(self._tree)
        self._change(_at(changed, self._node))
        return changed

    def changed(self) -> ast.Module:
        """The same at once, for good: no other mutant of the file is one any more."""
        self._change(self._node)
        return self._tree


def mutants(text: str, path: str | Path = "") -> Iterator[Mutant]:
    """All changes of the functions in a file, in order."""
    tree = ast.parse(text)
    lines = text.splitlines()
    exempt = charged.exempt(tree, path, charged.of_kernel() if path else frozenset())
    seen: dict[str, int] = {}
    for place, function in _functions(tree, ()):
        for node in _inside(function):
            for what, change in () if id(node) in exempt else _changes(node):
                line = getattr(node, "lineno", function.lineno)
                base = Mutant(line, place, what, lines[line - 1].strip(), tree, node, change)
                number = seen[base.key] = seen.get(base.key, 0) + 1
                if number > 1:
                    base = replace(base, what=f"{what} ({number})")
                yield base


def _functions(
    node: ast.AST, names: tuple[str, ...]
) -> Iterator[tuple[str, ast.FunctionDef | ast.Lambda]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef):
            yield ".".join((*names, child.name)), child
        elif isinstance(child, ast.Lambda):
            yield ".".join((*names, LAMBDA)), child
        elif isinstance(child, ast.ClassDef):
            yield from _functions(child, (*names, child.name))
        else:
            yield from _functions(child, names)


def _inside(function: ast.FunctionDef | ast.Lambda) -> Iterator[ast.AST]:
    """What may be changed in a function, depth first."""
    body = [function.body] if isinstance(function, ast.Lambda) else function.body
    waiting: list[ast.AST] = list(reversed(body))
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue  # a docstring
        if isinstance(node, ast.Call) and charged.called(node) == "workprec":
            continue
        yield node
        children = list(ast.iter_child_nodes(node))
        if isinstance(node, ast.AnnAssign):
            children = [node.value] if node.value else []
        if isinstance(node, ast.FunctionDef):
            children = list(node.body)
        if isinstance(node, ast.JoinedStr | ast.Raise):
            children = []  # what is said
        waiting.extend(reversed(children))


def _at(tree: ast.Module, node: ast.AST) -> ast.AST:
    """The same node of a copy."""
    path = (type(node), node.lineno, node.col_offset, node.end_lineno, node.end_col_offset)  # type: ignore[attr-defined]
    return next(
        twin
        for twin in ast.walk(tree)
        if isinstance(twin, type(node))
        and (type(twin), twin.lineno, twin.col_offset, twin.end_lineno, twin.end_col_offset) == path  # type: ignore[attr-defined]
    )


def _become(node: ast.AST, other: ast.AST) -> None:
    """Put another node in a node's place."""
    place = {name: getattr(node, name) for name in ast.expr._attributes if hasattr(node, name)}
    node.__class__ = other.__class__
    node.__dict__.clear()
    node.__dict__.update({**other.__dict__, **place})
    ast.fix_missing_locations(node)


def _changes(node: ast.AST) -> Iterator[tuple[str, Callable[[Any], object]]]:
    match node:
        case ast.Compare():
            for index, op in enumerate(node.ops):
                for other in _COMPARED.get(type(op), ()):

                    def compare(n, index=index, other=other):  # type: ignore[no-untyped-def]
                        n.ops[index] = other()

                    yield f"{type(op).__name__} to {other.__name__}", compare
        case ast.BinOp() if type(node.op) in _JOINED and not _text(node):
            other = _JOINED[type(node.op)]

            def join(n, other=other):  # type: ignore[no-untyped-def]
                n.op = other()

            yield f"{type(node.op).__name__} to {other.__name__}", join
        case ast.BoolOp():
            other = ast.Or if isinstance(node.op, ast.And) else ast.And

            def bool_(n, other=other):  # type: ignore[no-untyped-def]
                n.op = other()

            yield f"{type(node.op).__name__} to {other.__name__}", bool_
        case ast.UnaryOp(op=ast.USub() | ast.Not()):
            yield f"without {type(node.op).__name__}", lambda n: _become(n, n.operand)
        case ast.Constant(value=bool()):
            yield "another truth", lambda n: setattr(n, "value", not n.value)
        case ast.Constant(value=int()):
            yield "one more", lambda n: setattr(n, "value", n.value + 1)
            if node.value > 0:
                yield "one less", lambda n: setattr(n, "value", n.value - 1)
        case ast.Constant(value=float()):
            yield "half", lambda n: setattr(n, "value", n.value / 2 if n.value else 0.5)
        case ast.Name() if node.id in _OTHER and isinstance(node.ctx, ast.Load):
            yield f"{node.id} to {_OTHER[node.id]}", lambda n: setattr(n, "id", _OTHER[n.id])
        case ast.Attribute() if node.attr in _OTHER and isinstance(node.ctx, ast.Load):
            yield (
                f".{node.attr} to .{_OTHER[node.attr]}",
                lambda n: setattr(n, "attr", _OTHER[n.attr]),
            )
        case ast.Return() if node.value is not None and not _nothing(node.value):
            yield (
                "returns nothing",
                lambda n: setattr(n, "value", ast.Constant(None, lineno=1, col_offset=0)),
            )
        case ast.IfExp() | ast.If() if not isinstance(node.test, ast.Compare | ast.BoolOp):
            yield "the other branch", lambda n: setattr(n, "test", _negated(n.test))
        case ast.comprehension():
            pass
    if isinstance(node, _DROPPED) or (
        isinstance(node, ast.Expr) and isinstance(node.value, ast.Call | ast.Yield | ast.YieldFrom)
    ):
        yield f"without {type(node).__name__}", _without


def _without(node: ast.AST) -> None:
    """Leave a statement out; a generator stays one."""
    value = getattr(node, "value", None)
    if isinstance(value, ast.Yield | ast.YieldFrom):
        nothing = ast.YieldFrom(ast.Tuple([], ast.Load()))
        _become(value, nothing)
    else:
        _become(node, ast.Pass())


def _negated(test: ast.expr) -> ast.expr:
    return ast.fix_missing_locations(ast.copy_location(ast.UnaryOp(ast.Not(), test), test))


def _nothing(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and value.value is None


def _text(node: ast.BinOp) -> bool:
    """Texts that are joined say something, and compute nothing."""
    sides = (node.left, node.right)
    return any(
        isinstance(s, ast.JoinedStr) or (isinstance(s, ast.Constant) and isinstance(s.value, str))
        for s in sides
    )
