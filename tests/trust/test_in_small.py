"""What ``make trust`` tries at size, in small: forgeries, costly and mutated files, samples."""

from __future__ import annotations

import pytest

from protoproof.kernel import check
from tests.support.kernel.algebra import NAMES
from tests.trust import costly, fuzzing
from tests.trust.forgeries import tried
from tests.trust.samples import sampled
from tests.trust.spent import spent
from tests.trust.table import README, RESULTS, result, with_table

_NONE = ("false", "beyond", "violations", "disagreements", "wrong")
PATIENCE = 20  # so much slower a machine may be

# some seconds each: `make trust` alone tries these
LONG = {
    "locations", "a fact about every pair", "ceilings times prototypes", "rows of long multipliers",
    "rows of long multipliers over a box", "implied bounds", "a tie", "classes", "cases of a size",
    "weights of a size", "few large groups", "the largest of many", "every tensor of a walk",
    "linear bounds of a reach", "tensors that nobody uses", "put beside itself",
    "every ceiling of a size", "refutations times prototypes, squared", "contrasts that keep much",
    "locations times prototypes", "groups", "a long tree", "the way down a long tree",
}  # fmt: skip


@pytest.mark.trust(14, 15)
@pytest.mark.parametrize("name", NAMES[::6])
def test_no_forgery_is_accepted_that_is_false(name: str) -> None:
    found = tried(name, 0, 12)
    assert found.tried == 12
    assert not found.false


@pytest.mark.trust(47)
@pytest.mark.parametrize("name", [name for name in costly.CASES if name not in LONG])
def test_a_small_file_of_large_cost_is_refused_or_undecided(name: str) -> None:
    files = costly.CASES[name]()
    found = spent(lambda: check(files.certificate, files.model).status, PATIENCE * 60)
    assert found.word in ("rejected", "incomplete")


@pytest.mark.trust(18, 30, 33)
@pytest.mark.parametrize("reader", fuzzing.READERS)
def test_mutated_files_are_read_or_refused_in_one_line(reader: str) -> None:
    assert not fuzzing.fuzz(reader, 200, 0)


@pytest.mark.trust(5)
@pytest.mark.parametrize("name", NAMES[::6])
def test_no_sampled_latent_is_below_a_proved_margin(name: str) -> None:
    count, violations = sampled(name, 7, 60)
    assert count
    assert not violations


@pytest.mark.parametrize("name", sorted(path.stem for path in RESULTS.glob("*.json")))
def test_what_was_tried_at_size_found_nothing(name: str) -> None:
    found = result(name)
    assert found
    assert not any(found.get(word) for word in _NONE)
    assert not sum(reader["problems"] for reader in found.get("readers", {}).values())


def test_readme_is_up_to_date() -> None:
    text = README.read_text(encoding="utf-8")
    assert text == with_table(text)
