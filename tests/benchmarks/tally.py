"""One network, input after input: all vocabularies, the checker's word, the comparison rules."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from protoproof.certificate.canonical import canonical_bytes
from protoproof.explanation.explainer import Explainer
from protoproof.explanation.options import ExplainOptions
from protoproof.explanation.result import Explanation
from protoproof.kernel import ModelFile, check
from tests.benchmarks.measure import share, spread
from tests.benchmarks.rules import results


@dataclass
class Rule:
    """Facts of a comparison rule, and ours on the same inputs, those that it explains."""

    theirs: list[int] = field(default_factory=list)
    ours: list[int] = field(default_factory=list)

    def row(self) -> dict[str, Any]:
        """Means over those inputs, and how many they are."""
        return {
            "facts_mean": round(statistics.fmean(self.theirs), 2),
            "ours_mean": round(statistics.fmean(self.ours), 2),
            "images": len(self.theirs),
        }


@dataclass
class Tally:
    """What was seen of one network. ``open``: per input without a certificate, the reason."""

    images: int = 0
    sizes: dict[str, list[int]] = field(default_factory=dict)
    smallest: list[int] = field(default_factory=list)
    rules: dict[str, Rule] = field(default_factory=dict)
    facts: int = 0
    necessary: int = 0
    accepted: int = 0
    open: dict[int, str] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    check_seconds: list[float] = field(default_factory=list)

    def row(self) -> dict[str, Any]:
        """The columns that do not depend on where the network comes from."""
        mean = {word: statistics.fmean(sizes) for word, sizes in self.sizes.items() if sizes}
        rules = {name: rule.row() for name, rule in self.rules.items() if rule.theirs}
        return {
            "images": self.images,
            "proved": self.accepted,
            "vocabularies": ", ".join(f"{word} {size:.1f}" for word, size in mean.items()),
            **spread(self.smallest),
            "rules": rules,
            "baseline": hardest(rules),
            "necessary_share": share(self.necessary, self.facts),
            "seconds": _median(self.seconds),
            "check_s": _median(self.check_seconds),
            "open": self.open,
        }


def hardest(rules: dict[str, dict[str, Any]]) -> str | None:
    """The comparison rule that needs least next to ours, on the inputs that it explains."""
    if not rules:
        return None
    return min(rules, key=lambda name: rules[name]["facts_mean"] / rules[name]["ours_mean"])


def tally(known: Explainer, inputs: Iterable[NDArray[np.float32]], paired: int) -> Tally:
    """Explain every input in all vocabularies, with witnesses, and check each certificate again,
    as a stranger would: from its bytes, against the model's bytes read anew.

    Args:
        known: the network.
        inputs: what to explain.
        paired: how many of them the comparison rules by pairs are asked about; on a fine grid they
            take far longer than all the rest.
    """
    seen = Tally()
    model = ModelFile(known.network.data, known.network.files)
    for index, x in enumerate(inputs):
        seen.images += 1
        started = time.process_time()
        result = known.explain(x)
        seen.seconds.append(time.process_time() - started)
        # what is timed certifies the smallest alone
        for attempt in known.explain(x, compare=True, witnesses=False).attempts:
            if attempt.size is not None:
                seen.sizes.setdefault(attempt.vocabulary, []).append(attempt.size)
        if result.certificate is None or not _accepted(seen, result, model):
            seen.open[index] = str(result.verdict)
            continue
        instance = known.instance(result.observation)
        domain = known.domain(ExplainOptions().domain, result.observation)
        for found in results(instance, domain, pairs=index < paired):
            rule = seen.rules.setdefault(found.rule, Rule())
            if found.facts is not None:
                rule.theirs.append(found.facts)
                rule.ours.append(result.size)
    return seen


def _accepted(seen: Tally, result: Explanation, model: ModelFile) -> bool:
    started = time.process_time()
    report = check(canonical_bytes(result.certificate), model)  # type: ignore[arg-type]
    seen.check_seconds.append(time.process_time() - started)
    if not report.accepted:
        return False
    seen.accepted += 1
    seen.smallest.append(result.size)
    seen.facts += result.size
    seen.necessary += len(report.necessary)
    return True


def _median(times: list[float]) -> float | None:
    return round(statistics.median(times), 4) if times else None
