"""Implied bounds as steps: what facts about one prototype say about another."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial

from protoproof.certificate.schema import ActivationFact, ImpliedBound
from protoproof.formal.known import Known, Root
from protoproof.formal.script import Ref, Script, Token
from protoproof.kernel.arithmetic.exact import hex_ratio
from protoproof.kernel.latent.rows import Ends, Far, implied_bounds, implied_row
from protoproof.kernel.model.head import Head

Step = list[Token | Ref]


def implied_steps(
    head: Head,
    entries: Sequence[ImpliedBound],
    ends: tuple[Ends, Ends],
    refs: Callable[[int, bool], Ref],
    ball: Callable[[], Ref],
) -> Iterator[tuple[int, int | None, int | None, Callable[[], Step]]]:
    """(j, lower bound of t_j, upper bound, step) per entry.

    Args:
        ends: by prototype, the upper and the lower end of what is known about it.
        refs: the premise about t_i that says its upper end; or one that says its lower end of
            m_i at every location.
        ball: the premise that directions are no longer than one.
    """
    if not entries:
        return
    head.gram_rows(entry.via for entry in entries)
    for entry, (j, low, high) in zip(entries, implied_bounds(head, entries, *ends), strict=True):

        def step(entry: ImpliedBound = entry) -> Step:
            row, shift = implied_row(head, entry)
            below = hex_ratio(entry.stretch)[0] < 0
            known, unit = refs(entry.via, below), 1 << shift
            if below:  # a row of what holds at every location
                charged: Step = [known, row[0]]
                if len(row) > 1:
                    charged += [ball(), row[1]]
                return ["row", "-", entry.prototype, unit, "-", len(row), *charged]
            return ["implied", entry.prototype, entry.via, known, -unit, *(*row, 0)[:2]]

        yield j, low, high, step


def read_implied(root: Root) -> None:
    """Tell a proof what the certificate's implied bounds say about all rivals; all start from
    stated facts."""
    core, head, script = root.core, root.head, root.script
    named = {
        fact.prototype: ref
        for fact, ref in zip(core.facts, root.stated.facts, strict=True)
        if isinstance(fact, ActivationFact)
    }
    upper = {f.prototype: hex_ratio(f.upper) for f in core.facts if isinstance(f, ActivationFact)}
    before = list(root.value_low)

    def premise(via: int, below: bool) -> Ref:
        known = before[via]
        if not below or known is None:
            return named[via]
        return root.once(("low", via), lambda: script.add("low", "-", via, known.premise()))

    ends = upper, Far(head, core.facts)
    for j, low, high, step in implied_steps(head, core.evidence.implied, ends, premise, root.ball):
        add = cache(partial(_added, script, step))
        lows, highs = root.value_low[j], root.value_high[j]
        if low is not None and (lows is None or low > lows.value):
            root.value_low[j] = Known(low, add)
        if high is not None and (highs is None or high < highs.value):
            root.value_high[j] = Known(high, add)


def _added(script: Script, step: Callable[[], Step]) -> Ref:
    return script.add(*step())
