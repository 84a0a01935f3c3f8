"""The second reader in tests: where it is, and certificates that claim nothing of a head."""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from protoproof.certificate.canonical import canonical_bytes
from protoproof.certificate.schema import (
    Core,
    Envelope,
    FreeDomain,
    Instance,
    IntervalEvidence,
    ModelIdentity,
)
from protoproof.errors import UsageError
from protoproof.formal import Reading, find_reader, second_reading
from protoproof.kernel import ModelFile
from protoproof.kernel.statement import statement
from tests.support.formal import line_changed


def _has_reader() -> bool:
    try:
        find_reader()
    except UsageError:
        return False
    return True


reads = pytest.mark.skipif(
    not _has_reader(), reason="the second reader is not built: make kernel needs OCaml"
)


def plain_certificate(model: ModelFile, latents: tuple[str, ...], output: str) -> bytes:
    """A certificate about a head without a fact; its latent is random."""
    bound = model.bound(latents, output)
    head = bound.head
    decision = head.decision
    rng = np.random.default_rng(7)
    parts = [rng.random(math.prod(cut.shape), dtype=np.float32)[cut.sites] for cut in bound.cuts]
    values = np.concatenate(parts) + np.float32(0.25)
    tree = decision.kind == "tree"
    core = Core(
        tool="protoproof 0",
        level="R",
        model=ModelIdentity(
            sha256=model.sha256,
            files=tuple({"name": n, "sha256": h, "size": s} for n, h, s in model.files),
            latent=latents,
            output=output,
            geometry=head.geometry,
            pooling=tuple(sorted({p.kind for p in head.pooling})),
            decision=decision.kind,
            routing=decision.routing if tree else None,
        ),
        instance=Instance(
            input_sha256="5" * 64,
            locations=head.location_count,
            channels=head.channels,
            latent=base64.b64encode(values.tobytes()).decode(),
            predicted=0,
        ),
        domain=FreeDomain(),
        vocabulary="topk",
        premises="exact",
        facts=(),
        rivals=tuple(range(head.class_count)),
        evidence=IntervalEvidence(),
    )
    return canonical_bytes(Envelope(core=core))


def plain_reading(model: ModelFile, latents: tuple[str, ...], output: str) -> Reading:
    """What the second reader says of the statement of such a certificate."""
    content = plain_certificate(model, latents, output)
    return second_reading(find_reader(), content, model, statement(content, model))


def other_heads(text: str) -> Iterator[tuple[str, str]]:
    """Statements about another head, with what is changed; not all can be of every head."""

    def row(word: str, change: Callable[[list[str]], None], below: int = 1) -> str:
        lines = text.split("\n")
        at = next(k for k, line in enumerate(lines) if line.split(" ")[0] == word) + below
        tokens = lines[at].split(" ")
        change(tokens)
        return "\n".join([*lines[:at], " ".join(tokens), *lines[at + 1 :]])

    def number(change: Callable[[int], int]) -> Callable[[list[str]], None]:
        def changed(tokens: list[str]) -> None:
            place = next(k for k, token in enumerate(tokens) if int(token))
            tokens[place] = str(change(int(tokens[place])))

        return changed

    def swapped(tokens: list[str]) -> None:
        other = next(k for k, token in enumerate(tokens) if token != tokens[0])
        tokens[0], tokens[other] = tokens[other], tokens[0]

    yield "a sign of a weight", row("classes", number(lambda n: -n))
    yield "a weight", row("classes", number(lambda n: n + 1))
    yield "two weights swapped", row("classes", swapped)
    yield "a coordinate of a prototype", row("points", number(lambda n: n + 1))
    yield "a sign of a prototype", row("points", number(lambda n: -n))
    yield "a bias", row("biases", lambda tokens: tokens.__setitem__(1, str(int(tokens[1]) + 1)), 0)
    if "geometry euclidean" in text:  # of linear ones that is a factor of all scores
        yield (
            "prototypes half as large",
            line_changed(text, "points", lambda t: t.__setitem__(1, str(int(t[1]) + 1))),
        )
    for index, line in enumerate(text.split("\n")):
        tokens = line.split(" ")
        if tokens[0] == "more":  # weights may be more exact than is stated
            continue
        for place, token in enumerate(tokens):
            above, slash, below = token.partition("/")
            if slash and above.lstrip("-").isdigit():
                other = f"{int(above) + 1}/{below}"
                changed = [*tokens[:place], other, *tokens[place + 1 :]]
                lines = text.split("\n")
                yield (
                    f"the constant {token} in line {index}",
                    "\n".join([*lines[:index], " ".join(changed), *lines[index + 1 :]]),
                )
                break
