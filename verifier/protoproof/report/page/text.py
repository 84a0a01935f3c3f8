"""Text and numbers made safe to read: nothing hidden, nothing rounded in a flattering direction."""

from __future__ import annotations

import math
import unicodedata
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal

LONGEST_LABEL = 120
_SIGNIFICANT = 3
_SUPERSCRIPT = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")

# Control, format (bidirectional overrides, zero-width), surrogate, private and unassigned
# characters can hide or reorder text. So can line separators.
_HIDING = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def visible(text: str) -> str:
    """``text`` with every character that could hide or reorder others written as ``[U+202E]``.

    A line break or tab becomes a space.
    """
    return "".join(_visible_character(character) for character in text)


def label(text: str) -> str:
    """A name that somebody else chose (a class, a file): made visible, and cut where absurd."""
    cut = text if len(text) <= LONGEST_LABEL else text[: LONGEST_LABEL - 1] + "…"
    return visible(cut) or "(no name)"


def _visible_character(character: str) -> str:
    if character in "\n\t":
        return " "
    if unicodedata.category(character) in _HIDING:
        return f"[U+{ord(character):04X}]"
    return character


def class_name(text: str) -> str:
    """``the class “cat”``; a name that is a class by itself needs no more words: ``class 0``."""
    shown = label(text)
    return shown if shown.lower().startswith("class ") else f"the class “{shown}”"


def nearest(value: float) -> str:
    """``value`` to three significant digits, rounded to nearest: for observed values."""
    return _digits(value, ROUND_HALF_EVEN)


def at_least(value: float) -> str:
    """``value`` rounded down: a proved lower bound stays a lower bound when it is read."""
    return _digits(value, ROUND_FLOOR)


def at_most(value: float) -> str:
    """``value`` rounded up: an upper bound stays an upper bound when it is read."""
    return _digits(value, ROUND_CEILING)


def signed(value: float) -> str:
    """``value`` rounded to nearest, with its sign."""
    return nearest(value) if value < 0 else f"+{nearest(value)}"


def seconds(value: float) -> str:
    """A duration in the unit that reads best."""
    return f"{value * 1e3:.0f} ms" if value < 1 else f"{value:.1f} s"


def _digits(value: float, rounding: str) -> str:
    if not math.isfinite(value):
        return "not a number" if math.isnan(value) else "∞" if value > 0 else "−∞"
    exact = Decimal(value)  # a float is a dyadic rational: Decimal holds it exactly
    if not exact:
        return "0"
    size = exact.adjusted()  # decimal exponent of the leading digit
    last = 0 if _SIGNIFICANT <= size < 6 else size - _SIGNIFICANT + 1
    rounded = exact.quantize(Decimal(1).scaleb(last), rounding=rounding)
    if -4 <= size < 6:
        return f"{rounded:f}".replace("-", "−")
    mantissa, exponent = f"{rounded:.{_SIGNIFICANT - 1}e}".split("e")
    power = str(int(exponent)).translate(_SUPERSCRIPT)
    return f"{mantissa} × 10{power}".replace("-", "−")
