"""What is found beside an explanation: contrasts, further explanations, smallest ones, collisions.

One small network for every geometry, pooling and decision of the list.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from protoproof.certificate.canonical import canonical_bytes
from protoproof.certificate.schema import About
from protoproof.errors import UsageError
from protoproof.explanation.alternatives import alternatives, contrasted
from protoproof.explanation.explainer import Explainer
from protoproof.explanation.options import ExplainOptions
from protoproof.explanation.result import Explanation
from protoproof.kernel import ModelFile, check
from protoproof.kernel.claims import words
from protoproof.report.ambiguity.collisions import ambiguity
from protoproof.report.files.alternatives_view import Extras, contrast_sentence
from protoproof.report.files.beside import Beside, explained_beside
from protoproof.report.files.nearest_patches import Training
from protoproof.report.page.reading import reading_of
from protoproof.verdict import Status
from tests.support.foreign.families import BY_NAME, CERTIFIED
from tests.support.foreign.family import Family, Form
from tests.support.foreign.found import loaded
from tests.support.foreign.running import inputs

Exported = Callable[[Family, str], Path]


def _cheapest() -> list[Family]:
    """The smallest network of every geometry, pooling and decision."""
    found: dict[object, tuple[int, Family]] = {}
    for family, exporter in CERTIFIED:
        form = family.expected
        if exporter != "default" or not isinstance(form, Form):
            continue
        key = form.geometry, form.pooling, form.decision
        cost = form.locations * form.features * form.channels
        if key not in found or cost < found[key][0]:
            found[key] = cost, family
    return [family for _, family in found.values()]


EACH = pytest.mark.parametrize("family", _cheapest(), ids=lambda family: family.name)


def beside(
    family: Family, path: Path, minimal: str, timeout: float | None = None, **more: object
) -> tuple[Explainer, Extras]:
    """An explanation in vocabulary ``mixed``, with what is beside it."""
    network, _, _ = loaded(path, family.output)
    explainer = Explainer(network)
    images = [image[0] for image in inputs(family.shape, 3)]
    training = Training("three", ["a", "b", "c"], lambda index: images[index])
    explanation, extras = explained_beside(
        explainer,
        images[0],
        ExplainOptions("mixed", minimal=minimal, witnesses=False, timeout=timeout),
        Beside(training=training, **more),  # type: ignore[arg-type]
        About(),
    )
    assert explanation.verdict.status is Status.PROVED
    assert explanation.certificate is not None
    report = check(canonical_bytes(explanation.certificate), ModelFile.read(path))
    assert report.accepted, report.failures
    if "contrast" in more:
        assert extras.contrast is not None
        claim = f"contrast:{extras.contrast.target}:{len(extras.contrast.released)}"
        assert claim in words(report.claims)
    return explainer, extras


@EACH
@pytest.mark.parametrize("timeout", [0.0, pytest.param(None, marks=pytest.mark.sweep)])
def test_a_contrast_is_certified_and_predicted_otherwise(
    family: Family, timeout: float | None, exported: Exported
) -> None:
    """Without any time the first one that is found counts; with all of it, the smallest."""
    path = exported(family, "default")
    explainer, extras = beside(family, path, "subset", timeout, contrast="closest")
    found, here, head = extras.contrast, extras.instance, explainer.network.head
    assert found is not None
    assert here is not None
    assert found.released
    measured = head.measurement(found.latent)
    scores = head.logits(head.activation(measured))
    if head.decision.kind == "labels":
        assert (scores[found.target] > 0) != (found.target in here.atoms.on)
    else:
        assert int(np.argmax(scores)) == found.target
    # what is kept is kept, and what is released is not
    released = {(fact.location, fact.prototype) for fact in found.released}  # type: ignore[union-attr]
    for location, j in np.argwhere(np.isfinite(here.measurement)).tolist():
        same = np.isclose(
            measured[location, j], here.measurement[location, j], rtol=1e-5, atol=1e-6
        )
        assert same or (location, j) in released
    row = here.rivals.index(found.target)
    if here.atoms.linear:  # the effects make up the whole difference
        total = sum(change.effect for change in found.changes)
        gained = here.margins[row] - here.atoms.margins(head.activation(measured))[row]
        assert total == pytest.approx(gained, rel=1e-3, abs=1e-4)
    reading = reading_of(explainer.network, here.latent, here.predicted)
    document = extras.to_json(reading, [])
    assert document["contrast"]["sentence"].startswith("would")
    assert document["contrast"]["nearest_patches"]
    assert extras.notes(reading, [], None)


@EACH
@pytest.mark.parametrize("most", [1, pytest.param(4, marks=pytest.mark.sweep)])
def test_all_explanations_are_certified_each(family: Family, most: int, exported: Exported) -> None:
    path = exported(family, "default")
    explainer, extras = beside(family, path, "all", most=most)
    found, file = extras.others, ModelFile.read(path)
    assert found is not None
    assert found.refused == 0
    assert len(found.explanations) == most or found.end.complete
    for listed in found.explanations:
        assert check(canonical_bytes(listed.certificate), file).accepted
    head, here = explainer.network.head, found.instance
    for contrast in found.contrasts:
        moved = head.activation(head.measurement(contrast.refutation.latent))
        row = here.rivals.index(contrast.refutation.rival)
        assert here.atoms.margins(moved)[row] < 0
    counts = dict(found.attribution.counts)
    assert all(counts[fact] == found.attribution.explanations for fact in found.attribution.core)


@EACH
@pytest.mark.parametrize("timeout", [0.0, pytest.param(1e6, marks=pytest.mark.sweep)])
def test_a_smallest_explanation_or_a_bound(
    family: Family, timeout: float, exported: Exported
) -> None:
    """Without any time a proved set stays, with what is proved of the bound."""
    path = exported(family, "default")
    network, _, _ = loaded(path, family.output)
    image = inputs(family.shape, 1)[0][0]
    subset = Explainer(network).explain(image, vocabulary="ceiling", witnesses=False)
    least = Explainer(network).explain(
        image, vocabulary="ceiling", minimal="minimum", witnesses=False, timeout=timeout
    )
    assert least.verdict.status is Status.PROVED
    assert least.size <= subset.size or not timeout
    assert (least.lower_bound or 1) <= least.size
    assert (least.lower_bound == least.size) == (not least.gap_reason)


@EACH
def test_collisions_are_counted(family: Family, exported: Exported) -> None:
    network, _, _ = loaded(exported(family, "default"), family.output)
    seen = network.observe_batch(np.stack([image[0] for image in inputs(family.shape, 6)]))
    found = ambiguity(network, seen, 3)
    predicted = {(one.predicted, one.labels) for one in seen}
    for level in found.levels:
        assert level.colliding <= level.same <= 15
        assert level.colliding == 0 or len(predicted) > 1


@pytest.mark.parametrize("label", [0, *(pytest.param(k, marks=pytest.mark.sweep) for k in (1, 2))])
def test_one_label_has_contrasts_and_explanations_of_its_own(
    label: int, exported: Exported
) -> None:
    """Chosen by ``--label``, it is the only one that a contrast or another explanation is about."""
    family = BY_NAME["signal-distance"]
    network, _, _ = loaded(exported(family, "default"), family.output)
    explainer, image = Explainer(network), inputs(family.shape, 1)[0][0]
    one = explainer.explain(image, vocabulary="mixed", label=str(label), witnesses=False)
    result, found = contrasted(explainer, one, "closest", 0.0)
    assert found is not None
    assert found.target == label
    assert result.certificate is not None
    assert result.certificate.core.rivals == (label,)
    named, again = contrasted(explainer, one, network.class_names[label], 0.0)
    assert again is not None
    assert named.certificate == result.certificate
    with pytest.raises(UsageError, match="another label than the one that is explained"):
        contrasted(explainer, one, str((label + 1) % 3))
    listed = alternatives(explainer, one, 1)
    assert all(entry.certificate.core.rivals == (label,) for entry in listed.explanations)
    assert {contrast.refutation.rival for contrast in listed.contrasts} <= {label}


def test_all_labels_together_have_contrasts_of_each(exported: Exported) -> None:
    family = BY_NAME["signal-distance"]
    network, _, _ = loaded(exported(family, "default"), family.output)
    explainer, image = Explainer(network), inputs(family.shape, 1)[0][0]
    every = explainer.explain(image, vocabulary="mixed", witnesses=False)
    on = set(every.observation.labels)
    for label in range(3):
        _, found = contrasted(explainer, every, str(label), 0.0)
        assert found is not None
        assert found.target == label
        latent = found.latent
        head = network.head
        scores = head.logits(head.activation(head.measurement(latent)))
        assert (scores[label] > 0) == (label not in on)
        reading = reading_of(network, every_latent(every), 0)
        sentence = contrast_sentence(found, reading)
        assert sentence.startswith("would not have" if label in on else "would have")


def every_latent(explanation: Explanation) -> NDArray[np.float64]:
    """The explained latent."""
    return explanation.observation.latent.astype(np.float64)
