"""What a campaign is about, and what of it is left to do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from protoproof.campaign.executor import Earlier, Task
from protoproof.campaign.instances import Instances
from protoproof.campaign.model_identity import ModelFacts, model_facts
from protoproof.campaign.options import CampaignOptions
from protoproof.campaign.record import Options, result_key, versions
from protoproof.campaign.regions import domain_words, region_key, wording
from protoproof.campaign.store import Ledger, Planned
from protoproof.network import Network
from protoproof.network.recorded import input_digest


@dataclass(frozen=True, eq=False)
class Plan:
    """A network, instances, and what is asked of them.

    Attributes:
        network: the network.
        instances: the data.
        asked: what is asked.
        chosen: indices of the instances.
        facts: what identifies the network.
        regions: per region as users write it, the words that a certificate about it has to use.
        domain: of the explanations, in a certificate's words.
    """

    network: Network
    instances: Instances
    asked: CampaignOptions
    chosen: Sequence[int]
    facts: ModelFacts
    regions: dict[str, str]
    domain: str

    @cached_property
    def planned(self) -> list[Planned]:
        """Every chosen instance with the key of its result."""
        found = []
        for index in self.chosen:
            digest = input_digest(self._input(index))
            key = result_key(self.facts.key, digest, self.asked.options)
            found.append(Planned(index, int(self.instances.y[index]), digest, key))
        return found

    @property
    def total(self) -> int:
        """How many results there will be."""
        return len(self.chosen) * (1 + len(self.regions))

    @property
    def about(self) -> dict[str, Any]:
        """What the ledger keeps of it."""
        return {
            # for reports; not a part of the summary, which is equal wherever the files lie
            "where": {
                "model": str(self.network.path.resolve()),
                "data": self.instances.source,
                "preprocess": self.network.pixels.text,
            },
            "data": {"name": self.instances.name, "sha256": self.instances.sha256},
            "selection": self.asked.selection.to_json(),
            "options": self.asked.options.to_json(),
            "versions": versions(),
            "regions": self.regions,
            "domain": self.domain,
            "model": self.facts.sha256,
        }

    def open_tasks(self, ledger: Ledger, known: dict[str, Earlier]) -> list[tuple[Task, int]]:
        """What is left to do, and for how many planned instances; equal inputs are one task.

        Args:
            ledger: what is done.
            known: results of an earlier campaign that may carry over, by instance.
        """
        return [*self._explanations(ledger, known), *self._certifications(ledger)]

    def _input(self, index: int) -> NDArray[np.float32]:
        network = self.network
        return self.instances.input(index, network.pixels)

    def _explanations(self, ledger: Ledger, known: dict[str, Earlier]) -> list[tuple[Task, int]]:
        counts, tasks = Counter(plan.key for plan in self.planned), dict[str, Task]()
        for plan in self.planned:
            record = ledger.result(plan.key)
            if plan.key in tasks or (record is not None and record.settled(self.asked.limits)):
                continue
            x = self._input(plan.index)
            tasks[plan.key] = Task(
                plan.key,
                plan.index,
                x,
                known.get(plan.instance),
                name=self.instances.input_name(plan.index),
            )
        return [(task, counts[key]) for key, task in tasks.items()]

    def _certifications(self, ledger: Ledger) -> list[tuple[Task, int]]:
        counts = Counter(plan.instance for plan in self.planned)
        tasks = dict[str, tuple[Task, int]]()
        for name, text in self.regions.items():
            for plan in self.planned:
                key = region_key(self.facts.key, plan.instance, text)
                record = ledger.region(key)
                if key in tasks or (record is not None and record.settled(self.asked.limits)):
                    continue
                x = self._input(plan.index)
                called = self.instances.input_name(plan.index)
                task = Task(key, plan.index, x, region=name, name=called)
                tasks[key] = task, counts[plan.instance]
        return list(tasks.values())


def make_plan(network: Network, instances: Instances, asked: CampaignOptions) -> Plan:
    """The plan, once all that could be refused has been.

    Raises:
        UsageError: a region that a campaign cannot use, or instances that are not there.
        InputError: data that does not fit the network.
    """
    instances = instances.fit(network.class_names, network.about.classes_stated)
    instances.require_taken(network.pixels)
    chosen = asked.selection.choose(instances)
    network.labels(asked.options.label)
    if asked.regions:
        from protoproof.certification.certify import require_bounded  # loads torch

        # before any work is done: no instance would have an answer
        require_bounded(network)
    domain = domain_words(asked.options.domain, network)
    facts, regions = model_facts(network), wording(asked.regions, network)
    return Plan(network, instances, asked, chosen, facts, regions, domain)


def earlier_results(directory: Path, facts: ModelFacts, options: Options) -> dict[str, Earlier]:
    """Proved results of another campaign on an equal head with equal options, by instance."""
    with Ledger.read(directory) as ledger:
        about, model = ledger.about(), ledger.model()
        same = about["options"] == options.to_json() and model.head_sha256 == facts.head_sha256
        if not same:
            return {}
        found = {}
        for row in ledger.rows():
            content = ledger.certificate(row.key, row.record)
            others = ledger.others(row.key, row.record)
            if row.record.state == "proved" and content is not None and others is not None:
                found[row.instance] = Earlier(row.record, content, others)
        return found
