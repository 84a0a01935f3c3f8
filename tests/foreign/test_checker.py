"""The checker reads the same head from the stated cut, with code of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from protoproof.errors import ProtoProofError
from protoproof.kernel import ModelFile
from tests.support.foreign import kernel
from tests.support.foreign.families import BEYOND, CERTIFIED
from tests.support.foreign.family import Family
from tests.support.foreign.found import latents, loaded
from tests.support.foreign.precise import Precise
from tests.support.foreign.running import inputs, load_model, run, same_scores

Exported = Callable[[Family, str], Path]

KNOWN = pytest.mark.parametrize(
    ("family", "exporter"),
    [pytest.param(family, e, id=f"{family.name}-{e}") for family, e in CERTIFIED],
)


@KNOWN
def test_the_checker_reads_the_same_head(family: Family, exporter: str, exported: Exported) -> None:
    path = exported(family, exporter)
    network, model, output = loaded(path, family.output)
    cuts = network.recognised.latents
    bound = ModelFile.read(path).bound(cuts, output)
    assert kernel.form_of(bound) == family.expected
    head = network.head
    # facts are about these very measurements, so no factor may be shared out in another way
    assert kernel.prototypes(bound.head) == pytest.approx(head.prototypes, rel=1e-12, abs=0)
    assert tuple(bound.head.location_bank) == tuple(head.location_bank)
    assert tuple(bound.head.prototype_bank) == tuple(head.prototype_bank)
    images = inputs(family.shape, 4)
    behind, seen = Precise(model, cuts, output), run(model, cuts, images)
    tensors = [dict(zip(cuts, one, strict=True)) for one in seen]
    ours = np.stack([kernel.scores(bound, latents(network, one)) for one in tensors])
    theirs = np.stack([behind(one) for one in seen])
    assert same_scores(ours, theirs, head.decision.kind == "labels")


@pytest.mark.parametrize("family", BEYOND, ids=lambda family: family.name)
def test_no_cut_makes_a_head_of_what_is_beyond(family: Family, exported: Exported) -> None:
    """From any one tensor that could be called the latent, the checker refuses too."""
    exporter = "default" if "legacy" in family.unexported else "legacy"
    path = exported(family, exporter)
    model = load_model(path)
    output = model.graph.output[family.output].name
    file = ModelFile.read(path)
    for node in model.graph.node[-60:]:
        for name in node.output:
            if name != output:
                with pytest.raises(ProtoProofError):
                    file.bound((name,), output)
