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
    "latent/bounds.py": BROAD,
    "latent/rows.py": BROAD,
    "latent/relaxation.py": BROAD,
    "latent/margins.py": BROAD,
    "latent/pooling.py": BROAD,
    "latent/ranges.py": BROAD,
    "latent/domain.py": BROAD,
    "latent/bounded.py": BROAD,
    "latent/value.py": BROAD,
    "latent/facts.py": BROAD,
    "arithmetic/exact.py": (*_tests("arithmetic"), *BROAD),
    "arithmetic/outward.py": _tests("outward"),
    "latent/measurement.py": _tests("measurements"),
    "latent/witness.py": BROAD,
    "latent/contrast.py": BROAD,
    "latent/size.py": BROAD,
    "latent/case_bounds.py": (*BROAD, *CASES),
    "latent/case_domain.py": (*BROAD, *CASES),
    "latent/case_tree.py": (*BROAD, *CASES),
    "latent/cases.py": (*BROAD, *CASES),
    "model/decision.py": BROAD,
    "sufficiency.py": BROAD,
    "necessity.py": BROAD,
}
MODULES = tuple(str(PurePosixPath("kernel") / name) for name in GROUPS)
