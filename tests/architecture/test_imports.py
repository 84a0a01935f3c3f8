"""Who may import whom. An arrow that is not in these tables is an error, whatever it imports."""

from __future__ import annotations

import sys

import pytest

from tests.architecture.sources import Source, product

# Modules that every room may use: they know nothing of any room.
BASE = {"protoproof.errors", "protoproof.verdict", "protoproof.version"}
PROVER = (
    "protoproof.network",
    "protoproof.prover.latent",
    "protoproof.prover.oracle",
    "protoproof.prover.search",
)

# room -> the rooms it may import besides itself and BASE
ARROWS: dict[str, set[str]] = {
    "protoproof.errors": set(),
    "protoproof.verdict": set(),
    "protoproof.version": set(),
    "protoproof.files": set(),
    "protoproof.strict_yaml": set(),
    # the prover: later stages import earlier ones, never back
    "protoproof.network": {"protoproof.files", "protoproof.strict_yaml"},
    "protoproof.prover.latent": {*PROVER[:1]},
    "protoproof.prover.oracle": {*PROVER[:2]},
    "protoproof.prover.search": {*PROVER[:3]},
    "protoproof.region.bounds": {"protoproof.network"},
    # proofs: data, and the trusted part
    "protoproof.certificate": set(),
    "protoproof.kernel": {"protoproof.certificate"},
    # the order of stages; a claim counts only when the checker accepted its certificate
    "protoproof.prover.proof.encode": {
        *PROVER,
        "protoproof.region.bounds",
        "protoproof.prover.proof.encode_cases",
        "protoproof.certificate",
        "protoproof.prover.proof.encode_boxed",
    },
    "protoproof.prover.proof.encode_cases": {
        *PROVER,
        "protoproof.certificate",
        "protoproof.prover.proof.encode_boxed",
    },
    "protoproof.prover.proof.encode_boxed": {*PROVER, "protoproof.certificate"},
    "protoproof.explanation.minimum": {
        *PROVER,
        "protoproof.prover.proof.encode",
        "protoproof.certificate",
        "protoproof.kernel",
        "protoproof.prover.proof.inflation",
    },
    "protoproof.prover.proof.evaluate": {*PROVER, "protoproof.certificate"},
    "protoproof.prover.proof.inflation": {
        *PROVER,
        "protoproof.certificate",
        "protoproof.prover.proof.evaluate",
    },
    "protoproof.explanation.result": {
        *PROVER,
        "protoproof.certificate",
        "protoproof.kernel",
        "protoproof.files",
    },
    "protoproof.explanation.explainer": {
        *PROVER,
        "protoproof.explanation.result",
        "protoproof.explanation.minimum",
        "protoproof.prover.proof.encode",
        "protoproof.region.bounds",
        "protoproof.certificate",
        "protoproof.kernel",
        "protoproof.files",
        "protoproof.prover.proof.inflation",
        "protoproof.region.bounds.latent_bounds",
    },
    # regions of inputs: what the encoder reaches, whether all of it is predicted alike
    "protoproof.region.bounds.latent_bounds": {*PROVER[:3], "protoproof.region.bounds"},
    "protoproof.certification.result": {
        "protoproof.region.bounds",
        "protoproof.certificate",
        "protoproof.kernel",
        "protoproof.files",
        "protoproof.network",
    },
    "protoproof.certification.branch_and_bound": {
        *PROVER[:3],
        "protoproof.prover.proof.encode",
        "protoproof.region.bounds",
        "protoproof.certificate",
        "protoproof.region.bounds.latent_bounds",
    },
    "protoproof.certification.invariance": {
        *PROVER,
        "protoproof.prover.proof.encode",
        "protoproof.region.bounds",
        "protoproof.certificate",
        "protoproof.explanation.explainer",
        "protoproof.region.bounds.latent_bounds",
    },
    "protoproof.certification.certify": {
        "protoproof.certification.invariance",
        *PROVER[:3],
        "protoproof.prover.proof.encode",
        "protoproof.region.bounds",
        "protoproof.certification.branch_and_bound",
        "protoproof.certificate",
        "protoproof.certification.result",
        "protoproof.kernel",
        "protoproof.explanation.explainer",
        "protoproof.region.bounds.latent_bounds",
    },
    # training patches that look like a latent: observed, never proved
    "protoproof.report.files.nearest_patches": {"protoproof.network"},
    # all explanations of one prediction, and contrasts
    "protoproof.explanation.alternatives": {
        "protoproof.explanation.minimum",
        "protoproof.explanation.result",
        *PROVER,
        "protoproof.prover.proof.encode",
        "protoproof.certificate",
        "protoproof.kernel",
        "protoproof.explanation.explainer",
    },
    # readers of certificates and check results, never of live solver objects
    "protoproof.campaign": {
        "protoproof.explanation.result",
        "protoproof.prover.proof.encode",
        "protoproof.region.bounds",
        "protoproof.certification.certify",
        "protoproof.certificate",
        "protoproof.kernel",
        "protoproof.files",
        "protoproof.network",
        "protoproof.explanation.explainer",
    },
    "protoproof.gate": {
        "protoproof.strict_yaml",
        "protoproof.campaign",
        "protoproof.certificate",
        "protoproof.kernel",
        "protoproof.files",
    },
    "protoproof.report.page": {
        "protoproof.campaign",
        "protoproof.certificate",
        "protoproof.kernel",
        "protoproof.files",
        "protoproof.gate",
    },
    # what inputs share an explanation: observed, never proved
    "protoproof.report.ambiguity": {
        "protoproof.files",
        "protoproof.network",
        "protoproof.report.page",
    },
    # the question behind an explanation, for other solvers
    "protoproof.explanation.smtlib": {
        *PROVER,
        "protoproof.explanation.result",
        "protoproof.files",
        "protoproof.explanation.explainer",
    },
    "protoproof.report.files.alternatives_view": {
        "protoproof.explanation.result",
        "protoproof.explanation.alternatives",
        *PROVER,
        "protoproof.prover.proof.encode",
        "protoproof.report.files.nearest_patches",
        "protoproof.explanation.explainer",
        "protoproof.report.page",
    },
    # the audit report of many explanations; every certificate is proved again
    "protoproof.report.audit": {
        "protoproof.prover.proof.encode",
        "protoproof.campaign",
        "protoproof.certificate",
        "protoproof.kernel",
        "protoproof.files",
        "protoproof.network",
        "protoproof.report.page",
    },
    # one explanation with the files it leaves behind: certificate, check result, page
    "protoproof.report.files.explanation_files": {
        "protoproof.explanation.alternatives",
        "protoproof.report.files.nearest_patches",
        "protoproof.explanation.result",
        "protoproof.prover.proof.encode",
        "protoproof.report.files.alternatives_view",
        "protoproof.certificate",
        "protoproof.kernel",
        "protoproof.files",
        "protoproof.network",
        "protoproof.explanation.explainer",
        "protoproof.report.page",
    },
    # many of them, one after another
    "protoproof.report.files.batch": {
        "protoproof.files",
        "protoproof.network",
        "protoproof.explanation.explainer",
        "protoproof.report.files.explanation_files",
    },
}

# What the trusted part may load besides the standard library.
CHECKER_PACKAGES = {"flint", "numpy", "onnx"}
CERTIFICATE_PACKAGES = {"pydantic"}

# Packages that stay behind one file each, so that a change of theirs is a change in one place.
IN_ONE_FILE = ("auto_LiRPA", "jinja2", "pyarrow", "ray", "z3")

SOURCES = product()


def _allowed(source: Source, target: str) -> bool:
    """Whether ``source`` may import the product module ``target``."""
    room = ".".join(target.split(".")[:2])
    if source.room == "models":
        inside = target.split(".")[0] == "models"
        free = BASE | {"protoproof.files"}
        # the demonstration uses the product as a user does; nothing else in models/ may
        return inside or room in free or source.module == "protoproof.cli.demo"
    if target.split(".")[0] == "models":
        return source.room in ("cli", "protoproof.cli")
    if source.room in (
        "cli",
        "verifier",
        "protoproof.cli",
    ):  # the command line, and what `import protoproof` offers
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
    rooms = {source.room for source in SOURCES} - {"cli", "models", "verifier", "protoproof.cli"}
    assert rooms <= set(ARROWS)


def test_no_import_is_hidden() -> None:
    # `import protoproof` resolves its public names lazily, from a table of constants
    computed = {
        source.module
        for source in SOURCES
        if any(found.target == "<computed>" for found in source.imports())
    }
    assert computed <= {"verifier"}


@pytest.mark.parametrize(
    ("room", "packages"),
    [("protoproof.kernel", CHECKER_PACKAGES), ("protoproof.certificate", CERTIFICATE_PACKAGES)],
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
