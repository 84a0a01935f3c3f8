"""Mixed sets whose prototypes are named where they are seen: what the checker makes of them."""

from __future__ import annotations

from protoproof.data.dataset import load_data
from protoproof.explanation.explainer import Explainer
from protoproof.network import load
from protoproof.prover.latent.facts import PairFact
from protoproof.resources import zoo_path


def test_what_one_location_says_together_spares_a_fact() -> None:
    """A name alone bounds each prototype that looks like it by itself. Said of its location, it
    bounds their sum: an image of the trained network needs one fact less, and the checker accepts
    the proof."""
    known = Explainer(load(zoo_path("mnist-7x7")))
    x = load_data("mnist5k").x_test[421]
    alone = known.explain(x, vocabulary="mixed", oracle="interval", witnesses=False)
    together = known.explain(x, vocabulary="mixed", witnesses=False)
    assert together.check is not None
    assert together.check.accepted
    assert 0 < together.size < alone.size
    assert any(isinstance(fact, PairFact) for fact in together.facts)
