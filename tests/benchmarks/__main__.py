"""Sizes, times and memory next to the published algorithm: ``make bench``. Asserts nothing.

    python -m tests.benchmarks [--quick] [--only NAME ...] [--images N] [--jobs N]

Ratios compare runs of one process; times are medians of ``repeats`` runs, in processor seconds of
one thread where nothing else is said. One JSON file per workload goes to
``tests/benchmarks/results``, and ``table.md`` with everything that was measured
there, also by earlier runs.
"""

from __future__ import annotations

import argparse
import json
import platform
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from models.build_zoo import ENTRIES
from protoproof.files import make_directory, write_atomic
from protoproof.resources import ZOO
from tests.benchmarks.branch import branch
from tests.benchmarks.cub import cub_size
from tests.benchmarks.defaults import defaults
from tests.benchmarks.end_to_end import end_to_end
from tests.benchmarks.explained import RADII, explained
from tests.benchmarks.fewest import fewest
from tests.benchmarks.foreign import foreign
from tests.benchmarks.full_size import full_size
from tests.benchmarks.growth import growth
from tests.benchmarks.heldout import heldout, heldout_times
from tests.benchmarks.kernels import kernels
from tests.benchmarks.levels import levels, synthetic
from tests.benchmarks.measure import ROOT, Settings
from tests.benchmarks.minimum import minimum
from tests.benchmarks.mnist import mnist_1x1, mnist_7x7
from tests.benchmarks.necessity import necessity
from tests.benchmarks.ordinary import ordinary
from tests.benchmarks.patches import patches
from tests.benchmarks.reading import DIGITS, EMOJI, OTHERS, as_a_signal, to_read
from tests.benchmarks.region import region
from tests.benchmarks.sweep import sweep
from tests.benchmarks.table import markdown
from tests.benchmarks.truth import truth

RESULTS = ROOT / "tests" / "benchmarks" / "results"

WORKLOADS: dict[str, Callable[[Settings], list[dict[str, Any]]]] = {
    "mnist-1x1": mnist_1x1,
    "mnist-7x7": mnist_7x7,
    "cub-size": lambda settings: [cub_size(settings)],
    "growth": growth,
    "defaults": defaults,
    **{f"sweep-{name}": partial(sweep, name) for name in ENTRIES},
    "full-size": full_size,
    "foreign": foreign,
    **{f"heldout-{name}": partial(heldout, name) for name in ZOO},
    "heldout-times": heldout_times,
    **{f"kernels-{name}": partial(kernels, name) for name in ZOO},
    **{f"levels-{name}": partial(levels, name) for name in ZOO},
    "levels-synthetic": synthetic,
    **{f"explained-{name}": partial(explained, name) for name in RADII},
    "to-read": to_read,
    "signal-digits": partial(as_a_signal, DIGITS),
    "signal-others": partial(as_a_signal, OTHERS),
    "signal-emoji": partial(as_a_signal, EMOJI),
    "fewest": fewest,
    "region": region,
    "branch": branch,
    "ordinary": ordinary,
    "patches": patches,
    "end-to-end": end_to_end,
    "truth": truth,
    "minimum": minimum,
    "necessity": necessity,
}


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few images, one repetition")
    parser.add_argument(
        "--only",
        nargs="+",
        choices=list(WORKLOADS),
        default=list(WORKLOADS),
        metavar="NAME",
        help="all, or some of: " + ", ".join(WORKLOADS),
    )
    parser.add_argument(
        "--images",
        type=int,
        help="images per network in sweep and heldout, certificates in kernels",
    )
    parser.add_argument("--jobs", type=int, help="processes of a sweep")
    parser.add_argument("--out", type=Path, default=RESULTS, help="where the results go")
    return parser.parse_args()


def main() -> None:
    """Measure, print and write down."""
    options = arguments()
    settings = Settings.quick() if options.quick else Settings()
    if options.images is not None:
        settings = replace(
            settings, sweep=options.images, heldout=options.images, kernels=options.images
        )
    if options.jobs is not None:
        settings = replace(settings, jobs=options.jobs)
    threadpool_limits(1)
    torch.set_num_threads(1)
    make_directory(options.out)
    for name in options.only:
        document = {
            "name": name,
            "settings": asdict(settings),
            "machine": {
                "python": platform.python_version(),
                "numpy": np.__version__,
                "torch": torch.__version__,
                "processor": platform.machine(),
                "threads": torch.get_num_threads(),
            },
            "results": WORKLOADS[name](settings),
        }
        content = json.dumps(document, indent=2) + "\n"
        write_atomic(options.out / f"{name}.json", content.encode())
        print(markdown(document["results"]), flush=True)
    write_atomic(options.out / "table.md", _everything(options.out).encode())


def _everything(folder: Path) -> str:
    """The table of all workloads that have results."""
    files = [folder / f"{name}.json" for name in WORKLOADS]
    known = [json.loads(file.read_text()) for file in files if file.is_file()]
    return markdown([result for document in known for result in document["results"]])


if __name__ == "__main__":
    main()
