"""Which files are mutated, and by which tests."""

from __future__ import annotations

# the rules that bound, what similarities are, and the arithmetic below; paths in the package
MODULES = (
    "kernel/latent/lagrangian.py",
    "kernel/latent/bounds.py",
    "kernel/latent/rows.py",
    "kernel/latent/relaxation.py",
    "kernel/latent/margins.py",
    "kernel/latent/pooling.py",
    "kernel/model/chain.py",
    "kernel/model/primitives.py",
    "kernel/latent/ranges.py",
    "kernel/latent/domain.py",
    "kernel/latent/bounded.py",
    "kernel/latent/value.py",
    "kernel/latent/facts.py",
    "kernel/arithmetic/exact.py",
    "kernel/arithmetic/outward.py",
    "kernel/latent/measurement.py",
    "kernel/latent/witness.py",
    "kernel/latent/contrast.py",
    "kernel/latent/size.py",
    "kernel/latent/case_bounds.py",
    "kernel/latent/case_domain.py",
    "kernel/latent/case_tree.py",
    "kernel/latent/cases.py",
    "kernel/model/decision.py",
    "kernel/sufficiency.py",
    "kernel/necessity.py",
)

TESTS = tuple(
    f"tests/kernel/test_{name}.py"
    for name in (
        "accepts", "arithmetic", "chain", "claims", "departures", "domains", "fails_closed",
        "forms", "heads", "heads_checked", "heads_moves", "heads_rows", "implied", "outward",
        "regions", "rejects", "routing", "size", "splits", "theorems", "topk", "undefined",
        "witness",
    )
)  # fmt: skip
TESTS += ("tests/explanation/test_cases.py", "tests/trust/test_mutants_found.py")
