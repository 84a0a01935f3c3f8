"""The errors of recognition: a value, a node, a head that no rule knows."""

from __future__ import annotations

from protoproof.errors import ModelError

# what a comparison of the latent's values would have needed
GREEDY = (
    "it would have to be 'zero below a number, else the value'; a tree that chooses its branches "
    "in the graph would have to weigh them by shares between 0 and 1 (--routing greedy then "
    "explains the choice)"
)


class NotRecognisedError(ModelError):
    """No rule takes this operator on these operands; the message says what it would have needed."""


class ProductsError(NotRecognisedError):
    """A function of dot products without a direction: mostly, the latent lies elsewhere."""


class NumberTypeError(NotRecognisedError):
    """Numbers of the latent become another type: whatever follows, nothing exact can be said."""
