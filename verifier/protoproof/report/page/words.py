"""Domains and claims in plain words; facts are in :mod:`.facts`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from protoproof.certificate.input_region import InputRegion, KeptRegion
from protoproof.certificate.schema import (
    BallDomain,
    CeilingFact,
    Core,
    FreeDomain,
    ReachDomain,
    SimplexDomain,
    SphereDomain,
)
from protoproof.kernel.claims import (
    Alike,
    AtLeast,
    Claim,
    MinimumSize,
    Necessary,
    Robust,
    RobustExplanation,
    SubsetMinimal,
    Sufficient,
    Superfluous,
)
from protoproof.kernel.conditions import vouched, walked_words
from protoproof.kernel.encoder.input_region import describe
from protoproof.report.page.text import label
from protoproof.wording import plural

_LISTED = 20  # prototypes that one sentence names

HEAD_LEVEL = "the head over the real numbers, with exactly these float32 weights"
FLOAT_LEVEL = (
    "every float32 execution of the head: sums in any order, with or without fused multiply-add"
)
REGION_LEVEL = "encoder and head over the real numbers, with exactly these float32 weights"
LEVELS = {
    "R": "Level R, real arithmetic: the proof is about the head with exactly these float32 "
    "weights, computed over the real numbers, and about the latent exactly as recorded.",
    "F": "Level F, float32: as level R; and every proved margin exceeds what rounding may take "
    "from it, so that every float32 execution of the head without overflow gives the predicted "
    "class the largest score, in whatever order it adds, with or without fused multiply-add, and "
    "with functions within the errors that the certificate states.",
}
REGIONS_TOO = (
    "Over a region of inputs it is about encoder and head, both over the real numbers; what a "
    "float32 execution of the encoder makes of inputs of the region is not covered."
)
REGION_LEVELS = {
    "R": "Level R, real arithmetic: the proof is about encoder and head with exactly these float32 "
    "weights, both computed over the real numbers. What a float32 execution of the encoder makes "
    "of an input of the region is not covered.",
}

_REGION_HELP = (
    "a smaller region (--radius-up-to finds the largest radius that is proved), a longer "
    "--timeout, or a network trained for such proofs: ordinary training leaves even small "
    "regions open"
)

# What a passed obligation of the checker establishes.
OBLIGATIONS = {
    "format": "The bytes are one certificate of a known version.",
    "model hash": "The model file is the one that the certificate speaks about.",
    "head": "From the stated latent to the stated output, the graph computes the head that the "
    "certificate says.",
    "instance": "Input, latent, prediction and rivals fit the head; no rival is missing.",
    "domain": "The domain is one that the network guarantees, or is assumed; the latent is in it.",
    "premises": "Every fact is true at the recorded latent.",
    "multipliers": "Every bound comes from facts that the certificate states.",
    "margins": "Over all latents of the domain that meet the facts, every margin is positive.",
    "prediction": "The recorded latent itself is predicted as claimed, without a tie.",
    "witnesses": "Every witness meets all facts but its own, and is certainly classified "
    "differently.",
    "size": "What is said about smaller explanations is proved.",
    "contrast": "Every contrast is certainly predicted as its class.",
    "holding": "Where the certificate names a region of inputs, every fact holds all over it.",
}

VOCABULARIES = {
    "topk": "The most activated prototypes keep their similarity, and no other prototype exceeds "
    "the weakest of them.",
    "ceiling": "A few prototypes keep their similarity, and no other prototype exceeds a ceiling.",
    "pairs": "Single locations stay as similar to single prototypes as they are; nothing is said "
    "about any other pair.",
    "mixed": "A few prototypes keep their similarity, some of them at the place where they are "
    "seen, and ceilings, each lower for fewer prototypes, hold for the rest.",
    "path": "The prototypes that the nodes of the tree ask about, mostly on the way that the input "
    "takes, keep their similarity; nothing is said about the others.",
}


# Readings of a soft tree, and what is added to what a claim says.
_READINGS = {
    "distributed": "the distributed decision (all leaves weighed, as the network computes)",
    "greedy": "the greedy decision (the leaf that the larger share at every node leads to)",
    "sample-max": "the sample-max decision (the leaf that the largest share reaches)",
}
_BY_ROUTING = {"greedy": " by the greedy decision", "sample-max": " by the sample-max decision"}

# What no certificate of this version says, whatever its facts.
_LIMITS = (
    "Nothing is said about other inputs, however similar: the facts are about one latent.",
    "Rounding inside a float32 execution of the head is not covered at level R.",
    "The pictures of prototypes and the boxes on the input illustrate; no proof uses them.",
)
_FLOAT_LIMIT = (
    "Level F is about the head: nothing is said about the rounding of the encoder, whose latent is "
    "taken as recorded."
)
_SHORT_LIMIT = " Locations whose latent is all but zero (shorter than 2^-40) are left out there."
_REGION_ALONE = (
    "Nothing is said about inputs outside the region.",
    "Rounding inside a float32 execution of encoder and head is not covered at level R.",
)
_REGION_LIMITS = (
    "Nothing is said about inputs outside the region, nor about those that do not meet the facts.",
    *_LIMITS[1:],
)


def domain_words(core: Core) -> str:
    """The set of latents that is quantified over."""
    instance = core.instance
    channels = plural(instance.channels, "channel")
    shape = f"{plural(instance.locations, 'location')} with {channels} each."
    domain = core.domain
    if isinstance(domain, SphereDomain):
        return f"Every latent of length 1 (up to rounding) at each of {shape}"
    if isinstance(domain, BallDomain):
        return f"Every latent of length at most 1 (up to rounding) at each of {shape}"
    if isinstance(domain, SimplexDomain):
        return f"Every latent of non-negative values with sum 1 (up to rounding) at each of {shape}"
    if isinstance(domain, ReachDomain):
        count = len(domain.bounds)
        also = f" that meets {plural(count, 'linear bound')} too," if count else ""
        kept = f"That the network stays in it is an assumption (source: {label(domain.source)})."
        if domain.region is not None and (not count or domain.propagated is not None):
            kept = f"It holds all that the encoder makes of {region_words(domain)}."
        return f"Every latent in a box around the recorded one,{also} at {shape} {kept}"
    if isinstance(domain, FreeDomain):
        return f"Every latent there is: any real numbers whatever at {shape}"
    lower = float.fromhex(domain.lower)
    if domain.upper is None:
        return f"Every latent with values of at least {lower:g} at {shape}"
    upper = float.fromhex(domain.upper)
    return f"Every latent with values from {lower:g} to {upper:g} at {shape}"


def _is_walked(core: Core) -> bool:
    """Whether the claim is about a region of inputs, over which the encoder was walked."""
    domain = core.domain
    return core.holds is not None or (isinstance(domain, ReachDomain) and domain.region is not None)


def level_words(core: Core) -> str:
    """What is computed over the real numbers, in a few words."""
    if core.level == "F":
        return FLOAT_LEVEL
    return REGION_LEVEL if _is_walked(core) else HEAD_LEVEL


def level_sentence(core: Core) -> str:
    """The semantics level in a sentence."""
    return (REGION_LEVELS if _is_walked(core) else LEVELS)[core.level]


def region_words(domain: ReachDomain) -> str:
    """The inputs that a box of latents was computed from, as the checker names them."""
    region = domain.region
    return "the region" if region is None else f"the region {describe(region)}"


def scope_words(core: Core) -> str:
    """Which latents a claim is about, as the beginning of a sentence."""
    domain = core.domain
    if isinstance(domain, FreeDomain):
        return "Whatever else the network may have seen"
    if isinstance(domain, ReachDomain) and not vouched(domain):
        return f"For every input of {region_words(domain)}"
    if isinstance(domain, ReachDomain):
        return "Over the stated box of latents"
    return "Whatever the encoder's last operator can output"


def region_help(verdict: str, reason: str) -> str:
    """What may decide an open region; empty where no bound would: users meet open ones first."""
    helpless = ("numerically fragile", "tie")
    return _REGION_HELP if verdict == "unknown" and not reason.startswith(helpless) else ""


def claims_words(core: Core, claims: tuple[Claim, ...], predicted: str) -> tuple[str, ...]:
    """The checker's claims in sentences; a claim that this page does not know is not made."""
    facts = len(core.facts)
    made = {type(claim) for claim in claims}
    necessary = sum(isinstance(claim, Necessary) for claim in claims)
    walked = walked_words(core)
    over = f"over {walked}" if walked else "over this domain"
    within = f", in {walked}," if walked else ""
    met = f" that meets the {plural(facts, 'fact')}" if facts else ""
    is_so = predicted_words(core, predicted)
    sentences = []
    if Sufficient in made:
        ruled = f"{plural(len(core.rivals), 'rival')} ruled out, each by at least its proved margin"
        if core.model.decision == "labels":
            ruled = "each label is on its side of its threshold by at least its proved margin"
        sentences.append(f"Sufficient: every latent in the domain{met} {is_so}; {ruled}.")
        cases = cases_words(core)
        sentences += [f"{cases[0].upper()}{cases[1:]}."] if cases else []
    if RobustExplanation in made and core.holds is not None:
        sentences.append(
            f"Robust explanation: every input of the region {describe(core.holds)} meets "
            f"the {plural(facts, 'fact')}, and {is_so} for this reason, "
            "by encoder and head in real arithmetic."
        )
    elif Robust in made and isinstance(core.domain, ReachDomain):
        sentences.append(
            f"Robust: every input of {region_words(core.domain)} {is_so}, by encoder and head in "
            "real arithmetic."
        )
    least = next((claim.count for claim in claims if isinstance(claim, AtLeast)), 0)
    if MinimumSize in made and facts:
        sentences.append(
            f"Minimum-size: no set of fewer than {plural(facts, 'fact')} of this kind forces the "
            f"prediction {over}."
        )
    elif least:
        sentences.append(
            f"At least {plural(least, 'fact')} of this kind are needed to force the "
            f"prediction {over}."
        )
    if SubsetMinimal in made and facts:
        sentences.append(
            f"Subset-minimal: for every fact, a recorded latent{within} meets all the others and "
            "is classified differently."
        )
    elif necessary:
        sentences.append(
            f"Necessary: for {necessary} of the facts, a recorded latent{within} meets all the "
            "others and is classified differently."
        )
    spare = [claim.fact for claim in claims if isinstance(claim, Superfluous)]
    return (*sentences, *superfluous_words(spare), *routing_words(core, claims))


def superfluous_words(facts: Sequence[int]) -> tuple[str, ...]:
    """Which facts the others do without, by their numbers in the list."""
    if not facts:
        return ()
    which = one_at_a_time(facts)
    return (f"Superfluous: without {which}, the others still suffice, over the real numbers.",)


def one_at_a_time(facts: Iterable[int]) -> str:
    """``fact 5``, or ``each of the facts 5, 8 alone``."""
    numbers = [str(fact + 1) for fact in sorted(facts)]
    listed = ", ".join(numbers)
    return f"fact {listed}" if len(numbers) == 1 else f"each of the facts {listed} alone"


def predicted_words(core: Core, predicted: str) -> str:
    """What is said of every latent that a claim is about: its class, or its labels."""
    if core.model.decision == "labels":
        return f"has the labels “{label(predicted)}”"
    return f"is classified “{label(predicted)}”{_BY_ROUTING.get(core.model.routing or '', '')}"


def routing_words(core: Core, claims: Iterable[Claim]) -> tuple[str, ...]:
    """Of a tree: which reading of it is explained, and what is proved of the others."""
    explained = core.model.routing
    if explained is None:
        return ()
    alike = {claim.routing: claim.everywhere for claim in claims if isinstance(claim, Alike)}
    said = [f"Explained is {_READINGS[explained]}."]
    for routing, reading in _READINGS.items():
        if routing != explained:
            proved = {
                True: "predicts the same wherever the facts are met",
                False: "predicts the same at this input; elsewhere that is open",
            }
            there = alike.get(routing)
            what = "is not proved to predict the same" if there is None else proved[there]
            said.append(f"{reading[0].upper()}{reading[1:]} {what}.")
    return tuple(said)


def cases_words(core: Core) -> str:
    """How many cases the proof distinguishes; empty where one argument is about all latents."""
    trees = core.evidence.cases
    count = sum(node.kind == "leaf" for tree in trees for node in tree.nodes)
    if not count:
        return ""
    return (
        f"{plural(len(trees), 'rival')} ruled out case by case: proved by {plural(count, 'case')}"
    )


def limits_words(
    core: Core, necessary: int, superfluous: int, lower_bound: int | None
) -> tuple[str, ...]:
    """What a reader could wrongly take as proved, and is not.

    ``necessary``, ``superfluous``: how many facts are, as far as who asks may say.
    """
    facts = len(core.facts)
    open_ = facts - necessary - superfluous
    sentences = []
    if open_ > 0:
        sentences.append(
            f"Necessity is open for {plural(open_, 'fact')}: no latent is known that meets all "
            "other facts and is classified differently."
        )
    if core.vocabulary == "topk" and necessary < facts:
        sentences.append(
            "A list of the most activated prototypes cannot leave out single ones, needed or not; "
            "the vocabulary “ceiling” does."
        )
    if facts > max(lower_bound or 0, 1):  # a certificate has at least one fact
        floor = "" if lower_bound is None else f" It has at least {plural(lower_bound, 'fact')}."
        sentences.append(f"A smaller explanation than these {facts:,} facts may exist.{floor}")
    region = core.domain.region if isinstance(core.domain, ReachDomain) else None
    limits = list(_LIMITS if region is None else _REGION_LIMITS if facts else _REGION_ALONE)
    if core.level == "F":
        limits[1] = _FLOAT_LIMIT
        if core.execution is not None and core.execution.shortest is not None:
            limits[1] += _SHORT_LIMIT
    return (*sentences, *_unbound(core), *_tiles_open(core, region), *limits)


def _tiles_open(core: Core, region: InputRegion | None) -> tuple[str, ...]:
    """Of kept tiles: for how many no input shows that they are needed."""
    if not isinstance(region, KeptRegion) or len(region.kept) == len(core.released):
        return ()
    open_ = plural(len(region.kept) - len(core.released), "kept tile")
    return (f"Necessity is open for {open_}: fewer tiles may do.",)


def _unbound(core: Core) -> tuple[str, ...]:
    """Prototypes that neither a ceiling nor a name binds: the proof allows them anything."""
    named = {fact.prototype for fact in core.facts if not isinstance(fact, CeilingFact)}
    exempt = [set(fact.exempt) for fact in core.facts if isinstance(fact, CeilingFact)]
    free = sorted(set.intersection(*exempt) - named) if exempt else []
    if not free:
        return ()
    which = ", ".join(map(str, free[:_LISTED])) + (", ..." if len(free) > _LISTED else "")
    sentence = f"Nothing is said about {plural(len(free), 'prototype')} ({which}): the proof holds "
    return (sentence + "whatever their similarity is.",)
