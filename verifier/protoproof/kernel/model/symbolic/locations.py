"""The locations of a head: which elements of the latents they are, in a canonical order."""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from protoproof.errors import ModelError
from protoproof.kernel.budget import OPERATION, spend
from protoproof.kernel.model.symbolic.tables import Feature, Tables

Elements = tuple[int, ...]


@dataclass(frozen=True)
class Locations:
    """The locations of all banks, one bank after the other.

    Attributes:
        sites: [L][D] flat indices over all cuts one after the other.
        cut: [L], of which cut each location is.
        location_bank, feature_bank: the bank of each location and feature.
        coordinate: per feature, the channel that alone is measured; -1: all of them.
        floor, added: an angular geometry divides by max(sqrt(|z|^2 + added), floor).
        zero: whether it makes 0 of a zero vector even where that is 0.
    """

    sites: tuple[Elements, ...]
    cut: tuple[int, ...]
    location_bank: tuple[int, ...]
    feature_bank: tuple[int, ...]
    coordinate: tuple[int, ...]
    floor: Fraction = Fraction(0)
    added: Fraction = Fraction(0)
    zero: bool = True

    @property
    def channels(self) -> int:
        return len(self.sites[0])


def locate(tables: Tables, features: Sequence[Feature], ends: Sequence[int]) -> Locations:
    """The locations of features; ``ends``: where the cuts end among the flat indices.

    Raises:
        ModelError: locations of several kinds, or that overlap between features.
    """
    used = dict.fromkeys(f.group for f in features)
    spend("the locations", 4 * OPERATION * sum(len(tables.groups[g]) for g in used))
    floor = _floor(tables, features)
    keyed = {g: tuple(sorted(tables.sites[s].elements for s in tables.groups[g])) for g in used}
    alone = all(len(site) == 1 for sites in keyed.values() for site in sites)
    if alone and floor is None and not any(tables.rows[f.row].square for f in features):
        return _channels([keyed[f.group] for f in features], ends)
    groups = sorted(dict.fromkeys(keyed.values()), key=lambda g: _cut(g[0], ends))
    numbers = {group: number for number, group in enumerate(groups)}
    bank = {group: numbers[sites] for group, sites in keyed.items()}  # long keys, once each
    sites = tuple(site for group in groups for site in group)
    if len(set(sites)) != len(sites):
        raise ModelError("model: prototypes are pooled over locations that overlap in part")
    if len({len(site) for site in sites}) != 1:
        raise ModelError("model: locations of different numbers of channels")
    return Locations(
        sites,
        tuple(_cut(site, ends) for site in sites),
        tuple(number for number, group in enumerate(groups) for _ in group),
        tuple(bank[f.group] for f in features),
        (-1,) * len(features),
        *(floor or ()),
    )


def _cut(site: Elements, ends: Sequence[int]) -> int:
    """The cut of a location.

    Raises:
        ModelError: it lies in several.
    """
    if not site:
        raise ModelError("model: a measurement of no element of the latent")
    first, last = (bisect.bisect_right(ends, element) for element in (site[0], site[-1]))
    if first != last:
        raise ModelError("model: a location across several latents")
    return first


def _floor(tables: Tables, features: Sequence[Feature]) -> tuple[Fraction, Fraction, bool] | None:
    """Floor and addend of the norms that divide measurements, and what they make of zero vectors;
    None where nothing does.

    Raises:
        ModelError: some are divided and others not, or by other norms than their own.
    """
    floors: set[tuple[Fraction, Fraction, bool] | None] = set()
    for number in {s for g in {f.group for f in features} for s in tables.groups[g]}:
        site = tables.sites[number]
        if site.norm < 0:
            floors.add(None)
            continue
        norm = tables.norms[site.norm]
        if tables.sites[norm.site].elements != site.elements:
            raise ModelError("model: a location is divided by the norm of another")
        floors.add((norm.floor, norm.added, norm.zero))
    if len(floors) > 1:
        raise ModelError("model: locations are divided by norms of several kinds")
    return floors.pop()


def _channels(groups: Sequence[tuple[Elements, ...]], ends: Sequence[int]) -> Locations:
    """Every feature measures one channel: the k-th elements of all channels are one location."""
    order = sorted(set(groups), key=lambda g: g[0])
    parts: dict[int, list[tuple[Elements, ...]]] = {}
    for group in order:
        cuts = {_cut(site, ends) for site in group}
        if len(cuts) != 1:
            raise ModelError("model: a channel across several latents")
        parts.setdefault(cuts.pop(), []).append(group)
    sites: list[Elements] = []
    cut, bank, place = [], [], {}
    for number, (which, channels) in enumerate(sorted(parts.items())):
        lengths = {len(group) for group in channels}
        found = [tuple(site[0] for site in column) for column in zip(*channels, strict=False)]
        if len(lengths) != 1 or any(list(site) != sorted(set(site)) for site in found):
            raise ModelError("model: channels at different locations")
        if found != sorted(found) or len({e for s in found for e in s}) != sum(map(len, found)):
            raise ModelError("model: channels whose locations overlap")
        for coordinate, group in enumerate(channels):
            place[group] = number, coordinate
        sites += found
        cut += [which] * len(found)
        bank += [number] * len(found)
    if len({len(site) for site in sites}) != 1:
        raise ModelError("model: locations of different numbers of channels")
    return Locations(
        tuple(sites), tuple(cut), tuple(bank),
        tuple(place[group][0] for group in groups), tuple(place[group][1] for group in groups),
    )  # fmt: skip
