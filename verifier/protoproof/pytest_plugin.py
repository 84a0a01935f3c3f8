"""A pytest plugin: a team's own test suite as the gate.

    @pytest.mark.protoproof(model="net.onnx", policy="release.yaml", data="test.npz")
    def test_release(protoproof_gate):
        assert protoproof_gate.states["timeout"] == 0  # whatever else a team wants to demand

The gate runs before the test's body, which may look at the result or be empty. Paths are relative
to pytest's root directory. Results and campaign stay in pytest's cache, so a second run recomputes
nothing that did not change.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from protoproof.gate import GateResult

_RESULT = pytest.StashKey["GateResult"]()
_NEEDED = {"model", "policy", "data"}
_KNOWN = _NEEDED | {"latent", "output", "label", "baseline", "baseline_model", "workers", "device"}


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker."""
    config.addinivalue_line(
        "markers",
        "protoproof(model, policy, data, baseline=None, baseline_model=None, latent=(), "
        "output=None, label=None, workers=1, device='cpu'): "
        "the network passes the policy's gate",
    )


@pytest.fixture
def protoproof_gate(request: pytest.FixtureRequest) -> GateResult:
    """The result of the gate that the test's marker asks for."""
    if _RESULT not in request.node.stash:
        raise pytest.UsageError(f"{request.node.nodeid}: this fixture needs the marker protoproof")
    result: GateResult = request.node.stash[_RESULT]
    return result


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Run the gate; anything but ``passed`` fails the test with the rules that were broken."""
    marker = item.get_closest_marker("protoproof")
    if marker is None:
        return
    result = _run(item, marker.args, dict(marker.kwargs))
    item.stash[_RESULT] = result
    for check in result.checks:
        item.user_properties.append((f"protoproof:{check.id}", check.status))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Any:
    """After the body, so that a test may say more about a failure than this does."""
    outcome = yield
    result = item.stash.get(_RESULT, None)
    if result is not None and result.outcome != "passed":
        pytest.fail(explain(result), pytrace=False)
    return outcome


def explain(result: GateResult) -> str:
    """The broken rules, each with the line of the policy, and what they complain about."""
    from protoproof.gate.outcome import clean

    lines = [f"gate {result.outcome}: {clean(result.model['name'])}"]
    for check in result.failures:
        place = f"{result.policy.path}:{result.policy.line(check.place)}"
        lines.append(f"{place}: {check.status}: {clean(check.message)}")
        lines += [f"    {clean(f.name)}: {clean(f.text)}" for f in check.findings[:5]]
    return "\n".join(lines)


def _run(item: pytest.Item, args: tuple[Any, ...], wanted: dict[str, Any]) -> GateResult:
    from protoproof.errors import ProtoProofError
    from protoproof.extras import require

    wrong = sorted((_NEEDED - wanted.keys()) | (wanted.keys() - _KNOWN))
    if args or wrong:
        raise pytest.UsageError(
            f"{item.nodeid}: protoproof takes keywords {', '.join(sorted(_KNOWN))}; "
            f"missing or unknown: {', '.join(wrong) or 'positional arguments'}"
        )
    root = item.config.rootpath

    def path(word: str) -> Path:
        return root / Path(wanted[word])

    data = str(wanted["data"])
    source = str(root / data) if (root / data).exists() else data
    baseline, earlier_model = (
        None if wanted.get(word) is None else path(word) for word in ("baseline", "baseline_model")
    )
    try:
        require("explain", "the gate")
        from protoproof.explanation.evidence import called
        from protoproof.gate.run import run_gate

        return run_gate(
            path("policy"),
            path("model"),
            source,
            _directory(item, wanted),
            baseline=baseline,
            baseline_model=earlier_model,
            latent=wanted.get("latent", ()),
            output=wanted.get("output"),
            label=wanted.get("label"),
            workers=int(wanted.get("workers", 1)),
            device=str(wanted.get("device", "cpu")),
            about=called(["pytest", item.nodeid]),
        )
    except ProtoProofError as error:
        pytest.fail(f"gate refused: {error}", pytrace=False)


def _directory(item: pytest.Item, wanted: dict[str, Any]) -> Path:
    """One per question, so that two tests never share a campaign."""
    words = repr(sorted((key, str(value)) for key, value in wanted.items()))
    name = hashlib.sha256(words.encode("utf-8", "backslashreplace")).hexdigest()[:16]
    cache = getattr(item.config, "cache", None)
    if cache is None:  # pytest -p no:cacheprovider
        raise pytest.UsageError("the protoproof marker keeps its results in pytest's cache")
    directory: Path = cache.mkdir("protoproof") / name
    return directory
