"""What ``explain`` and ``demo`` print for people."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

from protoproof.cli.terminal import console, safe
from protoproof.length import size_words
from protoproof.report.page.words import one_at_a_time

SHOWN = 12  # facts that the terminal spells out
_LISTS, _ITEMS = 8, 6  # lists beside the explanation, and lines of each


def print_explanation(result: Any, model_name: str, remarks: tuple[str, ...] = ()) -> None:
    """The outcome of ``explain``: sizes, facts in words, what is proved, where the files are.

    ``remarks``: what was done to the file's numbers.
    """
    explanation, out = result.explanation, console()
    out.print(
        f"{safe(result.input_name)}: [bold]{safe(model_name)}[/bold] sees "
        f"[bold]{safe(explanation.predicted_name)}[/bold]"
        f"  (margin {explanation.margin:.3f} {_margin_of(explanation)})"
    )
    _print_truth(out, result)
    for remark in remarks:
        out.print(f"input       {safe(remark)}", highlight=False)
    table = Table("vocabulary", "facts", "numbers", "verdict", "time", box=None, pad_edge=False)
    reasons = {attempt.verdict.reason for attempt in explanation.attempts}
    alone = explanation.certificate is None and len(reasons) == 1  # it stands below, once
    for attempt in explanation.attempts:
        table.add_row(
            attempt.vocabulary,
            "-" if attempt.facts is None else str(attempt.facts),
            "-" if attempt.numbers is None else str(attempt.numbers),
            safe(attempt.verdict.status.value if alone else attempt.words),
            f"{attempt.seconds * 1e3:.0f} ms",
        )
    if explanation.attempts:
        out.print(table)
    if explanation.certificate is None:
        out.print(f"verdict     [bold]{safe(str(explanation.verdict))}[/bold]")
        if result.earlier is not None:
            out.print(f"earlier     {safe(str(result.earlier))} is a proof of this, and stays")
        return
    if explanation.size:
        words = size_words(explanation.size, explanation.numbers)
        chosen = "The shortest to read" if explanation.for_reading else "The smallest"
        out.print(f"\n{chosen}, {explanation.vocabulary} ({words} to read):")
    else:
        out.print("\nNo fact is needed: the domain alone forces the prediction.")
    for sentence in result.sentences[:SHOWN]:
        out.print(f"  - {safe(sentence)}", highlight=False)
    if len(result.sentences) > SHOWN:
        out.print(f"  - and {len(result.sentences) - SHOWN} more (see the page)")
    _print_claims(out, explanation, result.unit)
    for note in result.notes:
        _print_note(out, note)
    if result.notes:
        out.print()
    out.print(f"checker     certificate {explanation.check.status}")
    out.print(f"certificate {safe(str(result.certificate))}")
    if result.earlier is not None:
        out.print(f"earlier     another proof of this stays: {safe(str(result.earlier))}")
    if result.page is not None:
        out.print(f"page        {safe(str(result.page))}")
    out.print(f"re-check    {safe(result.recheck)}")


def _print_truth(out: Console, result: Any) -> None:
    """Whether the prediction is right: no proof says that, a label does."""
    if result.labelled is None:
        return
    if result.right is False:
        said = f"[bold red]WRONG[/bold red]: labelled {safe(result.labelled)}"
    else:
        said = f"right: labelled {safe(result.labelled)}"
    out.print(f"prediction  {said}", highlight=False)


def _margin_of(explanation: Any) -> str:
    """What the smallest margin is a margin of."""
    if explanation.identity.get("model", {}).get("routing") in ("greedy", "sample-max"):
        return "of the share that decides between leaves"
    return "to the closest threshold" if explanation.about_labels else "over the closest rival"


def _print_claims(out: Console, explanation: Any, unit: str) -> None:
    """What is proved of the facts, over which latents, or what it depends on."""
    from protoproof.report.page.words import cases_words, level_words, routing_words

    proved, conditions = len(explanation.necessary), explanation.conditions
    if conditions:
        out.print("\nverdict     [bold]unknown[/bold], conditional: proved only if")
        for condition in conditions:
            out.print(f"  - {safe(condition)}", highlight=False)
    else:
        what = level_words(explanation.certificate.core)
        level = explanation.level
        out.print(f"\nverdict     [bold]proved[/bold], level {level} ({what})")
        if explanation.level_reason:
            out.print(f"level       R: {safe(explanation.level_reason)}", highlight=False)
    cases = cases_words(explanation.certificate.core)
    if cases:
        out.print(f"cases       {cases}")
    for number, sentence in enumerate(
        routing_words(explanation.certificate.core, explanation.check.claims)
    ):
        out.print(f"{'' if number else 'routing':<11} {sentence}", highlight=False)
    for number, sentence in enumerate(explanation.unfinished):
        out.print(f"{'' if number else 'time is up':<11} {safe(sentence)}", highlight=False)
    out.print(f"domain      {safe(explanation.domain_name)}")
    if unit:
        out.print(f"unit        {safe(unit)}", highlight=False)
    if_so = "conditionally " if conditions else ""
    spare, undecided = len(explanation.superfluous), explanation.undecided
    counted = f", {spare} {if_so}proved superfluous" if spare else ""
    out.print(f"necessary   {proved} {if_so}proved by a witness{counted}, {undecided} open")
    if spare:
        which = one_at_a_time(explanation.superfluous)
        out.print(f"superfluous without {which}, the others still suffice", highlight=False)
    if explanation.certificate.core.vocabulary == "topk" and proved < explanation.size:
        out.print(
            "            a list of the most activated cannot leave out single ones: "
            "--vocabulary ceiling does"
        )
    least = explanation.lower_bound
    if least is not None:
        open_ = f" ({explanation.gap_reason})" if explanation.gap_reason else ""
        word = f"{if_so}proved: none of this vocabulary has fewer facts over this domain"
        if least < explanation.size:
            word = f"open: at least {least} of these {explanation.size} are needed{open_}"
        out.print(f"smallest    {word}")
    elif explanation.gap_reason:
        out.print(f"smallest    open: {safe(explanation.gap_reason)}")


def _print_note(out: Console, note: Any) -> None:
    """A section beside the explanation; long lists are cut, the page and the JSON have them."""
    out.print(f"\n{safe(note.title)}")
    for sentence in note.sentences:
        out.print(f"  {safe(sentence)}", highlight=False)
    for caption in (caption for _, caption in note.pictures):
        out.print(f"  - {safe(caption)}", highlight=False)
    for listed in note.lists[:_LISTS]:
        out.print(f"  {safe(listed.title)}", highlight=False)
        for item in listed.items[:_ITEMS]:
            out.print(f"    - {safe(item)}", highlight=False)
        if len(listed.items) > _ITEMS:
            out.print(f"    - and {len(listed.items) - _ITEMS} more (see the page)")
        if listed.footer:
            out.print(f"    {safe(listed.footer)}", highlight=False)
    if len(note.lists) > _LISTS:
        out.print(f"  and {len(note.lists) - _LISTS} more lists (see the page)")
