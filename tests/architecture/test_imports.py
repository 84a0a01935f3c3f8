"""Who may import whom. An arrow that is not in these tables is an error, whatever it imports."""

from __future__ import annotations

import sys

import pytest

from tests.architecture.sources import Source, product

# Modules that every room may use: they know nothing of any room.
BASE = {"verifier.errors", "verifier.verdict", "verifier.version"}
PROVER = ("verifier.network", "verifier.latent", "verifier.oracle", "verifier.minimise")

# room -> the rooms it may import besides itself and BASE
ARROWS: dict[str, set[str]] = {
    "verifier.errors": set(),
    "verifier.verdict": set(),
    "verifier.version": set(),
    "verifier.files": set(),
    "verifier.plain_yaml": set(),
    # the prover: later stages import earlier ones, never back
    "verifier.network": {"verifier.files", "verifier.plain_yaml"},
    "verifier.latent": {*PROVER[:1]},
    "verifier.oracle": {*PROVER[:2]},
    "verifier.minimise": {*PROVER[:3]},
    "verifier.bounds": {"verifier.network"},
    # proofs: data, and the trusted part
    "verifier.certificate": set(),
    "verifier.checker": {"verifier.certificate"},
    # the order of stages; a claim counts only when the checker accepted its certificate
    "verifier.assembly": {
        *PROVER,
        "verifier.bounds",
        "verifier.case_evidence",
        "verifier.certificate",
        "verifier.domain_evidence",
    },
    "verifier.case_evidence": {*PROVER, "verifier.certificate", "verifier.domain_evidence"},
    "verifier.domain_evidence": {*PROVER, "verifier.certificate"},
    "verifier.smallest": {
        *PROVER,
        "verifier.assembly",
        "verifier.certificate",
        "verifier.checker",
        "verifier.widening",
    },
    "verifier.evidence": {*PROVER, "verifier.certificate"},
    "verifier.widening": {*PROVER, "verifier.certificate", "verifier.evidence"},
    "verifier.explanation": {
        *PROVER,
        "verifier.certificate",
        "verifier.checker",
        "verifier.files",
    },
    "verifier.pipeline": {
        *PROVER,
        "verifier.explanation",
        "verifier.smallest",
        "verifier.assembly",
        "verifier.bounds",
        "verifier.certificate",
        "verifier.checker",
        "verifier.files",
        "verifier.widening",
        "verifier.reaching",
    },
    # regions of inputs: what the encoder reaches, whether all of it is predicted alike
    "verifier.reaching": {*PROVER[:3], "verifier.bounds"},
    "verifier.certified": {
        "verifier.bounds",
        "verifier.certificate",
        "verifier.checker",
        "verifier.files",
        "verifier.network",
    },
    "verifier.branching": {
        *PROVER[:3],
        "verifier.assembly",
        "verifier.bounds",
        "verifier.certificate",
        "verifier.reaching",
    },
    "verifier.holding": {
        *PROVER,
        "verifier.assembly",
        "verifier.bounds",
        "verifier.certificate",
        "verifier.pipeline",
        "verifier.reaching",
    },
    "verifier.robustness": {
        "verifier.holding",
        *PROVER[:3],
        "verifier.assembly",
        "verifier.bounds",
        "verifier.branching",
        "verifier.certificate",
        "verifier.certified",
        "verifier.checker",
        "verifier.pipeline",
        "verifier.reaching",
    },
    # training patches that look like a latent: observed, never proved
    "verifier.nearby": {"verifier.network"},
    # all explanations of one prediction, and contrasts
    "verifier.alternatives": {
        "verifier.smallest",
        "verifier.explanation",
        *PROVER,
        "verifier.assembly",
        "verifier.certificate",
        "verifier.checker",
        "verifier.pipeline",
    },
    # readers of certificates and check results, never of live solver objects
    "verifier.campaign": {
        "verifier.explanation",
        "verifier.assembly",
        "verifier.bounds",
        "verifier.robustness",
        "verifier.certificate",
        "verifier.checker",
        "verifier.files",
        "verifier.network",
        "verifier.pipeline",
    },
    "verifier.gate": {
        "verifier.plain_yaml",
        "verifier.campaign",
        "verifier.files",
        # one network for the campaign and for finding it out again
        "verifier.network",
    },
    "verifier.report": {
        "verifier.campaign",
        "verifier.certificate",
        "verifier.checker",
        "verifier.files",
        "verifier.gate",
    },
    # what inputs share an explanation: observed, never proved
    "verifier.ambiguity": {"verifier.files", "verifier.network", "verifier.report"},
    # the question behind an explanation, for other solvers
    "verifier.questions": {
        *PROVER,
        "verifier.explanation",
        "verifier.files",
        "verifier.pipeline",
    },
    "verifier.extras": {
        "verifier.explanation",
        "verifier.alternatives",
        *PROVER,
        "verifier.assembly",
        "verifier.nearby",
        "verifier.pipeline",
        "verifier.report",
    },
    # the audit report of many explanations; every certificate is proved again
    "verifier.audit": {
        "verifier.assembly",
        "verifier.campaign",
        "verifier.certificate",
        "verifier.checker",
        "verifier.files",
        "verifier.network",
        "verifier.report",
    },
    # one explanation with the files it leaves behind: certificate, check result, page
    "verifier.session": {
        "verifier.alternatives",
        "verifier.nearby",
        "verifier.explanation",
        "verifier.assembly",
        "verifier.extras",
        "verifier.certificate",
        "verifier.checker",
        "verifier.files",
        "verifier.network",
        "verifier.pipeline",
        "verifier.report",
    },
    # many of them, one after another
    "verifier.stream": {
        "verifier.files",
        "verifier.network",
        "verifier.pipeline",
        "verifier.session",
    },
}

# What the trusted part may load besides the standard library.
CHECKER_PACKAGES = {"flint", "numpy"}
CERTIFICATE_PACKAGES = {"pydantic"}

# Packages that stay behind one file each, so that a change of theirs is a change in one place.
IN_ONE_FILE = ("auto_LiRPA", "jinja2", "pyarrow", "ray", "z3")

SOURCES = product()


def _allowed(source: Source, target: str) -> bool:
    """Whether ``source`` may import the product module ``target``."""
    room = ".".join(target.split(".")[:2])
    if source.room == "models":
        inside = target.split(".")[0] == "models"
        free = BASE | {"verifier.files"}
        # the demonstration uses the product as a user does; nothing else in models/ may
        return inside or room in free or source.module == "models.demo"
    if target.split(".")[0] == "models":
        return source.room in ("cli", "verifier.console")
    if source.room in (
        "cli",
        "verifier",
        "verifier.console",
    ):  # the command line, and what `import verifier` offers
        return True
    return room == source.room or room in BASE or room in ARROWS[source.room]


def test_only_the_allowed_arrows() -> None:
    wrong = [
        f"{source.module}:{found.line} imports {found.target}"
        for source in SOURCES
        for found in source.imports()
        if found.target.split(".")[0] in ("verifier", "models", "cli", "tests")
        and not _allowed(source, found.target)
    ]
    assert not wrong, "\n".join(wrong)


def test_every_room_has_a_row() -> None:
    rooms = {source.room for source in SOURCES} - {"cli", "models", "verifier", "verifier.console"}
    assert rooms <= set(ARROWS)


def test_no_import_is_hidden() -> None:
    # `import verifier` resolves its public names lazily, from a table of constants
    computed = {
        source.module
        for source in SOURCES
        if any(found.target == "<computed>" for found in source.imports())
    }
    assert computed <= {"verifier"}


@pytest.mark.parametrize(
    ("room", "packages"),
    [("verifier.checker", CHECKER_PACKAGES), ("verifier.certificate", CERTIFICATE_PACKAGES)],
)
def test_the_trusted_part_uses_few_packages(room: str, packages: set[str]) -> None:
    allowed = {*packages, *sys.stdlib_module_names, "verifier"}
    wrong = [
        f"{source.module}:{found.line} imports {found.target}"
        for source in SOURCES
        if source.room == room
        for found in source.imports()
        if found.target.split(".")[0] not in allowed
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("package", IN_ONE_FILE)
def test_heavy_packages_stay_behind_one_file(package: str) -> None:
    users = {
        source.module
        for source in SOURCES
        if any(found.target.split(".")[0] == package for found in source.imports())
    }
    assert len(users) <= 1, f"{package} is imported in {sorted(users)}"


def test_arrows_form_no_circle() -> None:
    done: set[str] = set()
    waiting = dict(ARROWS)
    while waiting:
        ready = [room for room, needs in waiting.items() if needs <= done]
        assert ready, f"these rooms need each other: {sorted(waiting)}"
        done.update(ready)
        for room in ready:
            del waiting[room]
