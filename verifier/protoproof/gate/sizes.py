"""The rules about how long explanations are: bounds of their sizes, and who is sent to a person.

Wrong predictions mostly need longer explanations than right ones (``campaign.signal`` measures by
how much), so a size is a reason to look, whatever the label. Whom the rule sends is a list, and no
complaint. What was not proved has no size, and is looked at, too.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator

from protoproof.campaign import Confirmed, Row
from protoproof.campaign.record import Record
from protoproof.campaign.summary import percentile
from protoproof.gate.outcome import Check, Finding, Outcome
from protoproof.gate.policy import ExplanationSize, Referral
from protoproof.length import size_words


def sizes(rule: ExplanationSize, number: int, campaign: Confirmed) -> Iterator[Check]:
    """A proved instance without a proof in this vocabulary counts as infinitely large."""
    for option in sorted(rule.model_fields_set - {"vocabulary"}):
        limit = getattr(rule, option)
        if limit is None:
            continue
        name = "median" if "median" in option else "p95"
        key, unit = ("numbers",) * 2 if option.startswith("numbers") else ("size", "facts")
        found = [(_size(row, rule.vocabulary, key), row) for row in campaign.proved]
        place = ("rules", "explanation_size", number, option)
        words = f"{name} of at most {limit:g} {unit} ({rule.vocabulary})"
        if not found:
            yield Check("explanation_size", place, "undecided", "nothing is proved", words)
            continue
        values = [size for size, _ in found]
        value = statistics.median(values) if name == "median" else percentile(values, 0.95)
        large = sorted((item for item in found if item[0] > limit), key=lambda item: -item[0])
        none = f"no proof in {rule.vocabulary}"
        findings = tuple(
            Finding(none if size == math.inf else f"{size:g} {unit}", row.index)
            for size, row in large
        )
        measured = f"{rule.vocabulary}: {name} {value:g} {unit} over {len(values)} explanations"
        status: Outcome = "passed" if value <= limit else "failed"
        yield Check("explanation_size", place, status, measured, words, findings)


def _size(row: Row, vocabulary: str, key: str) -> float:
    size = row.record.sizes.get(vocabulary, {}).get(key)
    return math.inf if size is None else float(size)


def referral(rule: Referral, campaign: Confirmed) -> Check:
    """Who is to be looked at, and how many of the wrong predictions are among them."""
    told = {row.key: _why_referred(rule, row.record) for row in campaign.rows}
    sent = {key: why for key, why in told.items() if why is not None}
    rows = [row for row in campaign.rows if row.key in sent]
    wrong = sum(row.correct is False for row in campaign.rows)
    caught = sum(row.correct is False for row in rows)
    share = len(rows) / len(campaign.rows)
    words = f"{len(rows)} of {len(campaign.rows)} sent to a person ({share:.2%}), "
    words += f"{caught} of {wrong} wrong predictions among them"
    over = {"facts": rule.facts_over, "numbers": rule.numbers_over}
    limits = " or ".join(f"{n} {unit}" for unit, n in over.items() if n is not None)
    limit = f"a person for more than {limits}"
    last = "facts_over" if rule.facts_over is not None else "numbers_over"
    if rule.at_most is not None:
        limit, last = f"{limit}, at most {rule.at_most:.2%} of all", "at_most"
    findings = tuple(Finding(sent[row.key], row.index) for row in rows)
    status: Outcome = "passed"
    if rule.at_most is not None and share > rule.at_most:
        status = "failed"
    return Check("referral", ("rules", "referral", last), status, words, limit, findings)


def _why_referred(rule: Referral, record: Record) -> str | None:
    """Why a person is to look at an instance; None where nobody is."""
    if record.state != "proved" or record.size is None:
        return f"not proved ({record.state})"
    facts, read = rule.facts_over, rule.numbers_over
    long = facts is not None and record.size > facts
    # an old result does not say how much there is to read: a person may find out
    heavy = read is not None and (record.numbers is None or record.numbers > read)
    return f"proved by {size_words(record.size, record.numbers)}" if long or heavy else None
