"""What an accepted certificate is about, and what it rests on, in words."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

from protoproof.certificate.schema import (
    BallDomain,
    BoxDomain,
    Core,
    Domain,
    Execution,
    ReachDomain,
    SimplexDomain,
    SphereDomain,
)
from protoproof.kernel.claims import Claim, about_latent
from protoproof.kernel.conditions import walked_words
from protoproof.kernel.model.file import BoundHead

_GEOMETRIES = {
    "euclidean": "squared Euclidean distance to prototypes",
    "diagonal": "squared distance to prototypes, with a weight per channel",
    "linear": "dot product with prototypes",
    "angular": "cosine of the angle to prototypes, times their length",
}
_POOLINGS = {
    "nearest": "the most similar location",
    "mean": "the mean over locations",
    "sum": "the sum over locations",
    "k-largest mean": "the mean of the most similar locations",
    "focal": "the most similar location less the mean (focal)",
    "nearest less mean": "the similarity of the nearest location less that of the mean measurement",
}
_DECISIONS = {
    "linear": "largest of weighted sums of activations",
    "labels": "every label by its own weighted sum and threshold",
    "tree": "soft tree",
    "best": "largest of weighted sums of each group's best activation",
}
_ROUTINGS = {
    "distributed": "all leaves weighted by the shares that reach them (distributed)",
    "greedy": "the leaf that the larger share at every node leads to (greedy), which is not what "
    "the output tensor is",
    "sample-max": "the leaf that the largest share reaches (sample-max), which is not what the "
    "output tensor is",
}


def subject(core: Core, bound: BoundHead) -> tuple[tuple[str, str], ...]:
    """What the certificate is about, so that nobody accepts a true claim about something else."""
    premises = {"exact": "exactly as recorded", "interval": "within stated intervals"}
    region = core.domain.region if isinstance(core.domain, ReachDomain) else None
    about: tuple[tuple[str, str], ...] = ()
    for word, inputs in (("region", region), ("facts hold over", core.holds)):
        if inputs is not None:
            from protoproof.kernel.encoder.input_region import describe

            about += ((word, describe(inputs)),)
    walked = walked_words(core) if core.facts or core.contrasts else ""
    about += (("necessity and size over", walked),) if walked else ()
    return (
        ("model", core.model.sha256),
        ("input tensor", ", ".join(bound.inputs)),
        ("latent tensor", ", ".join(bound.latents)),
        ("output tensor", _output_words(bound)),
        ("geometry", _GEOMETRIES[core.model.geometry]),
        ("pooling", "; ".join(_POOLINGS[kind] for kind in core.model.pooling)),
        ("decision", _decision_words(core)),
        ("input", core.instance.input_sha256),
        ("predicted", _predicted_words(core)),
        ("domain", _domain_words(core.domain)),
        *about,
        ("vocabulary", core.vocabulary),
        ("facts", f"{len(core.facts)}, {premises[core.premises]}"),
    )


def _decision_words(core: Core) -> str:
    text = _DECISIONS[core.model.decision]
    return text if core.model.routing is None else f"{text}, {_ROUTINGS[core.model.routing]}"


def _output_words(bound: BoundHead) -> str:
    if not bound.first_output:
        return bound.output
    return f"{bound.output} (not the network's first output, which is {bound.first_output})"


def _predicted_words(core: Core) -> str:
    if core.model.decision != "labels":
        return str(core.instance.predicted)
    on = set(core.instance.labels)
    return ", ".join(f"label {k} {'on' if k in on else 'off'}" for k in core.rivals)


def _domain_words(domain: Domain) -> str:
    """The domain's kind and every number of it, or their hash: what size and necessity rest on."""
    if isinstance(domain, SphereDomain | BallDomain | SimplexDomain):
        return f"{domain.kind}, slack {float.fromhex(domain.slack)!r}"
    if isinstance(domain, ReachDomain):
        numbers = [domain.lower, domain.upper]
        numbers += [part for bound in domain.bounds for part in (bound.coefficients, bound.bound)]
        digest = hashlib.sha256("\n".join(numbers).encode()).hexdigest()
        return f"{domain.kind}, box and bounds with sha256 {digest[:16]}"
    return domain.kind


def _execution_words(execution: Execution) -> Iterator[str]:
    """Which executions a claim at level F is about."""
    text = (
        "level F: every float32 execution of the head with exactly these weights, in any order of "
        "sums, with or without fused multiply-add, that nowhere overflows"
    )
    errors = ", ".join(
        f"{e.function} within {e.relative or e.absolute} u{'' if e.relative else ' absolutely'}"
        for e in execution.functions
    )
    yield f"{text}; functions: {errors} (u = 2^-24)" if errors else text
    if execution.shortest is not None:
        shortest = float.fromhex(execution.shortest)
        yield f"level F: no location's latent is shorter than {shortest:.3g}"


def assumptions(
    core: Core, bound: BoundHead, presented: bool, claims: Sequence[Claim]
) -> tuple[str, ...]:
    """What the claims rest on besides somebody's word (see ``conditions``).

    Args:
        presented: whether the certificate was compared with the hash of an input.
        claims: what is proved.
    """
    replayed = isinstance(core.domain, ReachDomain) and core.domain.region is not None
    what = "encoder and head" if replayed or core.holds is not None else "the head"
    result = [f"level R: {what} with exactly these float32 weights, over the real numbers"]
    if core.level == "F" and core.execution is not None:
        result = list(_execution_words(core.execution))
    if not replayed or any(map(about_latent, claims)):
        # what is proved of all inputs of a region that the checker walked itself rests on no latent
        result.append(
            "the recorded latent is what the encoder computes for the input with the recorded hash"
        )
    if not presented:
        result.append("no input was presented, so the recorded input hash was not compared")
    if isinstance(core.domain, BoxDomain | SphereDomain | BallDomain | SimplexDomain):
        result.append(f"the latent is an output of {bound.latent_operator}, over the reals")
    if isinstance(core.domain, SphereDomain):
        result.append("what is normalised is not zero at any location")
    return tuple(result)
