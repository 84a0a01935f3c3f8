"""What ``make trust`` tries at size, in small: forgeries, costly and mutated files, samples."""

from __future__ import annotations

from pathlib import Path

import pytest

from protoproof.kernel import check
from tests.support.kernel.algebra import NAMES
from tests.trust import costly, costly_files, fuzzing, graphs, networks
from tests.trust.forgeries import tried
from tests.trust.samples import sampled
from tests.trust.spent import spent
from tests.trust.table import README, RESULTS, result, with_table

SMALL_NETWORKS = ("distances, written by hand", "two files of data", "a greedy tree")
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


# what takes next to nothing
SHORT_FILES = [
    name
    for name in costly_files.FILES
    if name.split()[-1] not in ("zeros", "VNN-LIB", "limit", "texts", "megapixels", "signatures")
] + [
    "a cycle of VNN-LIB",
    "deep lists",
    "a long exponent",
    "loops in loops",
    "broadcast",
    "a range",
]


@pytest.mark.trust(14, 15)
@pytest.mark.parametrize("name", NAMES[::6])
def test_no_forgery_is_accepted_that_is_false(name: str) -> None:
    found = tried(name, 0, 12)
    assert found.tried == 12
    assert not found.false


@pytest.mark.trust(15, 16, 24, 43, 46)
@pytest.mark.parametrize("name", SMALL_NETWORKS)
def test_no_forgery_of_a_network_is_accepted_that_is_false(name: str) -> None:
    found = graphs.tried(networks.ORIGINALS[name](), 0, 2)
    assert sum(found.tried.values()) >= 12
    assert not found.false
    assert not found.unjudged


@pytest.mark.trust(47)
@pytest.mark.parametrize("name", SHORT_FILES)
def test_a_small_file_of_any_kind_is_refused_or_undecided(name: str, tmp_path: Path) -> None:
    found = spent(costly_files.CASES[name](tmp_path), PATIENCE * 60)
    assert found.word in costly_files.GOOD


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
    words = ("false", "violations", "disagreements", "beyond", "kernel_false", "problems", "wrong")
    parts = [found]
    for rows in (found.get("networks"), found.get("cases"), found.get("readers")):
        parts += (rows or {}).values()
    assert not any(part.get(word) for part in parts for word in words)


def test_readme_is_up_to_date() -> None:
    text = README.read_text(encoding="utf-8")
    assert text == with_table(text)
