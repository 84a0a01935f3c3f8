"""One explanation in a process of its own: ``python -m tests.benchmarks.memory NAME``.

Prints the peak memory before and after as JSON, in MiB; ``traced`` is what the explanation itself
held at most (Python and NumPy allocations), measured in a second run.
"""

from __future__ import annotations

import json
import sys
import tracemalloc
from collections.abc import Callable

from protoproof.data.dataset import load_data
from protoproof.explanation.explainer import Explainer
from protoproof.network import load
from protoproof.resources import zoo_path
from tests.benchmarks.cub import prove
from tests.benchmarks.measure import peak_mib
from tests.benchmarks.synthetic import Shape, make_head, make_instance


def explanation(name: str) -> Callable[[], object]:
    """What to measure: ``cub-size`` or the name of a zoo network."""
    if name == "cub-size":
        instance = make_instance(make_head(Shape()), 0)
        return lambda: prove(instance)
    explainer = Explainer(load(zoo_path(name)))
    image = load_data("mnist5k").x_test[0]
    return lambda: explainer.explain(image)


def main(name: str) -> None:
    """Measure and print."""
    run = explanation(name)
    before = peak_mib()
    run()
    after = peak_mib()
    tracemalloc.start()
    run()
    traced = tracemalloc.get_traced_memory()[1] >> 20
    print(json.dumps({"before_mib": before, "peak_mib": after, "traced_mib": traced}))


if __name__ == "__main__":
    main(sys.argv[1])
