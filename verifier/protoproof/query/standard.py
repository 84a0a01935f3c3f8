"""What a solver of the VNN-LIB standard prints: answers, assignments, capabilities (chapter 5)."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Final

import numpy as np
from onnx import defs, numpy_helper

from protoproof.errors import InputError
from protoproof.files import make_directory, write_together
from protoproof.network.onnx.ops import OPERATORS
from protoproof.network.onnx.screen import OLDEST_OPSET
from protoproof.query.decide import Answer
from protoproof.query.language import DECIDED, Query

NAME: Final = "ProtoProof"

# The eleven capabilities that a solver has to tell of. A theory is named where every answer about
# its queries is right; `unknown` remains possible with all of them.
CAPABILITIES: Final[dict[str, Callable[[], tuple[str, ...]]]] = {
    "onnx-opset-versions": lambda: (str(OLDEST_OPSET), str(defs.onnx_opset_version())),
    "onnx-element-types": lambda: tuple(sorted(DECIDED)),
    "onnx-operators": lambda: tuple(sorted(OPERATORS)),
    "vnnlib-versions": lambda: ("1.0", "2.0"),
    "hidden-node-theories": lambda: ("NH", "H"),
    "multiple-input-output-theories": lambda: ("SIO",),
    "multiple-network-theories": lambda: ("SNET",),
    "multiple-node-comparison-theories": lambda: ("SNC",),
    "arithmetic-complexity-theories": lambda: ("BND", "OUTC", "LIN"),
    "optimised-disjunctive-reasoning": lambda: ("true",),
    "serialise-assignments": lambda: ("true",),
}


def lines(answer: Answer, *, assignment: bool = True) -> list[str]:
    """The answer, and the satisfying assignment in the command-line format (5.3.1)."""
    found: list[str] = [answer.word]
    if answer.found is None or not assignment:
        return found
    for declared in answer.bound.query.variables:
        shape = ",".join(map(str, answer.bound.shape(declared.name)))
        found.append(f"{declared.name} {declared.type} [{shape}]")
        if declared.kind == "input":
            found += [decimal(value) for value in answer.found.x]
        else:
            values = answer.found.values[declared.name]
            found += [decimal(Fraction(value)) for value in values.tolist()]
    return found


def decimal(value: Fraction) -> str:
    """A number as VNN-LIB spells them, exactly; it has a finite decimal expansion."""
    places = 0
    below = value.denominator
    while below % 10 == 0:
        below, places = below // 10, places + 1
    twos = fives = 0
    while below % 2 == 0:
        below, twos = below // 2, twos + 1
    while below % 5 == 0:
        below, fives = below // 5, fives + 1
    if below != 1:
        raise InputError(f"{value} has no finite decimal expansion")
    places += max(twos, fives)
    text = str(abs(value.numerator) * 10**places // value.denominator).zfill(places + 1)
    whole, part = text[: len(text) - places], text[len(text) - places :]
    return f"{'-' if value < 0 else ''}{whole}.{part or '0'}"


def serialise(answer: Answer, folder: Path) -> None:
    """The assignment as one TensorProto per variable: float32, or for ``real`` float64 (nearest).

    Raises:
        OutputError: the folder cannot be made, or written to.
    """
    if answer.found is None:
        return
    make_directory(folder)
    kind = np.float32 if answer.bound.query.type == "float32" else np.float64
    contents: dict[Path, bytes] = {}
    for declared in answer.bound.query.variables:
        values = np.asarray(answer.found.values[declared.name], dtype=kind)
        tensor = numpy_helper.from_array(
            values.reshape(answer.bound.shape(declared.name)), declared.name
        )
        contents[folder / f"{declared.name}.pb"] = tensor.SerializeToString()
    write_together(contents)


def network_file(query: Query, given: dict[str, Path]) -> Path:
    """The model file of the query's network, of those that the command line maps.

    Raises:
        InputError: too few or too many are given (5.3.2).
    """
    if not query.network and len(given) == 1:
        return next(iter(given.values()))  # version 1 has no name for it
    extra = sorted(given.keys() - {query.network})
    if query.network not in given:
        raise InputError(
            f"no model file for the network {query.network}; give --network {query.network}=FILE"
        )
    if extra:
        raise InputError(f"--network {extra[0]}: the query declares no such network")
    return given[query.network]
