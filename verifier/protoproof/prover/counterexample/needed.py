"""What a search finds out about the facts of a set, one at a time."""

from __future__ import annotations

from dataclasses import dataclass, field

from protoproof.prover.latent.replay import Move


@dataclass(frozen=True)
class Found:
    """A witness: the fact (its index in the set's order), the winning rival, the moves."""

    fact: int
    rival: int
    moves: tuple[Move, ...]


@dataclass
class Needed:
    """What is known of the facts of a set one at a time, by their index.

    ``found``: witnesses. ``spared``: facts without which the interval oracle proves every margin
    (under a region of inputs, over the latents among which witnesses are looked for); no witness
    of such a fact is looked for.
    """

    found: dict[int, Found] = field(default_factory=dict)
    spared: set[int] = field(default_factory=set)

    @property
    def witnesses(self) -> tuple[Found, ...]:
        """In the order of the facts."""
        return tuple(self.found[index] for index in sorted(self.found))
