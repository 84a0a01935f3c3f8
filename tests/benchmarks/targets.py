"""The targets, each next to what was measured. A miss is reported, never asserted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Results = list[dict[str, Any]]
Target = tuple[str, str, float | None, bool | None]


def targets(results: Results) -> list[Target]:
    """(what, limit, measured, met) for every target whose workload was run."""
    parts = (_one_location, _grid, _large, _growth, _defaults)
    return [target for part in parts for target in part(results)]


def _row(result: dict[str, Any], *methods: str) -> dict[str, Any]:
    """The first of the methods that was measured; an empty row where none was."""
    found = {row["method"]: row for row in result["rows"]}
    return next((found[method] for method in methods if method in found), {})


def _at_most(what: str, measured: float | None, limit: float, unit: str = "") -> Target:
    return what, f"<= {limit:g}{unit}", measured, None if measured is None else measured <= limit


def _at_least(what: str, measured: float | None, limit: float, unit: str = "") -> Target:
    return what, f">= {limit:g}{unit}", measured, None if measured is None else measured >= limit


def _of(results: Results, label: str) -> Iterator[dict[str, Any]]:
    return (result for result in results if result["workload"] == label)


def _one_location(results: Results) -> Iterator[Target]:
    for result in _of(results, "mnist-1x1, lowest margins"):
        row = _row(result, "pairs, relational", "pairs, exact")
        name = f"mnist-1x1, {row['method']}"
        yield _at_most(f"{name}: facts / published triangle's", row["facts_vs_triangle"], 0.25)
        yield _at_least(f"{name}: share of facts with a witness", row["necessary_share"], 0.85)
        yield _at_most(f"{name}: seconds", row["seconds"], 0.05, " s")
        yield _at_most(f"{name}: checker seconds", row["check_s"], 0.05, " s")


def _grid(results: Results) -> Iterator[Target]:
    for result in _of(results, "mnist-7x7"):
        best = _row(result, "smallest of these")
        pairs = _row(result, "pairs, relational", "pairs, exact")
        yield _at_most(
            "mnist-7x7, smallest: facts / published top-k's", best["facts_vs_top-k"], 0.6
        )
        name = f"mnist-7x7, {pairs['method']}"
        yield _at_most(f"{name}: facts / published triangle's", pairs["facts_vs_triangle"], 0.7)
        yield _at_most(f"{name}: seconds", pairs["seconds"], 0.5, " s")
        faster = pairs["faster_than_hypersphere"]
        yield _at_least(f"{name}: times as fast as published hypersphere", faster, 50)
        yield _at_most(f"{name}: checker seconds", pairs["check_s"], 0.05, " s")


def _large(results: Results) -> Iterator[Target]:
    for result in _of(results, "cub-size"):
        yield _at_most("cub-size, pairs, exact: seconds", result["seconds"], 2, " s")
        if result["memory"] is not None:
            yield _at_most(
                "cub-size, pairs, exact: peak memory", result["memory"]["peak_mib"], 1024, " MiB"
            )
        for vocabulary, row in result["certified"].items():
            yield _at_most(f"cub-size, {vocabulary}: checker seconds", row.get("check_s"), 1, " s")


def _growth(results: Results) -> Iterator[Target]:
    for result in _of(results, "growth of searches"):
        for by in ("prototypes", "locations", "classes"):
            for vocabulary, row in result[by].items():
                yield _at_most(f"search of {vocabulary}: exponent in {by}", row["exponent"], 1.2)
        for name, row in result["largest"].items():
            yield _at_most(f"search of {name}: seconds", row["seconds"], 5, " s")


def _defaults(results: Results) -> Iterator[Target]:
    for result in _of(results, "all defaults"):
        for row, limit in zip(result["rows"], (8, 50), strict=True):
            yield _at_most(f"{row['method']}, all defaults", row["explain_ms"], limit, " ms")
            yield _at_most(f"{row['method']}: forward passes", row["forward_passes"], 3)
