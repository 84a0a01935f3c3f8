"""Facts, certificates that the checker accepts, and no latent nearby that belies them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from protoproof.certificate.canonical import canonical_bytes
from protoproof.explanation.explainer import Explainer
from protoproof.explanation.result import Explanation
from protoproof.kernel import ModelFile, check
from protoproof.network.head.head import Head
from protoproof.prover.latent.facts import FactSet
from protoproof.verdict import Status
from tests.support.cli import protoproof
from tests.support.foreign.families import CERTIFIED
from tests.support.foreign.family import Family
from tests.support.foreign.found import loaded
from tests.support.foreign.running import Floats, inputs

Exported = Callable[[Family, str], Path]

KNOWN = pytest.mark.parametrize(
    ("family", "exporter"),
    [pytest.param(family, e, id=f"{family.name}-{e}") for family, e in CERTIFIED],
)
DEFAULT = pytest.mark.parametrize(
    "family",
    [family for family, exporter in CERTIFIED if exporter == "default"],
    ids=lambda family: family.name,
)
WORDS = ("topk", "ceiling", "mixed")


def explained(family: Family, path: Path, index: int, **keywords: object) -> Explanation:
    """The explanation of one of the family's inputs."""
    network, _, _ = loaded(path, family.output)
    image = inputs(family.shape, index + 1)[index][0]
    return Explainer(network).explain(image, **keywords)  # type: ignore[arg-type]


@KNOWN
@pytest.mark.parametrize("vocabulary", WORDS)
def test_certificates_are_accepted(
    family: Family, exporter: str, vocabulary: str, exported: Exported
) -> None:
    path = exported(family, exporter)
    for index in range(2):
        result = explained(family, path, index, vocabulary=vocabulary, witnesses=False)
        assert result.verdict.status is Status.PROVED, result.verdict
        assert result.certificate is not None
        # again, by a checker that has seen nothing of the search
        report = check(
            canonical_bytes(result.certificate),
            ModelFile.read(path),
            result.certificate.core.instance.input_sha256,
        )
        assert report.accepted
        assert not report.conditions


@DEFAULT
def test_the_command_line_goes_the_whole_way(
    family: Family, exported: Exported, tmp_path: Path
) -> None:
    """``explain`` without metadata, renaming or more outputs, then plain ``check``."""
    path = exported(family, "default")
    np.save(tmp_path / "x.npy", inputs(family.shape, 1)[0][0])
    chosen = ["--output", _output(path, family)] if _several(path) else []
    done = protoproof(
        "explain", path, "--input", tmp_path / "x.npy", "--out", tmp_path / "x.json", *chosen
    )
    assert done.code == 0, done.err
    checked = protoproof("check", tmp_path / "x.json", path, "--input", tmp_path / "x.npy")
    assert checked.code == 0, checked.out + checked.err


def _several(path: Path) -> bool:
    import onnx

    return len(onnx.load(path, load_external_data=False).graph.output) > 1


def _output(path: Path, family: Family) -> str:
    import onnx

    return str(onnx.load(path, load_external_data=False).graph.output[family.output].name)


def meets(head: Head, facts: FactSet, latent: Floats) -> bool:
    """Whether a latent meets all facts, in float64."""
    table = head.measurement(latent)
    pooled = head.pooled(table)
    level = head.levels(pooled)
    return (
        all(f.lower <= table[f.location, f.prototype] <= f.upper for f in facts.pairs)
        and all(f.lower <= pooled[f.prototype] <= f.upper for f in facts.activations)
        and all(
            (np.delete(level, list(step.exempt)) >= step.bound).all() for step in facts.ceilings
        )
    )


@DEFAULT
def test_no_latent_that_meets_widened_facts_is_predicted_otherwise(
    family: Family, exported: Exported
) -> None:
    """Intervals have an inside, so that samples meet them; the more daring ones are the point."""
    network, _, _ = loaded(exported(family, "default"), family.output)
    explainer, head = Explainer(network), network.head
    observation = network.observe(inputs(family.shape, 1)[0][0])
    instance = explainer.instance(observation)
    rng = np.random.default_rng(0)
    for vocabulary in WORDS:
        result = explainer.explain(
            observation.x, vocabulary=vocabulary, widen=True, witnesses=False
        )
        assert result.verdict.status is Status.PROVED
        facts = result.facts
        met = 0
        for _ in range(300):
            step = 10.0 ** rng.uniform(-4, 0.5) * rng.normal(size=instance.latent.shape)
            keep = rng.random((len(step), 1)) < rng.choice([0.2, 0.6, 1.0])
            latent = instance.latent + np.where(keep, step, 0.0)
            if meets(head, facts, latent):
                met += 1
                scores = head.logits(head.activation(head.measurement(latent)))
                if head.decision.kind == "labels":
                    assert (np.flatnonzero(scores > 0) == observation.labels).all()
                else:
                    assert int(np.argmax(scores)) == observation.predicted
        assert met
