"""Results as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from tests.benchmarks.targets import targets

COLUMNS = {
    "method": "method",
    "region": "region",
    "default": "default exporter",
    "legacy": "legacy exporter",
    "proved": "proved",
    "level_f": "at level F",
    "level_f_share": "share",
    "certificates": "certificates",
    "both": "accepted by both kernels",
    "only_python": "only by Python",
    "only_formal": "only by Coq",
    "neither": "by neither",
    "certified_accuracy": "certified accuracy",
    "tried": "tried on",
    "proved before": "by intervals",
    "refuted before": "refuted",
    "open before": "open",
    "proved by parts": "proved by parts",
    "refuted by parts": "refuted by parts",
    "open after": "open then",
    "parts": "parts: median",
    "parts_max": "parts: max",
    "contradictions": "contradictions in samples",
    "prototypes": "prototypes",
    "inspect_s": "inspect: s",
    "inspect_mib": "MiB",
    "load_s": "load: s",
    "forward_s": "forward pass: s",
    "vocabularies": "facts by vocabulary: mean",
    "facts_mean": "facts: mean",
    "facts_median": "median",
    "facts_max": "max",
    "published_mean": "published top-k: mean",
    "forward_mean": "before deletion",
    "necessary_share": "with a witness",
    "minimum_share": "minimum-size",
    "facts_vs_triangle": "facts / published triangle",
    "facts_vs_hypersphere": "/ hypersphere",
    "facts_vs_top-k": "/ top-k",
    "first_ms": "first explanation: ms",
    "forward_ms": "forward pass: ms",
    "explain_ms": "all defaults: ms",
    "search_ms": "search alone: ms",
    "triangle_ms": "published triangle: ms",
    "hypersphere_ms": "hypersphere: ms",
    "forward_passes": "in forward passes",
    "search_forward_passes": "search in forward passes",
    "seconds": "seconds",
    "faster_than_triangle": "times as fast as published triangle",
    "faster_than_hypersphere": "as hypersphere",
    "check_s": "checker s",
}


def markdown(results: list[dict[str, Any]]) -> str:
    """One section per workload, then the targets."""
    parts = [_section(result) for result in results]
    rows = targets(results)
    if rows:
        words = {True: "yes", False: "**no**", None: "not measured"}
        lines = ((what, limit, _cell(value), words[met]) for what, limit, value, met in rows)
        parts.append("## Targets\n\n" + grid(["target", "limit", "measured", "met"], lines))
    return "\n".join(parts)


def grid(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def _section(result: dict[str, Any]) -> str:
    title = f"## {result['workload']}\n\n"
    if "rows" in result:
        rows = [_counted(row) for row in result["rows"]]
        used = [key for key in COLUMNS if any(row.get(key) is not None for row in rows)]
        body = grid(
            [COLUMNS[key] for key in used],
            ([_cell(row.get(key)) for key in used] for row in rows),
        )
        return title + body + _memory(result)
    plain = {key: value for key, value in result.items() if key not in ("workload", "memory")}
    return title + grid(["measure", "value"], _flat(plain)) + _memory(result)


def _counted(row: dict[str, Any]) -> dict[str, Any]:
    if "proved" not in row:
        return row
    return row | {"proved": f"{row['proved']}/{row['images']}"}


def _memory(result: dict[str, Any]) -> str:
    memory = result.get("memory")
    if not memory:
        return ""
    return (
        f"\nPeak memory of a process with one explanation: {memory['peak_mib']} MiB "
        f"({memory['before_mib']} MiB before it; it holds {memory['traced_mib']} MiB itself).\n"
    )


def _flat(values: dict[Any, Any], prefix: str = "") -> Iterable[tuple[str, str]]:
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict):
            yield from _flat(value, f"{name}: ")
        else:
            yield name, _cell(value)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        return ", ".join(_cell(part) for part in value)
    return str(value)
