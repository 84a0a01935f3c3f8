"""A campaign found out again, instance by instance: what gates, comparisons and reports tell."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from protoproof.campaign.instances import Instances, Selection
from protoproof.campaign.model_identity import model_facts
from protoproof.campaign.places import certificate_path
from protoproof.campaign.recheck import FOREIGN, Complaint, Rechecked, Rechecker, Seen
from protoproof.campaign.record import HeadKey, Options, Record, Row, result_key
from protoproof.campaign.regions import RegionRecord, region_key, wording
from protoproof.campaign.result import Campaign
from protoproof.campaign.summary import FOUND_AGAIN, is_certified, summary
from protoproof.errors import InputError
from protoproof.network import Network

Watch = Callable[[Row, Rechecked | None], None]


@dataclass(frozen=True, eq=False)
class Confirmed(Campaign):
    """A campaign of which nothing is the ledger's word, except why something is not proved.

    Attributes:
        complaints: by key of a row or of a region's result, why what is stored does not count.
        assumptions: what the accepted certificates still rest on.
        labelled: inputs and labels are the data's, and ONNX Runtime ran. Otherwise the data was
            not at hand: labels are as stored, and a prediction is a certificate's.
    """

    complaints: dict[str, Complaint] = field(default_factory=dict)
    assumptions: frozenset[str] = frozenset()
    labelled: bool = True

    @property
    def summary(self) -> dict[str, Any]:
        """As ``summary.json``, and true."""
        return summary(self.about, self.model, self.rows, self.regions, FOUND_AGAIN)

    @property
    def proved(self) -> tuple[Row, ...]:
        """The instances whose explanation is proved."""
        return tuple(row for row in self.rows if row.record.state == "proved")

    def certified(self, region: str, row: Row) -> bool:
        """Whether ``row`` is predicted right, and provably so over the region around it."""
        return is_certified(row, self.regions[region][row.key])

    def unused_prototypes(self) -> dict[int, str]:
        """Prototypes that do nothing over the instances, and why.

        One has the same weight for every class, so that no margin depends on it; or it is neither
        the most activated prototype of any instance nor named by any explanation. Explanations
        alone would be too narrow: they are minimal, and name one prototype where several would do.
        """
        used = {j for row in self.rows for j in row.record.prototypes}
        used |= {row.record.top for row in self.rows if row.record.top is not None}
        found = dict.fromkeys(range(self.model.prototypes), "")
        for j in found:
            if j in self.model.idle:
                found[j] = "has the same weight for every class"
            elif j not in used:
                found[j] = "is the best match of no instance, and no explanation names it"
        return {j: why for j, why in found.items() if why}


@dataclass(frozen=True, eq=False)
class _Place:
    """One instance to look at: ``row`` holds what is told of it, if anything is."""

    row: Row
    seen: Seen


def confirm(
    campaign: Campaign,
    network: Network,
    instances: Instances | None,
    *,
    chosen: Sequence[int] | None = None,
    regions: Collection[str] | None = None,
    vocabularies: Collection[str] | None = None,
    only_known: bool = False,
    watch: Watch = lambda row, found: None,
) -> Confirmed:
    """Find out again what a campaign tells: one forward pass and one check per instance.

    Args:
        campaign: as its directory has it.
        network: the network that it is about.
        instances: the data; None where it is not at hand, see :class:`Confirmed`.
        chosen: which of the data; by default those that the plan chooses.
        regions: over which; by default those that the plan names.
        vocabularies: whose sizes are of interest; all by default.
        only_known: leave out instances of which the directory holds nothing at all.
        watch: is called with every row and its certificate, in order.

    Raises:
        InputError: another network or head, or data that does not fit it.
        UsageError: the plan names options or regions that do not exist.
    """
    facts = model_facts(network)
    if facts.sha256 != campaign.model.sha256:
        raise InputError(f"{campaign.directory}: is about another network (sha256 differs)")
    if facts.key.head != campaign.model.key.head:
        raise InputError(f"{campaign.directory}: is about another head of the network")
    options = Options(**campaign.about["options"])
    words = wording(list(campaign.about["regions"] if regions is None else regions), network)
    again = Rechecker(campaign.directory, network, options)
    if instances is not None:
        instances = instances.fit(network.class_names, network.about.classes_stated)
    places = _places(campaign, again, facts.key, instances, options, chosen, only_known)
    names = options.vocabularies if vocabularies is None else vocabularies
    told = {name: campaign.regions.get(name, {}) for name in words}
    found = _Found(campaign, again, facts.key, words, told, names)
    for place in places:
        watch(*found.add(place))
    return Confirmed(
        campaign.directory,
        campaign.about | {"regions": words} | _read(instances),
        facts,
        tuple(found.rows),
        found.regions,
        campaign.computed,
        campaign.reused,
        campaign.carried,
        campaign.stopped,
        campaign.healed,
        found.complaints,
        frozenset(found.assumptions),
        instances is not None,
    )


def _read(instances: Instances | None) -> dict[str, Any]:
    """The data that was read, whatever the directory says that it was about."""
    if instances is None:
        return {}
    return {"data": {"name": instances.name, "sha256": instances.sha256}}


class _Found:
    """What has been found out so far."""

    def __init__(
        self,
        campaign: Campaign,
        again: Rechecker,
        head: HeadKey,
        words: dict[str, str],
        told: dict[str, dict[str, RegionRecord]],
        vocabularies: Collection[str],
    ) -> None:
        self._again, self._words, self._head = again, words, head
        self._made_with = campaign.about["versions"]
        self._told, self._vocabularies = told, vocabularies
        self._hints = {row.key: row.record for row in campaign.rows}
        self.rows: list[Row] = []
        self.regions: dict[str, dict[str, RegionRecord]] = {name: {} for name in words}
        self.complaints: dict[str, Complaint] = {}
        self.assumptions: set[str] = set()

    def add(self, place: _Place) -> tuple[Row, Rechecked | None]:
        """Look at one instance and the regions around it."""
        key, seen = place.row.key, place.seen
        if place.row.record.reason == FOREIGN:
            return self._foreign(place.row), None
        hint = self._hints.get(key)
        record, found = self._again.explanation(key, seen, hint, self._vocabularies)
        row = replace(place.row, record=record)
        self.rows.append(row)
        self._keep(key, found)
        for name in self._words:
            self._region(name, row, seen)
        return row, found

    def _foreign(self, row: Row) -> Row:
        """Nothing is known about an input that is not the one that the plan means."""
        self.rows.append(row)
        for name, words in self._words.items():
            record = RegionRecord(self._region_key(row, words), "not_run", FOREIGN)
            self.regions[name][row.key] = record
        return row

    def _region_key(self, row: Row, words: str) -> str:
        return region_key(self._head, row.instance, words, self._made_with)

    def _region(self, name: str, row: Row, seen: Seen) -> None:
        words = self._words[name]
        key = self._region_key(row, words)
        told = self._told[name].get(row.key)
        record, found = self._again.region(key, name, words, seen, told)
        self.regions[name][row.key] = record
        self._keep(key, found)

    def _keep(self, key: str, found: Rechecked | None) -> None:
        if found is not None and found.complaint is not None:
            self.complaints[key] = found.complaint
        elif found is not None and found.report is not None:
            self.assumptions.update(found.report.assumptions)


def _places(
    campaign: Campaign,
    again: Rechecker,
    head: HeadKey,
    instances: Instances | None,
    options: Options,
    chosen: Sequence[int] | None,
    only_known: bool,
) -> Iterator[_Place]:
    """The instances, each once, under the keys that they must have."""
    told: dict[int, Row] = {}
    for row in campaign.rows:
        if row.label >= len(again.network.class_names):
            raise InputError(f"{campaign.directory}: instance {row.index} has an impossible label")
        told.setdefault(row.index, row)  # an instance that is planned twice counts once
    known, made_with = {row.key for row in campaign.rows}, campaign.about["versions"]
    if instances is None:
        for row in told.values():
            # the name of a result is computed, not read: names lead nowhere else
            key = result_key(head, row.instance, options, made_with)
            yield _Place(replace(row, key=key), Seen(row.instance))
        return
    for index in _chosen(campaign, instances) if chosen is None else chosen:
        old = told.get(index)
        if index >= len(instances.y):  # an index of the plan
            yield _Place(_foreign(told[index]), Seen(told[index].instance, trouble=FOREIGN))
            continue
        network = again.network
        seen = again.see(instances.input(index, network.pixels))
        key = result_key(head, seen.digest, options, made_with)
        there = key in known or os.path.lexists(certificate_path(campaign.directory, key))
        if only_known and not there:
            continue
        label, file = int(instances.y[index]), instances.file(index)
        row = Row(index, label, seen.digest, key, Record("not_run"), file)
        # an earlier campaign of other data may well number its inputs in another way
        differs = chosen is None and old is not None and old.instance != seen.digest
        yield _Place(_foreign(row) if differs else row, seen)


def _foreign(row: Row) -> Row:
    return replace(row, record=Record("not_run", FOREIGN))


def _chosen(campaign: Campaign, instances: Instances) -> Sequence[int]:
    """The plan's choice made again, where the data is the plan's; else what it lists."""
    choice = campaign.about["selection"]
    if choice["kind"] != "listed" and campaign.about["data"]["sha256"] == instances.sha256:
        selection = Selection(choice.get("per_class"), choice.get("seed", 0))
        return selection.choose(instances)
    return tuple(dict.fromkeys(row.index for row in campaign.rows))
