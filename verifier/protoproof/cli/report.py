"""``report``: the audit report of a campaign, or the page of one certificate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from protoproof.cli.earlier import data_of, where_it_lay
from protoproof.cli.options import Index, Json, NoScript, Quiet, Truth
from protoproof.cli.terminal import console, print_json, safe
from protoproof.errors import OutputError, UsageError
from protoproof.files import make_directory, require_apart, require_writable, set_aside

if TYPE_CHECKING:
    from protoproof.report.audit.page import AuditGate, AuditPage

Out = Annotated[
    Path | None,
    typer.Option("--out", help="The HTML file; by default named after DIR, in out/report/."),
]
Pdf = Annotated[
    bool, typer.Option("--pdf", help="Also print it, with a headless Chromium, beside --out.")
]
Where = Annotated[
    Path | None, typer.Option("--model", help="The network, if it does not lie where it did.")
]
Data = Annotated[
    str | None, typer.Option("--data", help="The data, if it does not lie where it did.")
]
Policy = Annotated[
    Path | None,
    typer.Option(
        "--policy", help="Decide this policy; by default the one that gate.json names, again."
    ),
]
AboutInput = Annotated[
    Path | None, typer.Option("--input", help="For a certificate: the input that it is about.")
]
Sections = Annotated[
    int, typer.Option("--instances", min=0, help="How many get a section of their own.")
]


@dataclass(frozen=True)
class Target:
    """Where a report is written, and how it is announced.

    ``chosen``: somebody chose the name; under another one an earlier report stays, as NAME.stale.
    """

    out: Path
    pdf: Path | None
    as_json: bool
    quiet: bool
    chosen: bool

    def prepare(self) -> None:
        """Make the directory.

        Raises:
            OutputError: it cannot be written to.
        """
        require_writable(self.out.parent)
        make_directory(self.out.parent)
        if not self.chosen and self.out.is_file():
            set_aside(self.out)
            if not (self.as_json or self.quiet):
                console().print(safe(f"earlier      kept as {self.out}.stale"))

    def announce(self, document: dict[str, Any], lines: Sequence[str]) -> None:
        """Say what was written: as a document, or in lines that end with the files' names."""
        if self.as_json:
            paths = {"report": str(self.out), "pdf": None if self.pdf is None else str(self.pdf)}
            print_json(paths | document)
        elif not self.quiet:
            files = [f"report       {self.out}"]
            files += [] if self.pdf is None else [f"pdf          {self.pdf}"]
            for line in (*lines, *files):
                console().print(safe(line))


def report(
    subject: Annotated[
        Path,
        typer.Argument(metavar="DIR", help="A campaign's or gate's directory, or a certificate."),
    ],
    out: Out = None,
    pdf: Pdf = False,
    model: Where = None,
    data: Data = None,
    policy: Policy = None,
    input_: AboutInput = None,
    index: Index = None,
    instances: Sections = 200,
    no_script: NoScript = False,
    truth: Truth = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write an audit report, or a certificate's page: one HTML file that loads nothing.

    An audit report's script only searches and orders; a page's proves its claim again in a browser.
    """
    chosen = out is not None
    out = out or Path("out/report") / f"{_called(subject)}.html"
    if out.suffix != ".html":
        raise OutputError(f"--out {out}: a report's name must end in .html")
    target = Target(out, out.with_suffix(".pdf") if pdf else None, as_json, quiet, chosen)
    written = [out] if target.pdf is None else [out, target.pdf]
    require_apart(f"--out {out}", written, (subject, model, input_, policy))
    if subject.is_file():
        if policy is not None:
            raise UsageError("--policy is decided about a campaign; give its directory")
        code = _single(subject, target, model, input_, index, truth, scripts=not no_script)
    elif input_ is not None or index is not None or truth is not None:
        raise UsageError("--input, --index and --truth are for a single certificate")
    else:
        code = _campaign(subject, target, model, data, policy, instances, scripts=not no_script)
    raise typer.Exit(code)


def _called(subject: Path) -> str:
    """What a report is called that nobody named: after its subject."""
    name = subject.resolve().name
    return name.removesuffix(".json").removesuffix(".cert") if subject.is_file() else name


def _campaign(
    directory: Path,
    target: Target,
    model: Path | None,
    data: str | None,
    policy: Path | None,
    sections: int,
    *,
    scripts: bool,
) -> int:
    """The audit of a campaign; the exit code."""
    from protoproof.report.audit import audit_to_files

    where = where_it_lay(directory)
    if model is None and not where["model"]:
        raise UsageError(f"{directory}: does not say where the network lies; give it with --model")
    target.prepare()
    page = audit_to_files(
        directory,
        target.out,
        model=model or Path(where["model"]),
        instances=data_of(data, where),
        pdf=target.pdf,
        sections=sections,
        scripts=scripts,
        policy=policy,
    )
    absent = page.total - page.count("proved")
    word = f" ({page.conditional} on somebody's word)" if page.conditional else ""
    target.announce(
        {
            "network_sha256": dict(page.identity)["Model sha256"],
            "data_sha256": dict(page.identity)["Data sha256"],
            "instances": page.total,
            "accepted": page.accepted,
            "rejected": page.rejected,
            "conditional": page.conditional,
            "undecided": page.undecided,
            "gate": None if page.gate is None else _gate_json(page.gate),
            "bytes": target.out.stat().st_size,
        },
        [
            *_about(page),
            f"certificates {page.accepted} accepted, {page.unaccepted} not{word}",
            *([f"instances    {absent} of {page.total} not proved"] if absent else []),
            *(
                f"region       {region.name}: {region.certified} of {region.total} certified, "
                f"{region.refuted} refuted"
                for region in page.regions
            ),
            *([] if page.gate is None else _gate_words(page.gate)),
            *page.missing,
        ],
    )
    return page.exit_code


def _about(page: AuditPage) -> list[str]:
    """What the report is about: the directory chose both, unless somebody named them."""
    said = dict(page.identity)
    return [
        f"network      {said['Model file']}, sha256 {said['Model sha256']}",
        f"data         {said['Data']}, sha256 {said['Data sha256']}",
    ]


def _gate_json(gate: AuditGate) -> dict[str, Any]:
    """The policy's answer as plain data; ``outcome`` counts where it was decided again only."""
    return {
        "outcome": gate.outcome or None,
        "decided_again": gate.again,
        "policy": {
            "name": gate.policy or None,
            "sha256": gate.sha256 or None,
            "file": gate.file or None,
        },
        "gate_json_says": (gate.said if gate.again else gate.outcome) or None,
        "why_not": gate.why or None,
    }


def _gate_words(gate: AuditGate) -> list[str]:
    """The policy's answer, in lines; what rests on ``gate.json`` alone says so."""
    if not gate.outcome:
        return [f"policy       not decided: {gate.why}"]
    if not gate.again:
        told = f"gate.json says {gate.outcome}, on somebody's word"
        return [f"policy       {gate.policy}: not decided again ({gate.why}); {told}"]
    other = ""
    if gate.contradicted:
        other = f"; gate.json says {gate.said}, which is not so"
    elif gate.said != gate.outcome and gate.said:
        other = f"; that it {gate.said}, as gate.json says, cannot be found out here"
    failed = [
        f"  - {check.id}: {check.measured}" for check in gate.checks if check.status != "passed"
    ]
    decided = f"{gate.outcome}, decided again from {gate.file}"
    return [f"policy       {gate.policy}: {decided}{other}", *failed]


def _single(
    certificate: Path,
    target: Target,
    model: Path | None,
    input_: Path | None,
    index: int | None,
    truth: str | None,
    *,
    scripts: bool,
) -> int:
    """The one-page version, from a certificate, its model and its input; the exit code."""
    from protoproof.report.audit import page_to_files

    if model is None or input_ is None:
        raise UsageError(
            "the page of one certificate needs --model and --input; protoproof show says what it "
            "claims without them"
        )
    target.prepare()
    found = page_to_files(
        certificate,
        target.out,
        model=model,
        input_=input_,
        index=index,
        pdf=target.pdf,
        labelled=truth,
        scripts=scripts,
    )
    told = {"accepted": found.accepted, "status": found.status}
    target.announce(
        told | {"conditions": list(found.conditions)},
        [
            f"certificate  {found.status}",
            *(f"holds if     {condition}" for condition in found.conditions),
        ],
    )
    return found.exit_code
