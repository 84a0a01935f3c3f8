"""``python -m tests.trust [NAME ...] [--share S] [--only TEXT]``: at size, what tests try in small.

Writes ``tests/trust/results/NAME.json`` and README's table. ``--share 0.1`` tries a tenth. With
``--only TEXT ...`` rows of ``graphs`` and ``costs`` are made again whose name has one of the texts,
and ``mutants`` of these files, with what was found of the others before.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

from protoproof.kernel import check
from tests.support.kernel.algebra import NAMES
from tests.support.queries import tried as tried_queries
from tests.support.sources import ROOT
from tests.trust import (
    costly,
    costly_files,
    forgeries,
    fuzzing,
    graphs,
    networks,
    samples,
    second,
    table,
)
from tests.trust.mutation.targets import GROUPS
from tests.trust.spent import BYTES, SECONDS, spent

QUERIES = 1000  # with known answers
FORGED_SEEDS, FUZZED, SAMPLED_SEEDS, SAMPLES, KILLS = 4, 1_000_000, 20, 600, 200
GRAPH_FORGED, EVERY_KERNEL = 200, 10  # of each kind and network; asked of the kernel in Coq
SECOND = 10_000  # certificates asked of the second checker, of 8 for each head and seed
CHUNK, HANG = 2000, 300  # mutated files of one process, and the processor seconds it may take


def run_forgeries(share: float, _: Sequence[str]) -> dict[str, Any]:
    count, false, harmless = 0, [], 0
    for name in NAMES:
        for seed in range(max(1, round(FORGED_SEEDS * share))):
            most = None if share >= 1 else round(400 * share)
            found = forgeries.tried(name, seed, most)
            count, harmless = count + found.tried, harmless + found.harmless
            false += found.false
    return {"tried": count, "harmless": harmless, "false": len(false), "which": false[:50]}


def run_graphs(share: float, only: Sequence[str]) -> dict[str, Any]:
    """Forgeries of networks, a row for each; those of heads of the field only from a tenth on."""
    originals = networks.ORIGINALS | (networks.FOREIGN if share >= 0.1 else {})
    most = max(1, round(GRAPH_FORGED * share))
    known = networks.ORIGINALS | networks.FOREIGN
    for seed, (name, make) in enumerate(originals.items()):
        if not _asked(name, only):
            continue
        found = graphs.tried(make(), seed, most, EVERY_KERNEL)
        row = {
            "tried": found.tried.total(), "harmless": found.harmless.total(),
            "false": found.false, "unjudged": found.unjudged, "kernel": found.asked,
            "kernel_false": found.proved, "kinds": dict(sorted(found.tried.items())),
        }  # fmt: skip
        _written("graphs", {"networks": _kept("graphs", "networks", known) | {name: row}})
    return {"networks": _kept("graphs", "networks", known)}


def run_costs(_: float, only: Sequence[str]) -> dict[str, Any]:
    """What small files take, a row for each."""
    known = costly.CASES | costly_files.CASES
    for name in known:
        if _asked(name, only):
            _written("costs", {"cases": _kept("costs", "cases", known) | {name: _cost(name)}})
    return {"cases": _kept("costs", "cases", known)}


def _cost(name: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        if name in costly.CASES:
            files, good = costly.CASES[name](), ("rejected", "incomplete")
            size = len(files.model) + len(files.certificate)
            found = spent(lambda: check(files.certificate, files.model).status)
        else:
            work, good = costly_files.CASES[name](Path(folder)), costly_files.GOOD
            size = sum(path.stat().st_size for path in Path(folder).iterdir())
            found = spent(work)
    return {
        "kilobytes": size >> 10, "answer": found.word, "seconds": round(found.seconds, 1),
        "megabytes": found.size >> 20,
        "beyond": found.word not in good or found.seconds > SECONDS or found.size > BYTES,
    }  # fmt: skip


def _asked(name: str, only: Sequence[str]) -> bool:
    return not only or any(text in name for text in only)


def _kept(name: str, word: str, known: Collection[str]) -> dict[str, Any]:
    """The rows of earlier runs, of what is still there."""
    rows = table.result(name).get(word, {})
    return {row: found for row, found in rows.items() if row in known}


def run_fuzz(share: float, _: Sequence[str]) -> dict[str, Any]:
    readers = {}
    for name in fuzzing.READERS:
        executions, problems = 0, []
        wanted = round((FUZZED if name == "onnx" else FUZZED / 10) * share)
        while executions < wanted:
            count = min(CHUNK, wanted - executions)
            found = spent(
                lambda name=name, count=count, seed=executions: json.dumps(
                    fuzzing.fuzz(name, count, seed)
                ),
                HANG,
            )
            known = found.word.startswith("[")
            problems += json.loads(found.word) if known else [found.word]
            executions += count
        readers[name] = {
            "executions": executions, "problems": len(problems), "which": problems[:20],
        }  # fmt: skip
    return {"readers": readers}


def run_samples(share: float, _: Sequence[str]) -> dict[str, Any]:
    count = violations = 0
    for name in NAMES:
        for seed in range(max(1, round(SAMPLED_SEEDS * share))):
            some, bad = samples.sampled(name, seed, SAMPLES)
            count, violations = count + some, violations + bad
    return {"samples": count, "violations": violations}


def run_second(share: float, _: Sequence[str]) -> dict[str, Any]:
    count, accepted, apart, seed = 0, 0, [], 0
    while count < SECOND * share:
        for name in NAMES:
            some, good, differing = second.compared(name, seed, 8)
            count, accepted = count + some, accepted + good
            apart += differing
        seed += 1
    return {
        "certificates": count, "accepted": accepted, "disagreements": len(apart),
        "kinds": len(NAMES), "which": apart[:20],
    }  # fmt: skip


def run_queries(share: float, _: Sequence[str]) -> dict[str, Any]:
    count = round(QUERIES * share)
    with tempfile.TemporaryDirectory() as folder:
        found, wrong = tried_queries(0, count, Path(folder))
    decided = sum(n for words, n in found.items() if words.endswith("sat"))
    return {
        "queries": count, "decided": decided, "wrong": len(wrong), "which": wrong[:20],
        "answers": dict(sorted(found.items())),
    }  # fmt: skip


def run_mutants(share: float, only: Sequence[str]) -> dict[str, Any]:
    """Every so-manieth mutant of every file, each file in a process of its own."""
    every, jobs = max(1, round(1 / share)), max(1, (os.cpu_count() or 1) // 2)
    for name in only or GROUPS:
        options = ["--every", str(every), "--jobs", str(jobs)]
        program = [sys.executable, "-m", "tests.trust.mutation", name, *options]
        subprocess.run(program, cwd=ROOT, check=True)
    return table.result("mutants")


def run_kills(share: float, _: Sequence[str]) -> dict[str, Any]:
    points = str(max(8, round(KILLS * share)))
    program = [sys.executable, "-m", "tests.support.killing", str(ROOT / "out" / "killing"), points]
    done = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))


PROGRAMS: dict[str, Callable[[float, Sequence[str]], dict[str, Any]]] = {
    "forgeries": run_forgeries,
    "graphs": run_graphs,
    "costs": run_costs,
    "fuzz": run_fuzz,
    "samples": run_samples,
    "second": run_second,
    "queries": run_queries,
    "kills": run_kills,
    "mutants": run_mutants,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.trust")
    parser.add_argument("names", nargs="*", choices=[*PROGRAMS, []], default=[])
    parser.add_argument("--share", type=float, default=1.0)
    parser.add_argument("--only", nargs="+", default=[], help="rows of graphs, costs or mutants")
    asked = parser.parse_args()
    for name in asked.names or PROGRAMS:
        _written(name, PROGRAMS[name](asked.share, asked.only))


def _written(name: str, found: dict[str, Any]) -> None:
    """The result, and README's table with it."""
    table.write(name, found)
    print(name, json.dumps(found)[-150:], flush=True)
    text = table.README.read_text(encoding="utf-8")
    if table.BEGIN in text:
        table.README.write_text(table.with_table(text), encoding="utf-8")


if __name__ == "__main__":
    main()
