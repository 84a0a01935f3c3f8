"""Small real data sets for the zoo: ``corpus("emoji")`` and its like.

Every corpus has training and held-out samples as arrays, names its classes and says where it comes
from and under which licence. Nothing is downloaded: the samples lie in this folder (with their
licence beside them) or inside a package that training needs anyway.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from models.corpora.corpus import Corpus
from models.corpora.digits import mnist, mnist_shots, small_digits
from models.corpora.emoji import emoji
from models.corpora.motions import motions
from protoproof.errors import UsageError

CORPORA: dict[str, Callable[[], Corpus]] = {
    "mnist5k": mnist,
    "mnist5k-shots": mnist_shots,
    "digits8": small_digits,
    "emoji": emoji,
    "motions": motions,
}


@cache
def corpus(name: str) -> Corpus:
    """The corpus of that name. Raises UsageError when there is none."""
    if name not in CORPORA:
        raise UsageError(f"data set '{name}' does not exist: choose {', '.join(CORPORA)}")
    return CORPORA[name]()
