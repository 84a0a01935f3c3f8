"""What a search for a smallest explanation offers to the checker, best first."""

from __future__ import annotations

import time
from collections.abc import Iterator

from verifier.assembly import stored_size_bound
from verifier.certificate.schema import SizeBound
from verifier.latent.domain import Domain
from verifier.minimise.minimum import minimum
from verifier.minimise.search import Candidate, Vocabulary
from verifier.oracle.interface import Instance


def smaller(
    instance: Instance, domain: Domain, vocabulary: Vocabulary, start: Candidate, deadline: float
) -> Iterator[tuple[Candidate, SizeBound | None, str]]:
    """Sets with the evidence for a lower bound, and why the two do not meet (or an empty text).

    Where the checker does not accept the first, the set of the start with the same bound comes
    next, then the best set without any.

    Args:
        start: a certified set.
        deadline: when the search ends, by ``time.perf_counter``.
    """
    result = minimum(instance, domain, vocabulary, start, deadline=deadline, now=time.perf_counter)
    bound = None if result.proof is None else stored_size_bound(result.proof)
    yield result.best, bound, result.reason
    yield start, bound, result.reason
    yield result.best, None, result.reason
