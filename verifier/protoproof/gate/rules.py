"""The rules, one function each: a confirmed campaign and a limit in, a check out.

What a campaign's directory says of itself reaches no rule: rules take campaigns that were found out
again, and of these only ``reason`` and the kind of an unproved state are the ledger's words.

Statistics of explanations are over the proved ones; how many may be missing is the business of the
rule ``undecided``. Where a prediction is unknown, an accuracy is an interval, and a limit inside
it is undecided.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from protoproof.campaign import Confirmed, Row
from protoproof.gate.compare import Comparison
from protoproof.gate.first_release import first_release
from protoproof.gate.machine_checked import Objection
from protoproof.gate.outcome import Check, Finding, Outcome
from protoproof.gate.policy import (
    Accuracy,
    AtLeast,
    AtMostCount,
    AtMostShare,
    BaselineRules,
    CertifiedAccuracy,
    Duplicates,
    Rules,
    Vacuous,
)
from protoproof.gate.sizes import referral, sizes

if TYPE_CHECKING:
    from protoproof.gate.policy_file import Place


def checks(
    rules: Rules, campaign: Confirmed, objections: Mapping[str, Objection] | None = None
) -> Iterator[Check]:
    """Every check that the policy asks for, except those about a baseline.

    ``objections``: of the machine-checked kernel, by key of a row; None where it was not asked.
    """
    if rules.accuracy is not None:
        yield from _accuracy(rules.accuracy, campaign)
    for number, region in enumerate(rules.certified_accuracy or ()):
        yield _certified(region, number, campaign)
    for number, size in enumerate(rules.explanation_size or ()):
        yield from sizes(size, number, campaign)
    if rules.referral is not None:
        yield referral(rules.referral, campaign)
    if rules.witness_share is not None:
        yield _witnesses(rules.witness_share, campaign)
    if rules.vacuous is not None:
        yield _vacuous(rules.vacuous, campaign)
    if rules.ambiguous is not None:
        yield _ambiguous(rules.ambiguous, campaign)
    if rules.contradictory_prototypes is not None:
        yield _contradictory(rules.contradictory_prototypes, campaign)
    if rules.unused_prototypes is not None:
        yield _unused(rules.unused_prototypes, campaign)
    if rules.duplicate_prototypes is not None:
        yield _duplicates(rules.duplicate_prototypes, campaign)
    if rules.certificates is not None:
        yield _certificates(campaign)
        if rules.certificates.level == "F":
            yield _level(campaign)
        if rules.certificates.kernel == "required":
            yield _kernel(campaign, objections)
    yield _undecided(rules.undecided, campaign)


def baseline_checks(rules: BaselineRules, found: Comparison | None) -> Iterator[Check]:
    """The checks about a baseline; None: there is no earlier campaign to compare with."""
    if found is None:
        yield from first_release(rules)
        return
    if rules.lost_proofs is not None:
        lost = tuple(
            Finding(
                f"was proved with {pair.old.record.size} facts, is {pair.new.record.state} now"
                + (f": {pair.new.record.reason}" if pair.new.record.reason else ""),
                instance=pair.new.index,
            )
            for pair in found.pairs
            if pair.change == "lost"
        ) + tuple(
            Finding(f"was certified over {name}, is {state} now", instance=row.index)
            for row, name, state in found.lost_regions()
        )
        yield _counted("lost_proofs", lost, rules.lost_proofs.at_most, "baseline.lost_proofs")
    if rules.drift is not None:
        yield _drift(rules.drift, found)
    if rules.class_loss is not None:
        yield _class_loss(rules.class_loss, found)


def _drift(rule: AtMostShare, found: Comparison) -> Check:
    drifts = [(pair, pair.drift) for pair in found.pairs if pair.drift is not None]
    place = ("rules", "baseline", "drift", "at_most")
    limit = f"a mean of at most {rule.at_most:g}"
    if not drifts:
        return Check("drift", place, "undecided", "no instance is proved in both", limit)
    mean = sum(drift for _, drift in drifts) / len(drifts)
    moved = tuple(
        Finding(f"Jaccard distance {drift:.3f}", instance=pair.new.index)
        for pair, drift in sorted(drifts, key=lambda item: -item[1])
        if drift > rule.at_most
    )
    words = f"mean Jaccard distance {mean:.4f} over {len(drifts)} instances"
    return Check("drift", place, _status(mean <= rule.at_most), words, limit, moved)


def _class_loss(rule: AtMostShare, found: Comparison) -> Check:
    losses = []
    for class_, name in enumerate(found.new.model.classes):
        count, before, after = found.correct(class_)
        if count:
            losses.append(((before - after) / count, class_, name))
    worst = max(losses)
    findings = tuple(
        Finding(f"class {name}, predicted right then and not now", instance=pair.new.index)
        for loss, class_, name in losses
        if loss > rule.at_most
        for pair in found.pairs
        if pair.new.label == class_ and pair.old.correct is True and pair.new.correct is not True
    )
    words = f"class {worst[2]} loses {max(worst[0], 0.0):.2%} of its instances"
    place = ("rules", "baseline", "class_loss", "at_most")
    status = _status(worst[0] <= rule.at_most)
    return Check("class_loss", place, status, words, f"at most {rule.at_most:.2%}", findings)


def _accuracy(rule: Accuracy, campaign: Confirmed) -> Iterator[Check]:
    wrong = tuple(_wrong(row, campaign) for row in campaign.rows if row.correct is not True)
    if rule.at_least is not None:
        low, high, words = _share_right(campaign.rows)
        place = ("rules", "accuracy", "at_least")
        status = _between(low, high, rule.at_least)
        yield Check("accuracy", place, status, words, f"at least {rule.at_least:.2%}", wrong)
    if rule.per_class_at_least is None:
        return
    limit = rule.per_class_at_least
    statuses: list[Outcome] = []
    worst, findings = (math.inf, ""), []
    for class_, name in enumerate(campaign.model.classes):
        own = [row for row in campaign.rows if row.label == class_]
        if not own:
            continue
        low, high, words = _share_right(own)
        statuses.append(_between(low, high, limit))
        worst = min(worst, (low, f"class {name}: {words}"))
        if statuses[-1] != "passed":
            findings += [_wrong(row, campaign) for row in own if row.correct is not True]
    overall = max(statuses, key=("passed", "undecided", "failed").index)
    place = ("rules", "accuracy", "per_class_at_least")
    limit_words = f"at least {limit:.2%} in every class"
    yield Check("accuracy", place, overall, worst[1], limit_words, tuple(findings))


def _wrong(row: Row, campaign: Confirmed) -> Finding:
    names = campaign.model.classes
    if row.record.predicted is None:
        return Finding(f"no prediction: {row.record.state}, {row.record.reason}", row.index)
    seen, label = names[row.record.predicted], names[row.label]
    return Finding(f"predicted {seen}, labelled {label}", row.index)


def _share_right(rows: Sequence[Row]) -> tuple[float, float, str]:
    right = sum(row.correct is True for row in rows)
    unknown = sum(row.correct is None for row in rows)
    words = f"{right} of {len(rows)} right ({right / len(rows):.2%})"
    if unknown:
        words += f", {unknown} without a prediction"
    return right / len(rows), (right + unknown) / len(rows), words


def _certified(rule: CertifiedAccuracy, number: int, campaign: Confirmed) -> Check:
    """What counts is a certificate that the checker accepts now, about this input and region."""
    found = campaign.regions[rule.region]
    certified = unknown = 0
    findings = []
    for row in campaign.rows:
        record = found[row.key]
        complaint = campaign.complaints.get(record.key)
        if campaign.certified(rule.region, row):
            certified += 1
        elif row.correct is False:
            findings.append(_wrong(row, campaign))
        elif record.state == "refuted":
            seen = campaign.model.classes[record.instead or 0]
            findings.append(Finding(f"an input of the region is predicted {seen}", row.index))
        elif complaint is not None and complaint.final:
            findings.append(Finding(complaint.text, row.index))
        else:  # nobody knows: it could be counted either way
            unknown += 1
            reason = f"{record.state}: {record.reason}" if record.reason else record.state
            findings.append(Finding(f"undecided over {rule.region} ({reason})", row.index))
    total = len(campaign.rows)
    words = f"{certified} of {total} certified over {rule.region} ({certified / total:.2%})"
    if unknown:
        words += f", {unknown} undecided"
    status = _between(certified / total, (certified + unknown) / total, rule.at_least)
    place = ("rules", "certified_accuracy", number, "at_least")
    limit = f"at least {rule.at_least:.2%}"
    return Check("certified_accuracy", place, status, words, limit, tuple(findings))


def _witnesses(rule: AtLeast, campaign: Confirmed) -> Check:
    facts = sum(row.record.size or 0 for row in campaign.proved)
    necessary = sum(row.record.necessary or 0 for row in campaign.proved)
    place, limit = ("rules", "witness_share", "at_least"), f"at least {rule.at_least:.2%}"
    if not facts:
        return Check("witness_share", place, "undecided", "no explanation is proved", limit)
    words = f"{necessary} of {facts} facts have a witness ({necessary / facts:.2%})"
    return Check("witness_share", place, _status(necessary / facts >= rule.at_least), words, limit)


def _vacuous(rule: Vacuous, campaign: Confirmed) -> Check:
    findings = tuple(
        Finding(f"{row.record.size} of at most {row.record.possible} facts", row.index)
        for row in campaign.proved
        if (row.record.size or 0) >= rule.share_of_possible * (row.record.possible or math.inf)
    )
    return _rated("vacuous", findings, rule.at_most, campaign, "need nearly every fact")


def _ambiguous(rule: AtMostShare, campaign: Confirmed) -> Check:
    """Facts without their values: the pointing that a reader of prototypes sees."""
    classes: dict[str | None, dict[int | None, int]] = defaultdict(dict)
    for row in campaign.proved:
        classes[row.record.signature].setdefault(row.record.predicted, row.index)
    findings = []
    for row in campaign.proved:
        others = {
            class_: index
            for class_, index in classes[row.record.signature].items()
            if class_ != row.record.predicted
        }
        for class_, index in list(others.items())[:1]:
            seen = campaign.model.classes[class_ or 0]
            text = f"names what instance {index} names, which is predicted {seen}"
            findings.append(Finding(text, row.index))
    words = "share their explanation with an instance of another class"
    return _rated("ambiguous", tuple(findings), rule.at_most, campaign, words)


def _contradictory(rule: AtMostCount, campaign: Confirmed) -> Check:
    model = campaign.model
    owners = model.prototype_class or ()
    findings = tuple(
        Finding(
            f"belongs to class {model.classes[owners[j]]}, but speaks at least as much for another",
            prototype=j,
        )
        for j in model.contradictory or ()
    )
    return _counted("contradictory_prototypes", findings, rule.at_most)


def _unused(rule: AtMostCount, campaign: Confirmed) -> Check:
    findings = tuple(Finding(why, prototype=j) for j, why in campaign.unused_prototypes().items())
    return _counted("unused_prototypes", findings, rule.at_most)


def _duplicates(rule: Duplicates, campaign: Confirmed) -> Check:
    findings = tuple(
        Finding(f"squared distance {distance:.3g} to prototype {other}", prototype=j)
        for j, (other, distance) in enumerate(campaign.model.nearest)
        if distance <= rule.squared_distance
    )
    return _counted("duplicate_prototypes", findings, rule.at_most)


def _certificates(campaign: Confirmed) -> Check:
    """Every certificate was read from its file and proved again, against the model's bytes."""
    told = [(row, campaign.complaints.get(row.key)) for row in campaign.rows]
    findings = tuple(Finding(found.text, row.index) for row, found in told if found is not None)
    accepted = len(campaign.proved)
    place, limit = ("rules", "certificates", "accepted"), "all accepted by the checker"
    words = f"{accepted} of {accepted + len(findings)} certificates accepted"
    if not accepted and not findings:
        return Check("certificates", place, "undecided", "there are no certificates", limit)
    final = any(found.final for _, found in told if found is not None)
    status: Outcome = "failed" if final else "undecided" if findings else "passed"
    return Check("certificates", place, status, words, limit, findings)


def _level(campaign: Confirmed) -> Check:
    """Every proved explanation is proved at level F."""
    findings = tuple(
        Finding("is proved at level R: float32 rounding is not covered", row.index)
        for row in campaign.proved
        if row.record.level != "F"
    )
    place, limit = ("rules", "certificates", "level"), "all at level F"
    if not campaign.proved:
        return Check("level", place, "undecided", "there are no certificates", limit)
    count = len(campaign.proved)
    words = f"{count - len(findings)} of {count} explanations at level F"
    return Check("level", place, _status(not findings), words, limit, findings)


def _kernel(campaign: Confirmed, objections: Mapping[str, Objection] | None) -> Check:
    """The machine-checked kernel proves every proved explanation's certificate."""
    place, limit = ("rules", "certificates", "kernel"), "all proved by the machine-checked kernel"
    count = len(campaign.proved)
    if not count or objections is None:
        words = "it was not asked" if count else "there are no certificates"
        return Check("kernel", place, "undecided", words, limit)
    told = [(row, objections.get(row.key)) for row in campaign.proved]
    findings = tuple(Finding(found.text, row.index) for row, found in told if found is not None)
    final = any(found.final for _, found in told if found is not None)
    status: Outcome = "failed" if final else "undecided" if findings else "passed"
    words = f"{count - len(findings)} of {count} explanations proved by it"
    return Check("kernel", place, status, words, limit, findings)


def _undecided(rule: AtMostShare, campaign: Confirmed) -> Check:
    findings = tuple(
        Finding(f"{row.record.state}: {row.record.reason}", row.index)
        for row in campaign.rows
        if row.record.state != "proved"
    )
    share = len(findings) / len(campaign.rows)
    states = ", ".join(
        f"{count} {state}"
        for state, count in campaign.states.items()
        if count and state != "proved"
    )
    words = f"{len(findings)} of {len(campaign.rows)} not proved ({share:.2%}"
    words += f": {states})" if states else ")"
    place: Place = ("rules", "undecided", "at_most")
    status: Outcome = "passed" if share <= rule.at_most else "undecided"
    return Check("undecided", place, status, words, f"at most {rule.at_most:.2%}", findings)


def _status(good: bool) -> Outcome:
    return "passed" if good else "failed"


def _between(low: float, high: float, at_least: float) -> Outcome:
    """Where the true value is only known to lie in [low, high]."""
    return "passed" if low >= at_least else "failed" if high < at_least else "undecided"


def _counted(
    rule: str, findings: tuple[Finding, ...], at_most: int, section: str | None = None
) -> Check:
    place = ("rules", *(section or rule).split("."), "at_most")
    words = f"{len(findings)} found"
    status = _status(len(findings) <= at_most)
    return Check(rule, place, status, words, f"at most {at_most}", findings)


def _rated(
    rule: str, findings: tuple[Finding, ...], at_most: float, campaign: Confirmed, what: str
) -> Check:
    """A share of the proved explanations."""
    place, limit = ("rules", rule, "at_most"), f"at most {at_most:.2%}"
    total = len(campaign.proved)
    if not total:
        return Check(rule, place, "undecided", "no explanation is proved", limit)
    share = len(findings) / total
    words = f"{len(findings)} of {total} explanations {what} ({share:.2%})"
    return Check(rule, place, _status(share <= at_most), words, limit, findings)
