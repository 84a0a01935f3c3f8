"""What the field exports is recognised as what it is; evaluated, it gives what the graph does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from protoproof.errors import ModelError
from protoproof.network import load
from tests.support.foreign.export import EXPORTERS
from tests.support.foreign.families import CERTIFIED, RECOGNISED, REFUSED
from tests.support.foreign.family import Family
from tests.support.foreign.found import computed, form_of, loaded
from tests.support.foreign.running import SINGLE, inputs, same_scores

Exported = Callable[[Family, str], Path]

KNOWN = pytest.mark.parametrize(
    ("family", "exporter"),
    [pytest.param(family, e, id=f"{family.name}-{e}") for family, e in CERTIFIED],
)
TWICE = [f for f in RECOGNISED if all((f, exporter) in CERTIFIED for exporter in EXPORTERS)]
UNKNOWN = pytest.mark.parametrize(
    ("family", "exporter"),
    [pytest.param(family, e, id=f"{family.name}-{e}") for family, e in REFUSED],
)


@KNOWN
def test_the_normal_form_is_found(family: Family, exporter: str, exported: Exported) -> None:
    network, _, output = loaded(exported(family, exporter), family.output)
    assert form_of(network) == family.expected
    assert network.recognised.output == output


@KNOWN
def test_the_head_computes_what_the_graph_does(
    family: Family, exporter: str, exported: Exported
) -> None:
    network, model, output = loaded(exported(family, exporter), family.output)
    seen = computed(network, model, inputs(family.shape, 10), output)
    ours, theirs = seen.ours, seen.runtime
    labels = network.head.decision.kind == "labels"
    assert same_scores(ours, seen.precise, labels)
    assert same_scores(ours, theirs, labels, SINGLE)
    if labels:
        on = theirs > 0.5
        assert ((ours > 0) == on)[np.abs(theirs - 0.5) > 1e-4].all()
    else:
        clear = np.sort(theirs, axis=1)[:, -1] - np.sort(theirs, axis=1)[:, -2] > 1e-4
        assert (ours.argmax(axis=1) == theirs.argmax(axis=1))[clear].all()


@pytest.mark.parametrize("family", TWICE, ids=lambda family: family.name)
def test_both_exporters_mean_the_same_head(family: Family, exported: Exported) -> None:
    """Folding moves constants by float32 roundings; nothing else differs."""
    default, legacy = (loaded(exported(family, e), family.output)[0].head for e in EXPORTERS)
    rng = np.random.default_rng(0)
    for _ in range(5):
        latent = rng.uniform(0.05, 1, (default.locations, default.channels))
        scores = [
            head.logits(head.activation(head.measurement(latent))) for head in (default, legacy)
        ]
        assert scores[0] == pytest.approx(scores[1], rel=1e-3, abs=1e-4)


@UNKNOWN
def test_what_is_beyond_is_refused_in_one_line(
    family: Family, exporter: str, exported: Exported
) -> None:
    with pytest.raises(ModelError) as refused:
        load(exported(family, exporter))
    message = str(refused.value)
    assert "\n" not in message
    assert f"{family.name}.{exporter}.onnx" in message
    # the node to blame, by name or operator, and what it would have needed
    assert "node" in message
