"""Which files are mutated, and by which tests."""

from __future__ import annotations

from pathlib import PurePosixPath


def _tests(*names: str) -> tuple[str, ...]:
    return tuple(f"tests/kernel/test_{name}.py" for name in names)


# what heads of every kind, their certificates and their witnesses are put to
BROAD = _tests(
    "accepts", "claims", "domains", "fails_closed", "forms", "heads", "heads_checked",
    "heads_moves", "heads_rows", "implied", "regions", "rejects", "routing", "second_checker",
    "size", "splits", "theorems", "topk", "undefined", "witness",
)  # fmt: skip
CASES = ("tests/explanation/test_cases.py",)

# a file below ``verifier/protoproof/kernel``, and the quickest tests that know what it computes
GROUPS: dict[str, tuple[str, ...]] = {
    "latent/lagrangian.py": _tests("rule", "rows_exactly", "regions"),
    "model/chain.py": _tests("chain_values", "chain"),
    "model/primitives.py": _tests("primitives"),
    "latent/bounds.py": _tests("bounds"),
    "latent/rows.py": _tests("rows"),
    "latent/relaxation.py": _tests("relaxation"),
    "latent/margins.py": _tests("margins"),
    "latent/pooling.py": _tests("pooling"),
    "latent/ranges.py": _tests("ranges"),
    "latent/domain.py": _tests("bounded"),
    "latent/bounded.py": _tests("bounded"),
    "latent/value.py": _tests("values"),
    "latent/facts.py": _tests("facts"),
    "arithmetic/exact.py": _tests("arithmetic", "primitives"),
    "arithmetic/outward.py": _tests("outward"),
    "latent/measurement.py": _tests("measurements"),
    "latent/measurer.py": _tests("measurements", "shared_models"),
    "latent/witness.py": _tests("moves"),
    "latent/contrast.py": _tests("moves"),
    "latent/size.py": _tests("clauses"),
    "latent/case_bounds.py": (*_tests("case_trees"), *CASES),
    "latent/case_domain.py": _tests("case_trees"),
    "latent/case_tree.py": (*_tests("case_trees"), *CASES),
    "latent/cases.py": (*_tests("case_trees"), *CASES),
    "model/decision.py": _tests("decision"),
    "float32/scores.py": _tests("scores", "short_numbers"),
    "sufficiency.py": _tests("obligations"),
    "necessity.py": _tests("obligations"),
}
MODULES = tuple(str(PurePosixPath("kernel") / name) for name in GROUPS)
