"""Whether the prediction at the instance itself is clear enough to be explained."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from protoproof.errors import InputError
from protoproof.network import Observation
from protoproof.prover.latent.instance import Instance
from protoproof.prover.relaxation.intervals import SLACK
from protoproof.verdict import Verdict, unknown


def undecided_prediction(
    instance: Instance, observation: Observation, names: tuple[str, ...]
) -> Verdict | None:
    """Why the prediction at the instance itself cannot be proved, or None."""
    if not instance.rivals:
        raise InputError("the network has one class only: every prediction is the same")
    weakest = int(np.argmin(instance.margins))
    rival = instance.rivals[weakest]
    if instance.margins[weakest] > SLACK:
        return None
    if instance.head.decision.kind == "labels":
        return unknown(f"numerically fragile: label {names[rival]} is at its threshold")
    pair = f"{names[observation.predicted]} and {names[rival]}"
    if observation.logits[observation.predicted] == observation.logits[rival]:
        return unknown(f"tie: the logits of {pair} are equal")
    return unknown(f"numerically fragile: exact arithmetic does not separate {pair}")


def predicted_name(instance: Instance, names: Sequence[str]) -> str:
    """The predicted class; of labels, what is said about each that is explained."""
    if instance.head.decision.kind != "labels":
        return names[instance.predicted]
    on = set(instance.atoms.on)
    return ", ".join(f"{names[k]}: {'on' if k in on else 'off'}" for k in instance.rivals)
