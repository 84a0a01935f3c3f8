"""Whether the prediction at the instance itself is clear enough to be explained."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from protoproof.errors import InputError
from protoproof.network import Observation
from protoproof.prover.latent.instance import Instance
from protoproof.prover.relaxation.intervals import SLACK
from protoproof.verdict import Verdict, unknown

_NAMED = 6  # labels that one sentence names


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
    predicted = names[observation.predicted]
    pair = f"{predicted} and {names[rival]}"
    if instance.margins[weakest] < -SLACK:
        return unknown(
            f"numerically fragile: ONNX Runtime says {predicted}, and in exact arithmetic "
            f"{names[rival]} is ahead of it"
        )
    if observation.logits[observation.predicted] == observation.logits[rival]:
        return unknown(f"tie: the logits of {pair} are equal")
    return unknown(f"numerically fragile: exact arithmetic does not separate {pair}")


def predicted_name(instance: Instance, names: Sequence[str]) -> str:
    """The predicted class; of labels, what is said about each that is explained."""
    if instance.head.decision.kind != "labels":
        return names[instance.predicted]
    return labels_words(names, instance.rivals, instance.atoms.on)


def labels_words(names: Sequence[str], explained: Sequence[int], on: Sequence[int]) -> str:
    """Such as ``cat and dog on; bird off``: what is said about the labels that are explained."""
    sides = (
        ("on", [names[k] for k in explained if k in set(on)]),
        ("off", [names[k] for k in explained if k not in set(on)]),
    )
    return "; ".join(f"{_listed(some)} {side}" for side, some in sides if some)


def _listed(names: Sequence[str]) -> str:
    if len(names) > _NAMED:
        return f"{', '.join(names[: _NAMED - 1])} and {len(names) - _NAMED + 1} more"
    return " and ".join([*([", ".join(names[:-1])] if len(names) > 1 else []), names[-1]])
