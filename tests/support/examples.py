"""How many examples Hypothesis draws: a few in every run, all of them in the sweep."""

from __future__ import annotations

from collections.abc import Callable
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
