"""What one check may cost: one number of steps, and one of bytes alive at a time.

Whatever costs more than its share of the files' size is charged here *before* it is done, from
shapes alone. So the answer of a check does not depend on the machine or on what an earlier check
left in a cache: a check that asks for too much is undecided after the same step everywhere, and
nothing is ever rejected for it.

*Steps.* One step is about 0.1 ns of one core: a multiply-add of a matrix product. Everything else
is worth as many as below (rounded up, measured). ``MAX_STEPS`` is a minute at that rate, and less
for most certificates. An explanation of 161 facts with a witness each, for 2,000 prototypes, 200
classes, 49 locations and 128 channels, takes an eighteenth of it.

*Bytes.* Memory beyond the interpreter and the model's own bytes. What stays is *held*; what an
operation needs for a moment only has to fit next to that. Large requests are also tried (and given
back) before FLINT or NumPy makes them: where the process may have less than ``MAX_BYTES``, that
raises MemoryError here, which a check survives; FLINT would end the process.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from math import isqrt
from typing import TypeVar

import numpy as np

MAX_STEPS = 1 << 39
MAX_BYTES = 1 << 31

OPERATION = 1 << 9  # of the interpreter, on integers of one limb
BALL = 1 << 12  # one multiplication or addition of balls
SIMILARITY = 1 << 14  # one logarithm or exponential of a ball
NODE = 1 << 20  # one operator of a walk, however small its tensors
FILE_BYTE, FILE_VALUE = 1 << 6, 1 << 15  # reading: per byte, and per value of a certificate

_TRIED = 1 << 20  # requests from this size on are tried
_SPARE = 1 << 25  # what must be left for the many small requests between two large ones

_Item = TypeVar("_Item")


class OutOfBudgetError(Exception):
    """The check would cost more than it may: nothing is wrong, but nothing is proved either."""


class Budget:
    """What a check has spent.

    Attributes:
        steps: spent so far.
        alive: bytes that are held now.
    """

    def __init__(self, max_steps: int = MAX_STEPS, max_bytes: int = MAX_BYTES) -> None:
        self.max_steps, self.max_bytes = max_steps, max_bytes
        self.steps = self.alive = self.peak = 0
        self._paid: set[object] = set()

    def afford(self, what: str, steps: int) -> None:
        """Refuse what is known to cost more than what is left, without charging it.

        Raises:
            OutOfBudgetError: too many steps.
        """
        if self.steps + steps > self.max_steps:
            raise OutOfBudgetError(
                f"too large to be checked: {what} asks for {steps} steps, "
                f"{self.max_steps - self.steps} of {self.max_steps} are left"
            )

    def spend(self, what: str, steps: int) -> None:
        """Charge steps that are about to be made.

        Raises:
            OutOfBudgetError: too many steps.
        """
        total = self.steps + steps
        if total > self.max_steps:
            self.afford(what, steps)
        self.steps = total

    def room(self, what: str, size: int) -> None:
        """Refuse an allocation that does not fit next to what is held.

        Raises:
            OutOfBudgetError: too many bytes.
            MemoryError: this process may not have so many.
        """
        total = self.alive + size
        if total > self.max_bytes:
            raise OutOfBudgetError(
                f"too large to be checked: {what} asks for {size} bytes, "
                f"{self.max_bytes - self.alive} of {self.max_bytes} are left"
            )
        if total > self.peak:
            self.peak = total
        if size >= _TRIED:
            np.empty(size + _SPARE, dtype=np.uint8)  # pages that nobody touches cost nothing

    def hold(self, what: str, size: int) -> None:
        """Charge memory that stays.

        Raises:
            OutOfBudgetError, MemoryError: see :meth:`room`.
        """
        self.room(what, size)
        self.alive += size

    def release(self, size: int) -> None:
        """Memory that was held and is free again."""
        self.alive -= size

    def first(self, key: object) -> bool:
        """Whether this check asks for something for the first time; it then pays for it."""
        if key in self._paid:
            return False
        self._paid.add(key)
        return True

    def paid(self, key: object) -> bool:
        """Whether this check asked for something before."""
        return key in self._paid

    @contextmanager
    def recorded(self) -> Iterator[Budget]:
        """A budget that what is left here limits, and whose expenses are made here, too."""
        inner = Budget(self.max_steps - self.steps, self.max_bytes - self.alive)
        inner._paid = self._paid
        try:
            with inner.active():
                yield inner
        finally:
            self.peak = max(self.peak, self.alive + inner.peak)
            self.spend("", inner.steps)
            self.hold("", inner.alive)

    def repeat(self, what: str, cost: Budget) -> None:
        """Charge what :meth:`recorded` found out, and what it took for a moment.

        Raises:
            OutOfBudgetError, MemoryError: see :meth:`spend` and :meth:`hold`.
        """
        self.room(what, cost.peak)
        self.spend(what, cost.steps)
        self.hold(what, cost.alive)

    @contextmanager
    def active(self) -> Iterator[Budget]:
        """Make this the budget that the functions below charge."""
        token = _CURRENT.set(self)
        try:
            yield self
        finally:
            _CURRENT.reset(token)

    @contextmanager
    def scope(self) -> Iterator[Budget]:
        """What is held inside is free again outside."""
        before = self.alive
        try:
            yield self
        finally:
            self.alive = before


_CURRENT: ContextVar[Budget | None] = ContextVar("budget", default=None)


def current() -> Budget:
    """The budget of the check that is running.

    Outside a check it is a new one, so that every single request is still compared with the limits.
    """
    return _CURRENT.get() or Budget()


def spend(what: str, steps: int) -> None:
    """See :meth:`Budget.spend`."""
    current().spend(what, steps)


def room(what: str, size: int) -> None:
    """See :meth:`Budget.room`."""
    current().room(what, size)


def hold(what: str, size: int) -> None:
    """See :meth:`Budget.hold`."""
    current().hold(what, size)


def rounds(items: Iterable[_Item], count: int, what: str) -> Iterator[_Item]:
    """The items of a loop whose turns cost alike: after the first, all others must be affordable.

    Raises:
        OutOfBudgetError: they are not.
    """
    budget = current()
    for index, item in enumerate(items):
        before = budget.steps
        yield item
        if not index:
            budget.afford(f"{what}, {count - 1} times more", (count - 1) * (budget.steps - before))


def limbs(bits: int) -> int:
    """64-bit words of an integer."""
    return 1 + bits // 64


def width(*numbers: Iterable[int]) -> int:
    """Limbs of the longest of some integers."""
    longest = max((max(map(abs, some), default=0) for some in numbers), default=0)
    return limbs(longest.bit_length())


def integer(left: int, right: int = 1) -> int:
    """Steps of one operation of the interpreter on integers of so many limbs.

    Long ones are multiplied by Karatsuba's method: more limbs cost less than their product.
    """
    return OPERATION + 64 * max(left, right) * isqrt(min(left, right))


def product(left: int, right: int) -> int:
    """Steps of one multiply-add of a product of integer matrices, for entries of so many limbs."""
    return 32 * left * right


def stored(count: int, size: int = 1) -> int:
    """Bytes of so many Python integers of so many limbs in lists."""
    return count * (64 + 9 * size)
