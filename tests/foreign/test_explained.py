"""Facts, certificates that the checker accepts, and no latent nearby that belies them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from protoproof.certificate.canonical import canonical_bytes
from protoproof.explanation.result import Explanation
from protoproof.kernel import ModelFile, check
from protoproof.network.head.head import Head
from protoproof.prover.latent.facts import FactSet
from protoproof.verdict import Status
from tests.support.cli import protoproof
from tests.support.foreign.families import CERTIFIED, RECOGNISED
from tests.support.foreign.family import Family, Form
from tests.support.foreign.found import explainer, loaded
from tests.support.foreign.running import Floats, inputs

Exported = Callable[[Family, str], Path]

WORDS = ("topk", "ceiling", "mixed")
# one word for each file, another one for each exporter; the others are swept
KNOWN = pytest.mark.parametrize(
    ("family", "exporter", "vocabulary"),
    [
        pytest.param(
            family,
            exporter,
            word,
            id=f"{word}-{family.name}-{exporter}",
            marks=() if word == WORDS[(number + (exporter == "legacy")) % 3] else pytest.mark.sweep,
        )
        for number, family in enumerate(RECOGNISED)
        for exporter in ("default", "legacy")
        if (family, exporter) in CERTIFIED
        for word in WORDS
    ],
)
DEFAULT = [family for family, exporter in CERTIFIED if exporter == "default"]


def _one_of_each_kind() -> list[Any]:
    """The default exports; all but one of every kind are swept."""
    seen: set[object] = set()
    found = []
    for family in DEFAULT:
        form = family.expected
        assert isinstance(form, Form)
        kind = form.geometry, form.pooling, form.decision, len(form.cuts)
        new = kind not in seen and form.channels * form.features < 1000
        found.append(pytest.param(family, id=family.name, marks=() if new else pytest.mark.sweep))
        if new:
            seen.add(kind)
    return found


def explained(family: Family, path: Path, index: int, **keywords: object) -> Explanation:
    """The explanation of one of the family's inputs."""
    image = inputs(family.shape, index + 1)[index][0]
    return explainer(path, family.output).explain(image, **keywords)  # type: ignore[arg-type]


@KNOWN
def test_certificates_are_accepted(
    family: Family, exporter: str, vocabulary: str, exported: Exported
) -> None:
    path = exported(family, exporter)
    result = explained(family, path, 1, vocabulary=vocabulary, witnesses=False)
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


@pytest.mark.parametrize("family", _one_of_each_kind())
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
    """Whether a latent meets all facts, in float64 and up to its rounding."""
    table = head.measurement(latent)
    pooled = head.pooled(table)
    level = head.levels(pooled)
    return (
        all(_between(table[f.location, f.prototype], f.lower, f.upper) for f in facts.pairs)
        and all(_between(pooled[f.prototype], f.lower, f.upper) for f in facts.activations)
        and all(
            _between(np.delete(level, list(step.exempt)).min(initial=np.inf), step.bound, np.inf)
            for step in facts.ceilings
        )
    )


def _between(value: float, low: float, high: float) -> bool:
    slack = 1e-12 * (1.0 + abs(value)) if np.isfinite(value) else 0.0
    return bool(low - slack <= value <= high + slack)


def _samples(head: Head, latent: Floats, count: int) -> Iterator[Floats]:
    """Latents around one: anywhere, and where what is measured at a location stays, or hardly
    moves, which however many facts permit."""
    rng = np.random.default_rng(0)
    for number in range(count):
        step = 10.0 ** rng.uniform(-4, 0.5) * rng.normal(size=latent.shape)
        keep = rng.random((len(step), 1)) < rng.choice([0.2, 0.6, 1.0])
        if number % 2:
            place = int(rng.integers(len(latent)))
            keep = np.arange(len(step))[:, None] == place
            step[place] = _quiet(head, latent[place], step[place])
        yield latent + np.where(keep, step, 0.0)


def _quiet(head: Head, z: Floats, step: Floats) -> Floats:
    """The part of a step that moves no measurement at z, but in second order."""
    if head.geometry in ("linear", "angular"):
        rows = np.vstack([head.prototypes, z[None]])
    else:
        rows = (z - head.prototypes) * (1.0 if head.scales is None else head.scales)
    _, size, across = np.linalg.svd(rows, full_matrices=False)
    across = across[size > 1e-9 * size.max(initial=1.0)]
    return np.asarray(step - across.T @ (across @ step))


@pytest.mark.parametrize("family", _one_of_each_kind())
def test_no_latent_that_meets_widened_facts_is_predicted_otherwise(
    family: Family, exported: Exported
) -> None:
    """Intervals have an inside, so that samples meet them; the more daring ones are the point."""
    path = exported(family, "default")
    network, _, _ = loaded(path, family.output)
    head, known = network.head, explainer(path, family.output)
    observation = network.observe(inputs(family.shape, 1)[0][0])
    instance = known.instance(observation)
    met = 0
    for vocabulary in WORDS:
        result = known.explain(observation.x, vocabulary=vocabulary, widen=True, witnesses=False)
        assert result.verdict.status is Status.PROVED
        for latent in _samples(head, instance.latent, 200):
            if meets(head, result.facts, latent):
                met += 1
                scores = head.logits(head.activation(head.measurement(latent)))
                if head.decision.kind == "labels":
                    assert (np.flatnonzero(scores > 0) == observation.labels).all()
                else:
                    assert int(np.argmax(scores)) == observation.predicted
    assert met
