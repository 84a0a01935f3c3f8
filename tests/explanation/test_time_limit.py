"""A time limit ends searches, not proofs: the best so far is proved, and what is open is said."""

from __future__ import annotations

import numpy as np
import pytest

from protoproof.campaign import Limits, Options
from protoproof.campaign.executor import Task
from protoproof.campaign.explain_task import explained
from protoproof.data.dataset import load_data
from protoproof.explanation.explainer import Explainer
from protoproof.network import load
from protoproof.prover.latent.time_limit import OutOfTimeError, require_time, time_is_up, until
from protoproof.prover.search.deletion import Subset, delete
from protoproof.resources import zoo_path
from protoproof.verdict import Status


@pytest.fixture(scope="module")
def explainer() -> Explainer:
    return Explainer(load(zoo_path("mnist-certified")))


@pytest.fixture(scope="module")
def x() -> np.ndarray:
    return load_data("mnist5k").x_test[0]


def test_without_time_the_first_proof_is_all(explainer: Explainer, x: np.ndarray) -> None:
    found = explainer.explain(x, timeout=0.0, compare=True)
    assert found.verdict.status is Status.PROVED
    assert found.check is not None
    assert found.check.accepted
    assert found.vocabulary == "mixed"
    others = ("topk", "ceiling", "pairs")
    reasons = {a.vocabulary: a.words for a in found.attempts if a.vocabulary in others}
    assert reasons == dict.fromkeys(others, "unknown (timeout: not tried)")
    words = [line.partition(" ")[0] for line in found.unfinished]
    assert found.size == 1  # than which nothing is smaller
    assert words == [*others, "witnesses"]
    assert found.to_json()["unfinished"] == list(found.unfinished)
    assert not found.necessary


def test_a_set_that_could_be_smaller_is_proved_and_said(
    explainer: Explainer, x: np.ndarray
) -> None:
    found = explainer.explain(x, vocabulary="ceiling", witnesses=False, timeout=0.0)
    whole = explainer.explain(x, vocabulary="ceiling", witnesses=False)
    assert found.verdict.status is Status.PROVED
    assert found.size >= whole.size
    assert found.unfinished == ("ceiling was not made as small as it could be",)
    assert whole.unfinished == ()


def test_nothing_proved_is_undecided(explainer: Explainer, x: np.ndarray) -> None:
    found = explainer.explain(x, vocabulary="pairs", timeout=0.0)
    assert found.certificate is None
    assert found.verdict.exit_code == 3
    assert found.verdict.reason.startswith("timeout")


@pytest.mark.parametrize(("vocabulary", "state"), [("topk", "proved"), ("pairs", "timeout")])
def test_a_campaign_keeps_what_was_proved_in_time(
    explainer: Explainer, x: np.ndarray, vocabulary: str, state: str
) -> None:
    """With more time it is looked for again; with less, what there is stays."""
    task = Task("0" * 64, 0, x, name="a/0.png")
    record = explained(explainer, task, Options(vocabulary), seconds=1e-9).record
    assert (record.state, record.limit) == (state, 1e-9)
    assert record.settled(Limits(1e-9))
    assert not record.settled(Limits(60.0))
    whole = explained(explainer, task, Options("topk", witnesses=False), seconds=1e9).record
    assert (whole.state, whole.limit) == ("proved", None)
    assert whole.settled(Limits(1e10))


def test_deletion_stops_with_what_it_has() -> None:
    tried = []

    def suffices(kept: list[int]) -> bool:
        tried.append(kept)
        return True

    subset = Subset([1, 2], lambda kept, item: [i for i in kept if i != item], suffices)
    with until(0.0) as limit:
        delete(subset, [1, 2])
        with pytest.raises(OutOfTimeError):
            require_time()
    assert (subset.kept, tried, limit.cut) == ([1, 2], [], True)
    assert not time_is_up()  # no limit, no end
    delete(subset, [1, 2])
    assert subset.kept == []
