"""Workloads ``heldout-NAME``: held-out samples of one zoo network, all the way to the checker.

The row says also whether networks of the same family, from either exporter, are recognised as what
that one is.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from models.corpora import corpus
from models.corpora.corpus import Corpus
from models.deterministic import deterministic
from models.families import FAMILIES
from models.fit import fit
from models.heldout import heldout as unseen
from models.plain_export import export_plain
from models.trunk import Network as Module
from protoproof.errors import ProtoProofError
from protoproof.explanation.explainer import Explainer
from protoproof.network import Network, load
from protoproof.resources import ZOO, zoo_path
from tests.benchmarks.measure import Settings
from tests.benchmarks.tally import tally
from tests.support.foreign.export import EXPORTERS, quiet

# of the training that only has to go through all its stages
_SAMPLES, _SHORT = 200, {"epochs": 3, "settle_epochs": 1}


def heldout(name: str, settings: Settings) -> list[dict[str, Any]]:
    """One network; times are processor seconds with one thread."""
    network = load(zoo_path(name))
    row = {
        "method": name,
        "network": network.sha256,
        **recognised(name, network),
        **tally(Explainer(network), unseen(name, settings.heldout).x, settings.paired).row(),
    }
    return [{"workload": "heldout", "rows": [row]}]


def heldout_times(settings: Settings) -> list[dict[str, Any]]:
    """Processor time of one explanation with all defaults, for every network of the zoo: medians
    over ``paired`` samples, what a network's explanations share not counted."""
    rows = []
    for name in ZOO:
        network, samples = load(zoo_path(name)), unseen(name, settings.paired).x
        explainer, seconds = Explainer(network), []
        explainer.explain(samples[0])
        for x in samples:
            started = time.process_time()
            explainer.explain(x)
            seconds.append(time.process_time() - started)
        row = {"method": name, "network": network.sha256, "images": len(samples)}
        rows.append({**row, "seconds": round(statistics.median(seconds), 4)})
    return [{"workload": "heldout, seconds", "rows": rows}]


def recognised(name: str, trained: Network) -> dict[str, str]:
    """Per exporter ``yes``, ``refused`` or ``no`` (as something else); ``own`` where the zoo's file
    comes from no exporter of torch.

    The family, trained a little and exported: what training chooses is chosen then.
    """
    if name not in FAMILIES:
        return dict.fromkeys(EXPORTERS, "own")
    family = FAMILIES[name]
    data, short = _few(corpus(family.corpus)), replace(family.schedule, **_SHORT)
    with deterministic(family.seed), quiet():
        encoder, head = family.encoder(), family.head()
        module = Module(encoder, head)
        fit(module, head, data, short, family.seed, True)
        models = {exporter: export_plain(module, data.shape, exporter) for exporter in EXPORTERS}
    return {e: _word(model.SerializeToString(), trained) for e, model in models.items()}


def _few(data: Corpus) -> Corpus:
    step = max(1, len(data.x_train) // _SAMPLES)
    return replace(data, x_train=data.x_train[::step], y_train=data.y_train[::step], fresh=None)


def _word(content: bytes, trained: Network) -> str:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        path.write_bytes(content)
        try:
            return "yes" if kind_of(load(path)) == kind_of(trained) else "no"
        except ProtoProofError:
            return "refused"


def kind_of(network: Network) -> tuple[object, ...]:
    """What training does not change: geometry, pooling, decision, latent, classes."""
    head = network.head
    pooling = frozenset(head.pooling_of.kinds)
    latent = head.locations, head.channels
    return head.geometry, pooling, head.decision.kind, latent, head.classes
