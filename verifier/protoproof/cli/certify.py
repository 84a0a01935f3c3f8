"""``certify``: one region of inputs, and whether all of it is predicted alike."""

from __future__ import annotations

import shlex
import sys
from collections import Counter
from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, ROUND_FLOOR
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from protoproof.certification.options import CertifyOptions
from protoproof.cli.options import (
    Device,
    Index,
    Json,
    Latent,
    Model,
    Output,
    Pages,
    Preprocess,
    Quiet,
    Seed,
    Truth,
)
from protoproof.cli.terminal import console, print_json, program, progress_bar, safe
from protoproof.cli.tiles import print_tiles
from protoproof.extras import require
from protoproof.files import make_directory, require_apart
from protoproof.wording import plural

if TYPE_CHECKING:
    from protoproof.certificate.schema import About
    from protoproof.certification.result import Certified
    from protoproof.network import Network


AroundInput = Annotated[
    str,
    typer.Option(
        "--region",
        help="linf:R, l2:R, box:FILE.npz, occlude:ROW,COLUMN,HEIGHT,WIDTH, "
        "occlude:ROW,COLUMN,RADIUS, brightness:R[,CONTRAST], contrast:R, shift:N, "
        "vnnlib:FILE, or a property in YAML.",
    ),
]
Centre = Annotated[
    Path | None,
    typer.Option(
        "--input", help="The centre: an image or array. A box or VNN-LIB file needs none."
    ),
]
Method = Annotated[
    str,
    typer.Option(
        "--method",
        help="auto, interval, linear, linear-deep, linear-slopes, split, branch; crown-ibp, crown, "
        "alpha-crown (auto_LiRPA).",
    ),
]
Held = Annotated[
    str | None,
    typer.Option(
        "--explanation",
        help="CERT.json of explain, or region (facts are chosen then): prove that the facts "
        "hold all over the region.",
    ),
]
Keep = Annotated[
    int | None,
    typer.Option(
        "--keep",
        min=1,
        help="Find few tiles of N x N pixels that force the class if they stay, whatever the rest "
        "shows in the region (linf:R; 1: single pixels). With --explanation CERT.json: the tiles "
        "that each of its facts needs.",
    ),
]
RadiusUpTo = Annotated[
    str | None,
    typer.Option(
        "--radius-up-to",
        help="Also find the largest proved and the smallest refuted radius up to this one.",
    ),
]
Top = Annotated[int, typer.Option("--top", min=1, help="k of the most activated prototypes.")]
Falsify = Annotated[bool, typer.Option(help="Search a counterexample first.")]
Timeout = Annotated[
    float,
    typer.Option(
        "--timeout",
        min=0.0,
        help="Seconds after which no further method or cut starts; what has begun is brought to "
        "its end, so that it may take longer.",
    ),
]


@dataclass(frozen=True)
class Asked:
    """What is certified: a region of a network, around an input where it needs one."""

    model: Path
    region: str
    input_: Path | None
    index: int | None
    radius_up_to: str | None
    device: str
    out: Path | None
    latent: tuple[str, ...]
    output: str | None
    preprocess: str | None = None
    truth: str | None = None

    @property
    def path(self) -> Path:
        """The certificate's file, if that name is free: network, input and region are in it."""
        from protoproof.explanation.evidence import evidence_name

        index = "" if self.index is None else str(self.index)
        name = evidence_name(self.model, self.input_, index, self.output or "", self.region)
        return self.out or Path("out/certify") / f"{name}.cert.json"

    def about(self, network: Network) -> About:
        """What is recorded of the question beside certificates."""
        from protoproof.explanation.evidence import called

        index = "" if self.index is None else f"[{self.index}]"
        name = "" if self.input_ is None else f"{self.input_.name}{index}"
        return called([*program(), *sys.argv[1:]], name, network.pixels.text)

    @property
    def protected(self) -> list[Path]:
        """Files that must not be written over."""
        return [self.model, *([] if self.input_ is None else [self.input_])]


def certify(
    model: Model,
    region: AroundInput,
    input_: Centre = None,
    index: Index = None,
    method: Method = "auto",
    explanation: Held = None,
    keep: Keep = None,
    radius_up_to: RadiusUpTo = None,
    top: Top = 10,
    falsify: Falsify = True,
    seed: Seed = 0,
    timeout: Timeout = 60.0,
    device: Device = "cpu",
    latent: Latent = None,
    output: Output = None,
    preprocess: Preprocess = None,
    out: Annotated[Path | None, typer.Option("--out", help="The certificate's file.")] = None,
    pages: Pages = None,
    truth: Truth = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Prove or refute that every input of a region is predicted alike; or which pixels suffice."""
    options = CertifyOptions(
        method=method,
        falsify=falsify,
        seed=seed,
        timeout=timeout,
        top=top,
        explanation=_explanation(explanation),
        keep=keep,
    )
    head = (tuple(latent or ()), output, preprocess)
    asked = Asked(model, region, input_, index, radius_up_to, device, out, *head, truth)
    require("certify", "certifying")
    from protoproof.network import load
    from protoproof.report.page.units import unit_words

    network = load(model, latent=asked.latent, output=output, preprocess=preprocess)
    network.class_named(truth, "--truth")  # refused before any work
    about = asked.about(network)
    result, out = _decided(asked, network, options, about, shown=not quiet)
    paths, stays = _saved(result, out, asked)
    image = next((p for p in paths if p.endswith(".npy")), None)
    certificates = tuple(p for p in paths if p.endswith(".json"))
    # an earlier answer to the same question stays, and so does its page
    shown = pages is not False and (bool(paths) or not stays)
    page = _page(asked, network, result, about, out, certificates) if shown else None
    unit = unit_words(network, region if ":" in region else result.region)
    if as_json:
        more = {"unit": unit or None, "page": page, "earlier": stays}
        print_json(result.to_json(certificates, image) | more)
    elif not quiet:
        print_certified(result, network, model, certificates, image, region, unit)
        _print_beside(page, stays, result.seconds, timeout)
    raise typer.Exit(result.verdict.exit_code)


def _saved(result: Certified, out: Path, asked: Asked) -> tuple[list[str], list[str]]:
    """What was written, and other answers to the same question, which stay."""
    from protoproof.certification.result import earlier_answer

    stays = [str(path) for path in result.earlier(out)]
    paths = [str(path) for path in result.save(out, asked.protected)]
    before = None if paths else earlier_answer(out)
    return paths, stays if before is None else [*stays, str(before)]


def _print_beside(page: str | None, stays: list[str], seconds: float, timeout: float) -> None:
    out = console()
    if page is not None:
        out.print(f"page        {safe(page)}")
    for path in stays:
        out.print(f"earlier     another answer to this question stays: {safe(path)}")
    if seconds > timeout:  # a method that has begun is brought to its end
        out.print(
            f"time        {seconds:.0f} s; --timeout {timeout:g} ends no method that has begun"
        )


def _page(
    asked: Asked,
    network: Network,
    result: Certified,
    about: About,
    out: Path,
    certificates: tuple[str, ...],
) -> str:
    """Write the page beside the certificate ``out``, and say where."""
    from protoproof.report.files.region_files import write_region_page

    path = out.with_name(out.name.removesuffix(".json").removesuffix(".cert") + ".html")
    require_apart(f"--out {out}", [path], asked.protected)
    make_directory(path.parent)
    write_region_page(
        network,
        result,
        path,
        region=asked.region,
        about=about,
        certificates=[Path(name) for name in certificates],
        labelled=network.class_named(asked.truth, "--truth"),
    )
    return str(path)


def _decided(
    asked: Asked, network: Network, options: CertifyOptions, about: About, *, shown: bool
) -> tuple[Certified, Path]:
    """The answer, and where it goes; a bar shows how far it is."""
    from protoproof.certification.certify import Certifier
    from protoproof.certification.result import check_out, free_name
    from protoproof.network.inputs import read_input
    from protoproof.region.sets.syntax import parse_number
    from protoproof.region.sets.yaml_file import expected_class, load_region

    path = asked.input_
    shape, domain = network.input_shape, network.input_range
    x = None if path is None else read_input(path, network.pixels, asked.index)
    region = load_region(asked.region, x, shape, domain)
    options = replace(options, expected=expected_class(asked.region))
    up_to = asked.radius_up_to
    most = None if up_to is None else parse_number(up_to, "--radius-up-to")
    check_out(asked.path)
    certifier = Certifier(network, asked.device)
    out = free_name(asked.path, certifier.question(region, options), chosen=asked.out is not None)
    with progress_bar(shown) as move:
        watch = None if move is None else lambda far: move(far.proved, _far(far))
        result = certifier.certify(region, options, about=about, watch=watch)
    if most is not None:
        band = certifier.sandwich(
            region.centre, region.kind, most, seed=options.seed, timeout=options.timeout
        )
        result = replace(result, sandwich=band)
    return result, out


def _explanation(text: str | None) -> Any:
    """The core of a certificate file; the word ``region``; or None."""
    from protoproof.certificate.reader import read_certificate
    from protoproof.kernel.check import read_file

    return text if text in (None, "region") else read_certificate(read_file(Path(text))).core


def _far(progress: Any) -> str:
    """How far branch and bound is."""
    worst = f", worst bound {progress.worst:.3g}" if progress.open else ""
    return f"{plural(progress.done, 'part')} proved, {progress.open:,} open{worst}"


def print_certified(
    result: Any,
    network: Network,
    model: Path,
    certificates: tuple[str, ...],
    image: str | None,
    region: str,
    unit: str,
) -> None:
    """The outcome of ``certify``: stages, verdict, radius, who can be on top, files."""
    from protoproof.report.files.region_files import radius_words
    from protoproof.report.page.words import REGION_LEVEL, region_help

    out = console()
    out.print(
        f"[bold]{safe(network.about.name)}[/bold] sees [bold]{safe(result.predicted_name)}[/bold] "
        f"at the centre of {safe(region)}"
    )
    if unit:
        out.print(f"unit        {safe(unit)}", highlight=False)
    _print_stages(out, result.stages)
    if result.conditions:
        out.print("\nverdict     [bold]unknown[/bold], conditional: proved only if")
        for condition in result.conditions:
            out.print(f"  - {safe(condition)}", highlight=False)
    else:
        level = f", level R ({REGION_LEVEL})" if result.certificates else ""
        out.print(f"\nverdict     [bold]{safe(str(result.verdict))}[/bold]{level}")
    further = region_help(result.verdict.status.value, result.verdict.reason)
    if further and not result.conditions:
        out.print(f"may help    {further}", highlight=False)
    if result.counterexample is not None:
        out.print(
            f"instead     {safe(result.counterexample_name)}, for the input in {safe(image or '')}"
        )
    band = result.sandwich
    if band is not None:
        proved = "none" if band.proved is None else radius_words(band.proved, ROUND_FLOOR)
        refuted = "none" if band.refuted is None else radius_words(band.refuted, ROUND_CEILING)
        out.print(f"radius      proved up to {proved}, refuted from {refuted} ({band.kind})")
    if result.tiles is not None:
        print_tiles(out, network, result)
    if result.top is not None:
        sets = result.top
        out.print(
            f"top {sets.k:<8}{len(sets.certain)} prototypes stay, {len(sets.may_leave)} may leave, "
            f"{len(sets.may_join)} may join"
        )
    _print_proof(out, result, certificates, model)


def _print_proof(out: Any, result: Any, certificates: tuple[str, ...], model: Path) -> None:
    """What the checker says, and where the certificates are."""
    if result.checks:
        states = Counter(report.status for report in result.checks)
        out.print("checker     " + ", ".join(f"{n} {state}" for state, n in states.items()))
        for assumption in result.assumptions:
            if assumption in result.conditions:
                continue
            out.print(f"assumes     {safe(assumption)}", highlight=False)
    for path in certificates[:1]:
        more = f" and {len(certificates) - 1} more" if len(certificates) > 1 else ""
        out.print(f"certificate {safe(path)}{more}")
        again = shlex.join([*program(), "check", path, str(model)])
        each = " (and so on: the claim needs them all)" if more else ""
        out.print(f"re-check    {safe(again)}{each}")


def _print_stages(out: Any, stages: Any) -> None:
    from rich.table import Table

    table = Table("stage", "outcome", "time", box=None, pad_edge=False)
    for stage in stages:
        table.add_row(safe(stage.name), safe(stage.outcome), f"{stage.seconds * 1e3:.0f} ms")
    out.print(table)
