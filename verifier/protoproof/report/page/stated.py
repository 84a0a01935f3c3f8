"""What a certificate states, in words, from the certificate alone: no model, no picture, no prover.

Prototypes and classes have numbers here, for their names stand in the model; and only what is
measured has a value, for similarities are the model's. Where the model is at hand, :mod:`.facts`
says the same facts with both.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from protoproof.certificate.input_region import InputRegion, KeptRegion
from protoproof.certificate.partition import InputCut, LightCut, UnitCut
from protoproof.certificate.schema import (
    ActivationFact,
    CeilingFact,
    Core,
    Fact,
    PairFact,
    ReachDomain,
)
from protoproof.kernel.encoder.input_region import describe
from protoproof.report.page.text import at_least, at_most, label, nearest
from protoproof.report.page.words import predicted_words, superfluous_words
from protoproof.wording import plural

_EXEMPT = 6  # exempt prototypes that a sentence names
_UNBOUNDED = 2.0**500  # files hold finite numbers: an end that nothing bounds
# What is measured, and the sign that turns what is stored into it.
_MEASURES = {
    "euclidean": ("squared distance", 1),
    "diagonal": ("weighted squared distance", 1),
    "linear": ("dot product", -1),
    "angular": ("cosine (times the prototype's length)", -1),
}


def region_of(core: Core) -> InputRegion | None:
    """The region of inputs that a certificate is about, or None."""
    if core.holds is not None:
        return core.holds
    return core.domain.region if isinstance(core.domain, ReachDomain) else None


def region_name(core: Core) -> str:
    """The region of a certificate in a few words, without its domain; "" where it has none."""
    region = region_of(core)
    return "" if region is None else describe(region).partition(" around ")[0].rstrip(",")


def class_words(core: Core, names: Sequence[str] = ()) -> str:
    """What the certificate says is predicted: a class or, where labels are, which are on."""
    if core.model.decision != "labels":
        return names[core.instance.predicted] if names else f"class {core.instance.predicted}"
    on = set(core.instance.labels)
    shown = (names[k] if names else f"label {k}" for k in core.rivals if k in on)
    return ", ".join(shown) or "none of the labels"


def headline(core: Core, predicted: str) -> str:
    """The claim in one sentence."""
    region, facts = region_of(core), len(core.facts)
    is_so = predicted_words(core, predicted)
    if region is not None and (core.holds is not None or not facts):
        why = f", because it meets {_the(facts)}" if facts else ""
        return f"Every input of the region {describe(region)} {is_so}{why}."
    met = f" that meets {_the(facts)}" if facts else ""
    return f"Every latent of the domain{met} {is_so}."


def _the(facts: int) -> str:
    return "the fact" if facts == 1 else f"the {facts:,} facts"


def fact_stated(fact: Fact, core: Core, uniform: bool | None = None) -> str:
    """One fact in a sentence.

    Args:
        fact: of ``core``.
        core: the certificate's.
        uniform: whether all prototypes have one similarity, so that a ceiling is about what is
            measured and not about activations; None where only the model could tell.
    """
    name, sign = _MEASURES[core.model.geometry]
    match fact:
        case PairFact():
            value = _range(fact.lower, fact.upper, sign)
            what = f"Location {fact.location} keeps its {name} to prototype {fact.prototype}"
            return f"{what}: {value}."
        case ActivationFact():
            which = f"Prototype {fact.prototype}"
            if core.model.pooling == ("nearest",):
                value = _range(fact.lower, fact.upper, sign)
                return f"{which} is seen, where it is nearest, with {name} {value}."
            return f"{which} keeps its pooled value: {_range(fact.lower, fact.upper, 1)}."
        case CeilingFact():
            return _ceiling(fact, name, sign, uniform)


def _ceiling(fact: CeilingFact, name: str, sign: int, uniform: bool | None) -> str:
    others = "No prototype"
    if fact.exempt:
        named = ", ".join(map(str, fact.exempt[:_EXEMPT]))
        more = len(fact.exempt) - _EXEMPT
        named += f" and {more} more" if more > 0 else ""
        others += f" but {plural(len(fact.exempt), 'exempt one')} ({named})"
    bound = float.fromhex(fact.bound)
    if uniform is None:
        return f"{others} exceeds a ceiling (stored as level {nearest(bound)})."
    if not uniform:
        return f"{others} exceeds activation {at_most(-bound)} anywhere."
    if sign > 0:
        return f"{others} comes nearer than {name} {at_least(bound)} anywhere."
    return f"{others} exceeds {name} {at_most(-bound)} anywhere."


def _range(lower: str, upper: str, sign: int) -> str:
    """The ends of a stored interval as they read; rounded outwards."""
    low, high = float.fromhex(lower), float.fromhex(upper)
    low, high = (
        -math.inf if low <= -_UNBOUNDED else low,
        math.inf if high >= _UNBOUNDED else high,
    )
    if sign < 0:
        low, high = 0.0 - high, 0.0 - low
    if high - low <= 1e-9 * max(abs(low), abs(high), 1e-9):
        return nearest((low + high) / 2)
    if math.isinf(low):
        return "of any size" if math.isinf(high) else f"of at most {at_most(high)}"
    return (
        f"of at least {at_least(low)}"
        if math.isinf(high)
        else (f"between {at_least(low)} and {at_most(high)}")
    )


def claimed_words(core: Core, predicted: str) -> tuple[str, ...]:
    """Everything that a certificate claims, in sentences; whether it is true, the checker says."""
    rivals, facts = len(core.rivals), len(core.facts)
    ruled = f"{plural(rivals, 'rival')} ruled out"
    if core.model.decision == "labels":
        ruled = f"{plural(rivals, 'label')} on {'its side' if rivals == 1 else 'their sides'}"
    said = [f"{headline(core, predicted)[:-1]}; {ruled}."]
    if core.holds is not None and facts:
        said.append("Every latent of the domain that meets the facts is predicted so, too.")
    if core.witnesses:
        count = plural(len(core.witnesses), "fact")
        said.append(
            f"Necessary: for {count} of {facts} it holds a latent that meets all the other facts "
            "and is predicted otherwise."
        )
    said += superfluous_words([each.fact for each in core.superfluous])
    said += _parts_words(core)
    region = region_of(core)
    if core.released and isinstance(region, KeptRegion):
        said.append(
            f"Necessary: for {len(core.released):,} of {plural(len(region.kept), 'kept tile')} it "
            "holds an input that differs only there and in what may move, and is predicted "
            "otherwise."
        )
    if core.size_bound is not None:
        said.append("It holds a bound on the size: how few facts suffice at least.")
    if core.contrasts:
        said.append(f"It holds {plural(len(core.contrasts), 'latent')} of another prediction.")
    return tuple(said)


def _parts_words(core: Core) -> tuple[str, ...]:
    """Into how many parts the proof cuts its region, and what is cut; nothing of one part."""
    parts = sum(node.kind == "part" for node in core.parts)
    if parts < 2:
        return ()
    units = {(node.tensor, node.number) for node in core.parts if isinstance(node, UnitCut)}
    numbers = {node.number for node in core.parts if isinstance(node, InputCut)}
    lights = {node.parameter for node in core.parts if isinstance(node, LightCut)}
    cut = [plural(len(units), "unit")] if units else []
    cut += [plural(len(numbers), "input number")] if numbers else []
    cut += [" and ".join(sorted(lights))] if lights else []
    return (f"Part by part: {plural(parts, 'part')}, with {', '.join(cut)} cut.",)


def resting_words(core: Core, conditions: Sequence[str]) -> tuple[str, ...]:
    """What the claims rest on besides the checker."""
    said = [f"On somebody's word, so conditional: {label(text)}." for text in conditions]
    if core.facts or region_of(core) is None:
        said.append(
            "The recorded latent is what the encoder computes for the input with this hash "
            "(check --input runs it again, and compares)."
        )
    return tuple(said)
