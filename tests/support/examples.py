"""How many examples Hypothesis draws: a few in every run, all of them in the sweep."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import settings

SWEEP = "sweep"  # the profile that `make test-sweeps` asks for


def examples(few: int, many: int, **more: Any) -> Callable[[Any], Any]:
    """``few`` examples, or ``many`` in the sweep, for which the test runs again."""
    count = many if settings.get_current_profile_name() == SWEEP else few

    def drawn(test: Any) -> Any:
        return pytest.mark.deeper(settings(max_examples=count, deadline=None, **more)(test))

    return drawn


def one_and_more(seeds: Sequence[int]) -> Any:
    """The test for the first seed in every run; for the others in the sweep."""
    more = [pytest.param(seed, marks=pytest.mark.sweep) for seed in seeds[1:]]
    return pytest.mark.parametrize("seed", [seeds[0], *more])
