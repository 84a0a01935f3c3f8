"""Frozen nodes, and a node together with what is known about its inputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from protoproof.errors import UnsupportedOperatorError

Shape = tuple[int, ...]
Constant = NDArray[Any]
Attribute = int | float | str | tuple[int, ...] | tuple[float, ...] | tuple[str, ...] | Constant
DEFAULT_DOMAINS = ("", "ai.onnx")


def printable(name: object, longest: int = 80) -> str:
    """A name from a file on one line: no control characters, at most ``longest`` characters."""
    text = "".join(c if c.isprintable() else "?" for c in str(name)[: longest + 1])
    return text if len(text) <= longest else text[: longest - 1] + "…"


@dataclass(frozen=True)
class Node:
    """One operator. ``inputs`` may hold "" for an omitted optional input, and so may the outputs.

    ``output`` is the first output, ``more`` are the others. ``domain`` is "" for ONNX's own
    operators. ``refusal`` says why the operator table has no meaning for the node in this graph: it
    can be executed, and nothing else ("" where there is one).
    """

    name: str
    op: str
    opset: int
    inputs: tuple[str, ...]
    output: str
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    more: tuple[str, ...] = ()
    domain: str = ""
    refusal: str = ""

    @property
    def outputs(self) -> tuple[str, ...]:
        """All outputs."""
        return (self.output, *self.more)

    @property
    def where(self) -> str:
        """How error messages name the node."""
        first = next((name for name in (self.name, *self.outputs) if name), "")
        op = printable(f"{self.domain}.{self.op}" if self.domain else self.op)
        return f"node '{printable(first)}' ({op}, opset {self.opset})"


@dataclass(frozen=True)
class Call:
    """A node with the shapes of its inputs and the values of those that are constants.

    ``shapes`` and ``constants`` have one entry per input; None where the input is omitted (both)
    or is computed (``constants``).
    """

    node: Node
    shapes: tuple[Shape | None, ...]
    constants: tuple[Constant | None, ...]

    def refuse(self, problem: str) -> UnsupportedOperatorError:
        """The error that names node, op and opset; ``problem`` says what is wrong; what to do."""
        return UnsupportedOperatorError(f"{self.node.where}: {problem}")

    def shape(self, position: int) -> Shape:
        """Shape of a required input."""
        shape = self.shapes[position] if position < len(self.shapes) else None
        if shape is None and position < len(self.node.inputs) and self.node.inputs[position]:
            raise self.refuse(f"the shape of input {position} is not known")
        if shape is None:
            raise self.refuse(f"input {position} is missing; export it")
        return shape

    def integer(self, name: str, default: int) -> int:
        """An integer attribute."""
        value = self.node.attributes.get(name, default)
        return value if isinstance(value, int) else default

    def number(self, name: str, default: float) -> float:
        """A float attribute; defaults are float32 numbers too, as the ONNX schemas hold them."""
        value = self.node.attributes.get(name, default)
        return float(np.float32(value if isinstance(value, (int, float)) else default))

    def integers(self, name: str) -> tuple[int, ...] | None:
        """An integer-list attribute, or None where it is absent."""
        value = self.node.attributes.get(name)
        if not isinstance(value, tuple) or not all(isinstance(item, int) for item in value):
            return None
        return tuple(int(item) for item in value)

    def static_integers(self, position: int) -> tuple[int, ...] | None:
        """The value of a constant int64 vector input, or None where it is omitted."""
        constant = self._static(position, np.int64)
        if constant is None:
            return None
        if constant.ndim > 1:
            raise self.refuse(f"input {position} must be a vector; export it as one")
        return tuple(int(value) for value in constant.reshape(-1))

    def static_number(self, position: int) -> float | None:
        """The value of a constant float32 scalar input, or None where it is omitted."""
        constant = self._static(position, np.float32)
        if constant is None:
            return None
        if constant.size != 1:
            raise self.refuse(f"input {position} must be a scalar; export it as one")
        return float(constant.reshape(-1)[0])

    def _static(self, position: int, dtype: type[np.generic]) -> Constant | None:
        if position >= len(self.node.inputs) or not self.node.inputs[position]:
            return None
        constant = self.constants[position]
        if constant is None:
            raise self.refuse(f"input {position} is computed; export it as a constant")
        if constant.dtype != dtype:
            kind = np.dtype(dtype).name
            raise self.refuse(f"input {position} is {constant.dtype.name}; export it as {kind}")
        return constant

    def axes(self, position: int = 1) -> tuple[int, ...] | None:
        """Sorted, non-negative axes from the attribute (old opsets) or a constant input.

        None where neither is given. Refuses axes out of range or given twice.
        """
        axes = self.integers("axes")
        if axes is None:
            axes = self.static_integers(position)
        return None if axes is None else self.normal_axes(axes, len(self.shape(0)))

    def normal_axes(self, axes: tuple[int, ...], rank: int) -> tuple[int, ...]:
        """Axes made non-negative and sorted."""
        if any(not -rank <= axis < rank for axis in axes):
            raise self.refuse(f"axes {list(axes)} leave a tensor of rank {rank}; correct them")
        normal = sorted(axis % rank for axis in axes)
        if len(set(normal)) != len(normal):
            raise self.refuse(f"axes {list(axes)} name one axis twice; correct them")
        return tuple(normal)
