"""Two campaigns side by side: proofs lost, won and changed, by instance, class and prototype."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from protoproof.campaign import Confirmed, Instances, Row, confirm, read_campaign
from protoproof.campaign.places import LEDGER
from protoproof.campaign.record import alike
from protoproof.campaign.result import network_of
from protoproof.errors import InputError

Change = Literal["same", "changed", "lost", "won", "open"]
CHANGES: tuple[Change, ...] = ("same", "changed", "lost", "won", "open")


@dataclass(frozen=True)
class Pair:
    """One instance in both campaigns."""

    old: Row
    new: Row

    @property
    def change(self) -> Change:
        """``same`` facts or ``changed`` ones, a proof ``lost`` or ``won``, or ``open`` in both.

        Facts are the same if those that are proved necessary name the same prototypes at the same
        locations; their values move with the latent.
        """
        before, after = (row.record.state == "proved" for row in (self.old, self.new))
        if before and after:
            equal = self.old.record.signature == self.new.record.signature
            return "same" if equal else "changed"
        return "lost" if before else "won" if after else "open"

    @property
    def drift(self) -> float | None:
        """Jaccard distance of the prototypes in needed facts then and now.

        None unless both are proved, and some fact of each is proved to be needed, or there is none.
        """
        if self.change not in ("same", "changed"):
            return None
        if any(row.record.size and not row.record.necessary for row in (self.old, self.new)):
            return None
        old, new = set(self.old.record.prototypes), set(self.new.record.prototypes)
        return 1 - len(old & new) / len(old | new) if old | new else 0.0


@dataclass(frozen=True, eq=False)
class Comparison:
    """Two campaigns, and the instances that both planned."""

    old: Confirmed
    new: Confirmed
    pairs: tuple[Pair, ...]

    @property
    def same_head(self) -> bool:
        """Whether prototypes, weights, similarity and grid are equal, value by value."""
        return self.old.model.head_sha256 == self.new.model.head_sha256

    @property
    def labelled(self) -> bool:
        """Whether inputs and labels are the data's, and ONNX Runtime ran."""
        return self.old.labelled and self.new.labelled

    def count(self, change: Change) -> int:
        """How many instances changed so."""
        return sum(pair.change == change for pair in self.pairs)

    def regions(self) -> dict[str, tuple[int, int]]:
        """Per region that both certified: how many common instances then, and now."""
        names = [name for name in self.new.regions if name in self.old.regions]
        return {
            name: (
                sum(self.old.certified(name, pair.old) for pair in self.pairs),
                sum(self.new.certified(name, pair.new) for pair in self.pairs),
            )
            for name in names
        }

    def lost_regions(self) -> Iterator[tuple[Row, str, str]]:
        """Instances that were certified over a region and are not now: row, region, state now."""
        for name in self.regions():
            for pair in self.pairs:
                if self.old.certified(name, pair.old) > self.new.certified(name, pair.new):
                    yield pair.new, name, self.new.regions[name][pair.new.key].state

    def correct(self, class_: int) -> tuple[int, int, int]:
        """Of the class's common instances: how many there are, were right then, are right now."""
        own = [pair for pair in self.pairs if pair.new.label == class_]
        return len(own), *(
            sum(row.correct is True for row in rows)
            for rows in ([p.old for p in own], [p.new for p in own])
        )  # type: ignore[return-value]

    def to_json(self) -> dict[str, Any]:
        """The document of ``diff --json``."""
        drifts = [pair.drift for pair in self.pairs if pair.drift is not None]
        return {
            "schema": "protoproof.diff/1",
            "old": _identity(self.old),
            "new": _identity(self.new),
            "same_head": self.same_head,
            "labels": "from the data" if self.labelled else "as stored, not recomputed",
            "common": len(self.pairs),
            "only_old": len(self.old.rows) - len(self.pairs),
            "only_new": len(self.new.rows) - len(self.pairs),
            "changes": {change: self.count(change) for change in CHANGES},
            "drift": {
                "mean": sum(drifts) / len(drifts) if drifts else None,
                "max": max(drifts, default=None),
            },
            "classes": [
                {
                    "class": name,
                    "changes": dict(
                        Counter(pair.change for pair in self.pairs if pair.new.label == class_)
                    ),
                    **dict(zip(("instances", "correct_old", "correct_new"), found, strict=True)),
                }
                for class_, name in enumerate(self.new.model.classes)
                if (found := self.correct(class_))[0]
            ],
            "prototypes": self._prototypes(),
            "regions": {
                name: {"certified_old": old, "certified_new": new}
                for name, (old, new) in self.regions().items()
            },
            "instances": [
                {
                    "index": pair.new.index,
                    "instance": pair.new.instance,
                    "label": pair.new.label,
                    "change": pair.change,
                    "old_state": pair.old.record.state,
                    "new_state": pair.new.record.state,
                    "reason": pair.new.record.reason,
                    "old_size": pair.old.record.size,
                    "new_size": pair.new.record.size,
                    "drift": pair.drift,
                }
                for pair in self.pairs
                if pair.change != "same"
            ],
        }

    def _prototypes(self) -> list[dict[str, Any]]:
        """Prototypes whose values or uses changed."""
        used = [
            Counter(j for row in rows for j in row.record.prototypes)
            for rows in ([p.old for p in self.pairs], [p.new for p in self.pairs])
        ]
        old, new = self.old.model.prototype_sha256, self.new.model.prototype_sha256
        found = []
        for j in range(max(len(old), len(new))):
            there = (old[j] if j < len(old) else None, new[j] if j < len(new) else None)
            if there[0] == there[1] and used[0][j] == used[1][j]:
                continue
            lost = sum(p.change == "lost" and j in p.old.record.prototypes for p in self.pairs)
            won = sum(p.change == "won" and j in p.new.record.prototypes for p in self.pairs)
            found.append(
                {
                    "prototype": j,
                    "changed": there[0] != there[1],
                    "used_old": used[0][j],
                    "used_new": used[1][j],
                    "lost": lost,
                    "won": won,
                }
            )
        return found


def compare(old: Confirmed, new: Confirmed) -> Comparison:
    """Match the instances of two campaigns by their hashes; the newer one's labels count.

    Raises:
        InputError: options differ, or no instance is in both.
    """
    if not alike(old.about["options"], new.about["options"]):
        raise InputError(
            f"{old.directory}: was run with other options "
            f"({_difference(old.about['options'], new.about['options'])}), so its explanations "
            "cannot be compared; run it again with the same"
        )
    by_instance = {row.instance: row for row in old.rows}
    pairs = tuple(
        Pair(replace(by_instance[row.instance], label=row.label), row)
        for row in new.rows
        if row.instance in by_instance
    )
    if not pairs:
        raise InputError(f"{old.directory}: has no instance in common with {new.directory}")
    return Comparison(old, new, pairs)


def find_campaign(directory: Path) -> Path:
    """The campaign's directory: the one given, or ``campaign`` inside a gate's."""
    inside = directory / "campaign"
    return inside if not (directory / LEDGER).is_file() and inside.is_dir() else directory


def compare_directories(
    old: Path,
    new: Path,
    *,
    old_model: Path | None = None,
    new_model: Path | None = None,
    instances: Instances | None = None,
) -> Comparison:
    """See :func:`compare`. Both campaigns are found out again.

    Args:
        old: directory of a campaign or gate.
        new: likewise.
        old_model: the network of ``old``; by default the file that it names.
        new_model: likewise.
        instances: the data; None: labels are as stored, and predictions are the certificates'.

    Raises:
        InputError: likewise, or a directory holds no campaign, or a network is not there.
    """
    found = []
    for where, model, option in ((old, old_model, "--old-model"), (new, new_model, "--new-model")):
        campaign = read_campaign(find_campaign(where))
        network = network_of(campaign, model, option)
        found.append(confirm(campaign, network, instances))
    return compare(*found)


def _identity(campaign: Confirmed) -> dict[str, Any]:
    return {
        "model": campaign.model.name,
        "sha256": campaign.model.sha256,
        "head_sha256": campaign.model.head_sha256,
        "instances": len(campaign.rows),
        "states": campaign.states,
    }


def _difference(old: dict[str, Any], new: dict[str, Any]) -> str:
    asked = {*old, *new} - {"compare"}
    names = sorted(name for name in asked if old.get(name) != new.get(name))
    return ", ".join(f"{name}: {old.get(name)} then, {new.get(name)} now" for name in names)
