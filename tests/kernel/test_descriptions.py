"""Head descriptions: strict, believed only where they fit the graph."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from protoproof.kernel import CheckReport
from tests.support.kernel.graphs import HERE, report_for
from tests.support.kernel.models import description, model_proto


def described(change: Callable[[dict[str, Any]], None]) -> CheckReport:
    content = description(HERE.tiny)
    change(content)
    model = model_proto(HERE.tiny)
    model.metadata_props[0].value = json.dumps(content)
    return report_for(model)


DESCRIPTIONS: dict[str, Callable[[dict[str, Any]], None]] = {
    "unknown field": lambda d: d.update(scale=2),
    "unknown field inside": lambda d: d["pooling"].update(k=3),
    "missing field": lambda d: d.pop("activation"),
    "other schema": lambda d: d.update(schema="protoproof.head/2"),
    "other measurement": lambda d: d["measurement"].update(kind="cosine"),
    "other pooling": lambda d: d["pooling"].update(kind="mean"),
    "other similarity": lambda d: d.update(similarity={"kind": "identity"}),
    "similarity without constant": lambda d: d.update(similarity={"kind": "log_ratio"}),
    "epsilon not positive": lambda d: d["similarity"].update(epsilon=-1),
    "epsilon is text": lambda d: d["similarity"].update(epsilon="1e-4"),
    "epsilon is true": lambda d: d["similarity"].update(epsilon=True),
    "other epsilon": lambda d: d["similarity"].update(epsilon=2e-4),
    "epsilon above one": lambda d: d["similarity"].update(epsilon=1.5),
    "other kind than the graph": lambda d: d.update(similarity={"kind": "reciprocal"}),
    "other grid": lambda d: d["latent"].update(grid=[4, 1]),
    "no grid": lambda d: d["latent"].update(grid=[]),
    "other channels": lambda d: d["latent"].update(channels=99),
    "channels are true": lambda d: d["latent"].update(channels=True),
    "fewer classes": lambda d: d["classes"].pop(),
    "other latent": lambda d: d["latent"].update(tensor="features"),
    "other measurement tensor": lambda d: d["measurement"].update(tensor="expanded"),
    "other activation": lambda d: d.update(activation="nearest"),
    "other logits": lambda d: d["decision"].update(logits="activation"),
    "logits inside": lambda d: d["decision"].update(logits="ratio"),
    "a bias that is not there": lambda d: d["decision"].update(bias="constant"),
    "name is a number": lambda d: d["decision"].update(weight=3),
    "name is empty": lambda d: d["latent"].update(tensor=""),
    "a list": lambda d: d.update(latent=[]),
}


@pytest.mark.parametrize("name", DESCRIPTIONS)
def test_descriptions_that_do_not_fit_are_refused(name: str) -> None:
    report = described(DESCRIPTIONS[name])
    assert report.status == "rejected"
    assert report.obligations[2].passed is False


def test_the_fitting_description_is_accepted_in_any_layout() -> None:
    assert described(lambda d: d.update(name="another")).accepted
    assert described(lambda d: d["decision"].pop("bias")).accepted
