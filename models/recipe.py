"""The numbers of a training run: recorded in the checkpoint, derived from the size of the data."""

from __future__ import annotations

import math
from typing import Self

from pydantic import BaseModel, ConfigDict


class Recipe(BaseModel):
    """Everything but the data and the seed that decides how a network is trained.

    Costs are the published ones: cross entropy + ``cluster`` * cluster cost + ``separation`` *
    separation cost, and ``l1`` * (absolute off-class weights) for the last layer. In certified
    training ``robust_share`` of the cross entropy is the worst case's. Training for explanations
    has the worst case alone, ``fact_share`` of it over whatever meets one fact that holds all over
    the region (see :mod:`models.held_facts`), up to ``overshoot`` times the radius, because what is
    learnt just so for a radius is often missed there on unseen images (Gowal et al. 2018).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    epochs: int
    last_layer_epochs: int
    batch: int
    learning_rate: float
    cluster: float
    separation: float
    l1: float
    certified_eps: float | None
    robust_share: float
    fact_share: float = 0.0
    overshoot: float = 1.0

    @property
    def training_eps(self) -> float | None:
        """The radius that training ends with; None in ordinary training."""
        return None if self.certified_eps is None else self.overshoot * self.certified_eps

    @classmethod
    def for_data(
        cls,
        images: int,
        epochs: int | None,
        certified_eps: float | None,
        certify_facts: bool = False,
    ) -> Self:
        """Defaults that give small data sets more epochs and large ones fewer."""
        batch = 128 if images >= 2560 else max(16, images // 20)
        certified = certified_eps is not None
        if epochs is None:
            steps, fewest, most = (4000, 20, 100) if certified else (1000, 8, 40)
            epochs = min(most, max(fewest, math.ceil(steps * batch / images)))
        ordinary = cls(
            epochs=epochs,
            last_layer_epochs=30,
            batch=batch,
            learning_rate=1e-3 if certified else 2e-3,
            # The worst-case loss pulls and pushes by itself; full published costs work against it.
            cluster=0.1 if certified else 0.8,
            separation=0.01 if certified else 0.08,
            l1=1e-4,
            certified_eps=certified_eps,
            robust_share=0.9 if certified else 0.0,
        )
        if certified_eps is None or not certify_facts:
            return ordinary
        # The loss of the facts clusters and separates by itself.
        explained = {"cluster": 0.0, "separation": 0.0, "robust_share": 1.0, "fact_share": 0.5}
        overshoot = 1.2 if certified_eps <= 0.2 else 1.1
        return ordinary.model_copy(update=explained | {"overshoot": overshoot})
