"""The one error of recognition: a value, a node, a head that no rule knows."""

from __future__ import annotations

from protoproof.errors import ModelError


class NotRecognisedError(ModelError):
    """No rule takes this operator on these operands; the message says what it would have needed."""
