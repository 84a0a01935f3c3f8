"""README's table of what was tried at size: from ``results/*.json`` alone."""

from __future__ import annotations

import json
from typing import Any

from tests.benchmarks.table import grid
from tests.support.sources import ROOT

RESULTS = ROOT / "tests" / "trust" / "results"
README = ROOT / "README.md"
BEGIN, END = (
    "<!-- made by python -m tests.trust -->\n",
    "<!-- until the end of what was tried -->\n",
)

# result -> what it is called, how many were tried, and what must be 0
Row = tuple[str, str, str, str]


def result(name: str) -> dict[str, Any]:
    """What was found out last; empty where nothing was."""
    path = RESULTS / f"{name}.json"
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}


def write(name: str, found: dict[str, Any]) -> None:
    """Keep what was found out."""
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def table() -> str:
    """The table, one line for each kind of trial that has a result."""
    return grid(["tried", "how many", "found"], [list(row) for row in rows()])


def rows() -> list[tuple[str, str, str]]:
    found = []
    if forged := result("forgeries"):
        tried = forged["tried"]
        said = f"{forged['false']} false ones accepted ({forged['harmless']:,} are true as changed)"
        found.append(("forged certificates, every kind of head and domain", f"{tried:,}", said))
    found += graph_rows(result("graphs").get("networks", {}))
    if costs := result("costs"):
        worst = max(case["seconds"] for case in costs["cases"].values())
        size = max(case["megabytes"] for case in costs["cases"].values())
        beyond = sum(case["beyond"] for case in costs["cases"].values())
        said = f"{beyond} beyond; at most {worst:.0f} CPU s, {size:,} MiB"
        found.append(("small files of large cost", f"{len(costs['cases'])}", said))
    if fuzz := result("fuzz"):
        count = sum(reader["executions"] for reader in fuzz["readers"].values())
        crashes = sum(reader["problems"] for reader in fuzz["readers"].values())
        words = ", ".join(fuzz["readers"])
        found.append((f"mutated files ({words})", f"{count:,}", f"{crashes} crashes or hangs"))
    if mutated := result("mutants"):
        modules = list(mutated["modules"].values())
        total = sum(module["mutants"] for module in modules)
        killed = sum(module["killed"] for module in modules)
        explained = sum(module["explained"] for module in modules)
        open_ = total - killed - explained
        said = f"{killed:,} killed, {explained} explained, {open_} open"
        every = max(module["every"] for module in modules)
        share = "all" if every == 1 else f"at least 1 in {every}"
        what = f"mutants of {len(modules)} files of the checker ({share})"
        found.append((what, f"{total:,}", said))
    if samples := result("samples"):
        said = f"{samples['violations']} violations"
        found.append(
            ("latents that meet facts, against proved margins", f"{samples['samples']:,}", said)
        )
    if second := result("second"):
        said = f"{second['disagreements']} disagreements ({second['accepted']:,} accepted)"
        found.append(
            ("certificates asked of a second checker", f"{second['certificates']:,}", said)
        )
    if queries := result("queries"):
        said = f"{queries['wrong']} wrong answers ({queries['decided']:,} decided)"
        found.append(("VNN-LIB queries with known answers", f"{queries['queries']:,}", said))
    return found


def graph_rows(networks: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Forged files of networks, and which of them were asked of the kernel in Coq, too."""
    if not networks:
        return []
    rows = networks.values()
    tried, harmless = (sum(row[word] for row in rows) for word in ("tried", "harmless"))
    false, unjudged, proved = (
        sum(len(row[word]) for row in rows) for word in ("false", "unjudged", "kernel_false")
    )
    said = f"{false} false ones accepted ({harmless:,} are true as changed"
    said += f", {unjudged} not judged)" if unjudged else ")"
    asked = sum(row["kernel"] for row in rows)
    return [
        (f"forged models and certificates of {len(networks)} networks", f"{tried:,}", said),
        ("of them asked of the kernel in Coq", f"{asked:,}", f"{proved} false ones proved"),
    ]


def with_table(text: str) -> str:
    """The README's text with the table of the results."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"
