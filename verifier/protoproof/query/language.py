"""VNN-LIB: the text of a query as declarations and a condition.

Version 2.0 is parsed and type-checked by the package ``vnnlib``, which follows the standard's
grammar; numbers are taken from their spelling, exactly, and not from its float64. Version 1 (X_i
and Y_j, declared as Real) is read by our own small reader.

What is refused before the package sees it: files that are too large, expressions nested deeper than
a parser's stack bears, and other versions (of a newer minor one it would print a warning, which is
no part of an answer).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import numpy as np

from protoproof.errors import InputError
from protoproof.extras import require
from protoproof.network.onnx.file import read_regular_file
from protoproof.network.onnx.node import printable
from protoproof.query.formula import (
    Both,
    Either,
    Formula,
    Polynomial,
    compared,
    element,
    number,
    sum_of,
)
from protoproof.region.sets.vnnlib import MOST_BYTES, Expression, as_number, expressions, variable

Kind = Literal["input", "hidden", "output"]
DECIDED = ("real", "float32")
_DEPTH = 200
_VERSION = re.compile(r"\(\s*vnnlib-version\s*<(\d{1,4})\.(\d{1,4})>\s*\)")
_TEXT = re.compile(r'"(?:[^"\\\n]|\\.)*"|;[^\n]*')
_HINT = re.compile(r"^; latent: ([A-Za-z0-9+/]{4,67108864}={0,2})$", re.MULTILINE)
_MOST_HINTS = 8
_DTYPES = {
    "Real": "real", "F16": "float16", "F32": "float32", "F64": "float64", "BF16": "bfloat16",
    "I8": "int8", "I16": "int16", "I32": "int32", "I64": "int64", "U8": "uint8", "U16": "uint16",
    "U32": "uint32", "U64": "uint64", "Bool": "bool",
}  # fmt: skip
_RELATIONS = {
    "LessEqual": "<=", "LessThan": "<", "GreaterEqual": ">=", "GreaterThan": ">", "Equal": "==",
    "NotEqual": "!=",
}  # fmt: skip


@dataclass(frozen=True)
class Declared:
    """A tensor of the network, under the query's name.

    ``shape`` None (version 1): one number after the other, as the network has them. ``tensor``: the
    name in the graph, of a hidden one.
    """

    name: str
    kind: Kind
    type: str
    shape: tuple[int, ...] | None
    size: int
    tensor: str = ""


@dataclass(frozen=True, eq=False)
class Query:
    """Is there an input for which the condition holds?

    ``network``: the query's name for it; "" in version 1. ``hints``: latents (float32 in base64)
    that comments of the form ``; latent: ...`` offer to start a proof at. Nothing rests on them.
    """

    version: str
    network: str
    variables: tuple[Declared, ...]
    condition: Formula
    hints: tuple[str, ...] = ()

    @property
    def type(self) -> str:
        """The element type of all tensors."""
        return self.variables[0].type

    def of_kind(self, kind: Kind) -> tuple[Declared, ...]:
        """The tensors of a kind, in their order."""
        return tuple(each for each in self.variables if each.kind == kind)


def read_query(path: Path) -> Query:
    """Read a file of either version.

    Raises:
        InputError: not readable, or outside of the language; the message names file and construct.
        MissingDependencyError: version 2.0, and the package is not installed.
    """
    data = read_regular_file(path, MOST_BYTES, InputError)
    name = printable(path, 400)
    try:
        return parse_query(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise InputError(f"{name}: not UTF-8 text; VNN-LIB files are") from error
    except InputError as error:
        raise InputError(f"{name}: {error}") from error


def parse_query(text: str) -> Query:
    """See :func:`read_query`."""
    _require_shallow(text)
    stated = _VERSION.search(_TEXT.sub(" ", text))
    if stated is None:
        return _first_version(text)
    version = f"{int(stated[1])}.{int(stated[2])}"
    if version != "2.0":
        raise InputError(f"is written in VNN-LIB {version}; 1.0 and 2.0 are read")
    return _second_version(text)


def _require_shallow(text: str) -> None:
    depth = 0
    for sign in re.findall(r"[()]", _TEXT.sub(" ", text)):
        depth += 1 if sign == "(" else -1
        if depth > _DEPTH:
            raise InputError(f"expressions are nested deeper than {_DEPTH}")


def _second_version(text: str) -> Query:
    require("vnnlib", "reading VNN-LIB 2.0")
    import vnnlib

    try:
        parsed = vnnlib.parse_query_string(text)
    except vnnlib.VNNLibException as error:
        raise InputError(_complaint(str(error))) from error
    if len(parsed.networks) != 1:
        raise InputError(f"declares {len(parsed.networks)} networks; queries about one are decided")
    (network,) = parsed.networks
    variables = (
        *(_declared(each, "input") for each in network.inputs),
        *(_declared(each, "hidden") for each in network.hidden),
        *(_declared(each, "output") for each in network.outputs),
    )
    types = {each.type for each in variables}
    if len(types) > 1 or not types <= set(DECIDED):
        raise InputError(
            f"declares element types {', '.join(sorted(types))}; real or float32 throughout is "
            "decided (real is consent to an analysis over the real numbers)"
        )
    single = types == {"float32"}
    parts = tuple(_formula(assertion.expr, single) for assertion in parsed.assertions)
    hints = tuple(_HINT.findall(text))[:_MOST_HINTS]
    return Query("2.0", network.name, variables, Both(parts), hints)


def _complaint(text: str) -> str:
    """The package's complaint in one line."""
    try:
        first = json.loads(text)["errors"][0]
    except (ValueError, LookupError, TypeError):
        said = printable(" ".join(text.split()), 300)
        ended = said.endswith(": ''")  # the text that was not expected is none
        return f"{said}: the file ends, and needs (assert ...) at least" if ended else said
    return printable(f"line {first['line']}: {first['message']}: {first['hint']}", 300)


def _declared(definition: Any, kind: Kind) -> Declared:
    name = str(definition.name)
    word = definition.dtype.name
    if word not in _DTYPES:
        raise InputError(
            f"{printable(name, 60)} is declared with an element type that VNN-LIB does not know; "
            "write real or float32"
        )
    shape = tuple(int(size) for size in definition.shape)
    if any(size < 1 for size in shape):
        raise InputError(f"{printable(name, 60)} has a dimension that is not positive")
    tensor = definition.onnx_name or ""
    if tensor:
        spelled = {"n": "\n", "t": "\t"}
        tensor = re.sub(r"\\(.)", lambda found: spelled.get(found[1], found[1]), tensor[1:-1])
    return Declared(name, kind, _DTYPES[word], shape, math.prod(shape), tensor)


def _formula(node: Any, single: bool) -> Formula:
    word = type(node).__name__
    if word in ("And", "Or"):
        parts = tuple(_formula(each, single) for each in node.args)
        return Both(parts) if word == "And" else Either(parts)
    if word not in _RELATIONS:
        raise InputError(f"the condition {word} is not known here")
    bare = all(type(side).__name__ in ("Var", "Float", "Int") for side in (node.lhs, node.rhs))
    left, right = _polynomial(node.lhs, single), _polynomial(node.rhs, single)
    return compared(left, _RELATIONS[word], right, bare)


def _polynomial(node: Any, single: bool) -> Polynomial:
    match type(node).__name__:
        case "Var":
            return element(node.name, _place(node.indices, node.shape))
        case "Float" | "Int" | "IntExpr" | "Literal":
            value = _spelled(str(node.lexeme))
            return number(_single(value) if single else value)
        case "Negate":
            return -_polynomial(node.expr, single)
        case "Plus":
            return sum_of(_polynomial(each, single) for each in node.args)
        case "Minus":
            rest = sum_of(_polynomial(each, single) for each in node.rest)
            return _polynomial(node.head, single) - rest
        case "Multiply":
            found = number(1)
            for each in node.args:
                found = found * _polynomial(each, single)
            return found
    raise InputError(f"the expression {type(node).__name__} is not known here")


def _spelled(lexeme: str) -> Fraction:
    """The number as it is written, exactly."""
    word = lexeme.strip()
    if not re.fullmatch(r"-?\d{1,400}(\.\d{1,1200})?", word):
        raise InputError(f"{printable(word, 40)} is no decimal number of moderate length")
    return Fraction(word)


def _single(value: Fraction) -> Fraction:
    """The float32 number that a constant among float32 numbers is."""
    with np.errstate(over="ignore"):
        nearest = float(np.float32(float(value)))
    if not math.isfinite(nearest):
        raise InputError("a constant is too large for a float32 number")
    return Fraction(nearest)


def _place(indices: Sequence[int], shape: Sequence[int]) -> int:
    place = 0
    for index, size in zip(indices, shape, strict=True):
        place = place * size + index
    return place


def _first_version(text: str) -> Query:
    count = {"X": 0, "Y": 0}
    parts: list[Formula] = []
    for command in expressions(text):
        match command:
            case ["declare-const", str(name), "Real"]:
                kind, index = variable(name)
                if index != count[kind]:
                    raise InputError(f"{name} is declared out of order; number from 0 upwards")
                count[kind] += 1
            case ["assert", condition]:
                parts.append(_first_condition(condition, count))
            case _:
                word = command if isinstance(command, str) else " ".join(map(str, command))
                raise InputError(f"command '{printable(word, 60)}' is not supported")
    if not count["X"] or not count["Y"]:
        raise InputError("no inputs X_i or no outputs Y_i are declared")
    variables = (
        Declared("X", "input", "real", None, count["X"]),
        Declared("Y", "output", "real", None, count["Y"]),
    )
    return Query("1.0", "", variables, Both(tuple(parts)))


def _first_condition(condition: Expression, count: dict[str, int]) -> Formula:
    match condition:
        case ["and" | "or" as word, *parts] if parts:
            found = tuple(_first_condition(part, count) for part in parts)
            return Both(found) if word == "and" else Either(found)
        case ["<=" | ">=" | "<" | ">" | "=" as word, left, right]:
            relation = "==" if word == "=" else str(word)
            return compared(_first_sum(left, count), relation, _first_sum(right, count), False)
    raise InputError("a condition is neither and, or, nor a comparison of two sides")


def _first_sum(term: Expression, count: dict[str, int]) -> Polynomial:
    match term:
        case str(word) if word[:2] in ("X_", "Y_"):
            kind, index = variable(word)
            if index >= count[kind]:
                raise InputError(f"{word} is used but not declared before")
            return element(kind, index)
        case ["-", only] if not isinstance(only, str) or only[:2] in ("X_", "Y_"):
            return -_first_sum(only, count)
        case ["+", *parts] if parts:
            return sum_of(_first_sum(part, count) for part in parts)
        case ["-", first, *rest] if rest:
            return _first_sum(first, count) - sum_of(_first_sum(part, count) for part in rest)
        case ["*", *parts] if parts:
            found = number(1)
            for part in parts:
                found = found * _first_sum(part, count)
            return found
    return number(as_number(term))
