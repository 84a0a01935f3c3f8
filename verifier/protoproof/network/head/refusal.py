"""The errors of recognition: a value, a node, a head that no rule knows."""

from __future__ import annotations

from protoproof.errors import ModelError


class NotRecognisedError(ModelError):
    """No rule takes this operator on these operands; the message says what it would have needed."""


class ProductsError(NotRecognisedError):
    """A function of dot products without a direction: mostly, the latent lies elsewhere."""


class NumberTypeError(NotRecognisedError):
    """Numbers of the latent become another type: whatever follows, nothing exact can be said."""
