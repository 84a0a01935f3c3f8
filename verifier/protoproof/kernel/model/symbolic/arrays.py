"""Arrays of indices and of exact numbers, repeated by views.

What a graph broadcasts is never written out: an axis along which nothing changes has stride 0, and
:func:`spread` computes on the array without it. NumPy keeps such views through reshapes,
transpositions and slices wherever it can.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from protoproof.errors import ModelError
from protoproof.kernel.budget import OPERATION, room, spend
from protoproof.kernel.model.real import Real

Array = NDArray[Any]
Shape = tuple[int, ...]
Number = Fraction | Real

# Numbers of more bits are no constants of a head.
_LONGEST = 1 << 13
_PLACES = {np.dtype("<f2"): 11, np.dtype("<f4"): 24, np.dtype("<f8"): 53}


class Exact(NamedTuple):
    """Rational numbers: Python integers (in an array of objects) over one denominator > 0.

    The few that have no short common denominator are fractions over 1, or irrational.
    """

    numerators: Array
    denominator: int

    def value(self, place: tuple[int, ...] = ()) -> Number:
        """One of the numbers."""
        return quotient(self.numerators[place], self.denominator)


def quotient(number: Any, denominator: int) -> Number:
    return number / denominator if isinstance(number, Real) else Fraction(number, denominator)


def exact(number: int | Fraction, shape: Shape = ()) -> Exact:
    """One number everywhere."""
    value = Fraction(number)
    whole = np.empty((), dtype=object)
    whole[()] = value.numerator
    return Exact(np.broadcast_to(whole, shape), value.denominator)


def dyadic(values: Array) -> Exact:
    """Stored numbers, exactly: every float is an integer over a power of two.

    Raises:
        ModelError: NaN or infinity.
    """
    pay("constants", values.size)
    if values.dtype.kind in "iub":
        return Exact(np.asarray(values.astype(object), dtype=object), 1)
    places = _PLACES[values.dtype.newbyteorder("<")]
    if not np.isfinite(values).all():  # before the cast, which complains of a signalling NaN
        raise ModelError("model: a constant of the head holds NaN or infinity")
    mantissas, exponents = np.frexp(values.astype(np.float64))
    # a float of so many significant bits is a whole mantissa times a power of two
    whole = np.ldexp(mantissas, places).astype(np.int64)
    powers = np.where(whole == 0, 0, exponents.astype(np.int64) - places)
    shift = max(0, -int(powers.min(initial=0)))
    ups = powers + shift
    if int(ups.max(initial=0)) + places < 63:  # |whole| < 2**places: no bit is lost
        return Exact(
            np.asarray((whole * (np.int64(1) << ups)).astype(object), dtype=object), 1 << shift
        )
    raised = np.empty(values.size, dtype=object)
    pairs = zip(whole.ravel().tolist(), ups.ravel().tolist(), strict=True)
    raised[:] = [n << up for n, up in pairs]
    return Exact(raised.reshape(values.shape), 1 << shift)


def pay(what: str, count: int, each: int = OPERATION) -> None:
    """Charge so many operations of the interpreter, and their integers, before they are made."""
    spend(what, count * each)
    room(what, 128 * count)


def thin(array: Array) -> Array:
    """The array without what its strides repeat: those axes have length 1."""
    if not array.size or not array.ndim:
        return array
    return array[
        tuple(
            slice(0, 1) if not step and size > 1 else slice(None)
            for step, size in zip(array.strides, array.shape, strict=True)
        )
    ]


def common_shape(*arrays: Array) -> Shape:
    """The shape to which arrays broadcast.

    Raises:
        ModelError: they do not.
    """
    try:
        return np.broadcast_shapes(*[a.shape for a in arrays])
    except ValueError as error:
        shapes = " and ".join(str(a.shape) for a in arrays)
        raise ModelError(f"model: shapes {shapes} do not fit together") from error


def spread(function: Callable[..., Array], *arrays: Array) -> Array:
    """An elementwise function of arrays, computed where they vary, as a view of their shape."""
    shape = common_shape(*arrays)
    few = [thin(a) for a in arrays]
    pay("elements", math.prod(common_shape(*few)))
    found: Any = function(*few)
    if isinstance(found, int | Fraction | Real) and not isinstance(found, bool):
        found = np.array(found, dtype=object)  # of arrays without axes NumPy makes numbers
    return np.broadcast_to(np.asarray(found), shape)


def alike(left: Array, right: Array) -> bool:
    """Whether two arrays hold the same everywhere (they are broadcast to one shape)."""
    return left is right or bool(np.all(thin(spread(np.equal, left, right)).astype(bool)))


def add(left: Exact, right: Exact, sign: int = 1) -> Exact:
    """left + sign * right."""
    common = _denominator((left.denominator, right.denominator))
    up, down = common // left.denominator, sign * (common // right.denominator)
    return Exact(spread(lambda a, b: a * up + b * down, left.numerators, right.numerators), common)


def multiply(left: Exact, right: Exact) -> Exact:
    """left * right.

    Raises:
        ModelError: products that are longer than numbers of a head are.
    """
    for one, other in ((left, right), (right, left)):
        few = thin(one.numerators)
        if few.size == 1 and type(few.item()) is int and few.item() > 0:
            # one number for all of them: what it shares with what they are over is left out
            shared = math.gcd(few.item(), other.denominator)
            if few.item() == shared:
                shape = common_shape(one.numerators, other.numerators)
                under = _denominator((one.denominator * (other.denominator // shared),))
                return Exact(np.broadcast_to(other.numerators, shape), under)
    under = _denominator((left.denominator * right.denominator,))
    found = spread(np.multiply, left.numerators, right.numerators)
    require_short(thin(found).ravel())
    return Exact(found, under)


def require_short(numbers: Sequence[object] | Array) -> None:
    """Integers that products of others do not make endlessly long.

    Raises:
        ModelError: one is.
    """
    if len(numbers) < 4:  # an array of them would cost more
        whole = [n for n in numbers if isinstance(n, int)]
        if all(n.bit_length() <= _LONGEST for n in whole):
            return
    try:
        # all of them fit into 64 bits: most do. (Of a fraction that is the whole part, which is
        # not asked about.)
        np.asarray(numbers, dtype=object).astype(np.int64)
        return
    except (OverflowError, TypeError, ValueError):
        whole = [n for n in numbers if isinstance(n, int)]
    if max(max(whole, default=0), -min(whole, default=0)).bit_length() > _LONGEST:
        raise ModelError("model: numbers of the head are too long")


def reciprocal(values: Exact) -> Exact:
    """1 / values. Where they have no short common denominator, the numerators are fractions.

    Raises:
        ModelError: a zero.
    """
    few = thin(values.numerators)
    pay("constants", few.size, 4 * OPERATION)
    if not np.all(few.astype(bool)):
        raise ModelError("model: a constant of the head is divided by zero")
    top, common = values.denominator, _multiple(few.ravel().tolist())
    if common is None:
        divided = np.frompyfunc(lambda n: Fraction(top) / n, 1, 1)
        return Exact(spread(divided, values.numerators), 1)
    return Exact(spread(lambda n: (common // n) * top, values.numerators), common)


def _multiple(numbers: Iterable[object]) -> int | None:
    """A common multiple of integers, if it is short."""
    common = 1
    for n in numbers:
        if not isinstance(n, int):
            return None
        common = math.lcm(common, n)
        if common.bit_length() > _LONGEST:
            return None
    return common


def _denominator(parts: Iterable[int]) -> int:
    common = 1
    for part in parts:
        common = math.lcm(common, part)
        if common.bit_length() > _LONGEST:
            raise ModelError("model: constants of the head have no common denominator")
    return common


def combined(function: Callable[..., int], *arrays: Array) -> Array:
    """A function of several indices at once, called once for each combination that occurs.

    Args:
        function: of as many integers as there are arrays; called in the order in which the
            combinations first occur.
    """
    shape = common_shape(*arrays)
    few = np.broadcast_arrays(*[thin(a) for a in arrays])
    pay("elements", few[0].size)
    key = np.zeros(few[0].shape, dtype=np.int64)
    for part in few:
        values, place = np.unique(part, return_inverse=True)
        _, key = np.unique(
            key * max(values.size, 1) + place.reshape(part.shape), return_inverse=True
        )
        key = key.reshape(part.shape)
    _, first, inverse = np.unique(key, return_index=True, return_inverse=True)
    result = np.zeros(first.size, dtype=np.int64)
    flat = [part.ravel() for part in few]
    for position in np.argsort(first, kind="stable").tolist():
        where = int(first[position])
        result[position] = function(*[int(part[where]) for part in flat])
    return np.broadcast_to(result[inverse].reshape(few[0].shape), shape)


def numbered(values: Exact, numbers: dict[Number, int]) -> Array:
    """Which number each one is, with new numbers entered into the table."""
    few = thin(values.numerators)
    pay("constants", few.size, 4 * OPERATION)
    seen: dict[Any, int] = {}
    for n in few.ravel().tolist():
        if n not in seen:
            seen[n] = numbers.setdefault(quotient(n, values.denominator), len(numbers))
    ids = np.array([seen[n] for n in few.ravel().tolist()], dtype=np.int64)
    return np.broadcast_to(ids.reshape(few.shape), values.numerators.shape)
