"""The checker alone: isolated interpreter, no site packages found, asserts off, no prover."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from protoproof.kernel import check
from tests.support.kernel.builders import INPUT, file, pair_core, scene, topk_core

ROOT = Path(__file__).parents[2]

SCRIPT = """
import sys
sys.path[:0] = {paths!r}
FORBIDDEN = ("torch", "z3", "auto_LiRPA", "scipy", "onnxruntime", "jaxtyping", "onnx")
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in FORBIDDEN:
            raise ImportError(name + " must not be imported by the checker")
sys.meta_path.insert(0, Refuse())
import json
from pathlib import Path

import pytest
from protoproof.kernel import check
rooms = {{name.split(".")[1] for name in sys.modules if name.startswith("protoproof.")}}
allowed = {{"certificate", "kernel", "errors", "verdict"}}
folder = Path({folder!r})
reports = [
    check(folder / (name + ".json"), folder / "model.onnx", {digest!r}).to_json()
    for name in {names!r}
]
loaded = sorted(set(FORBIDDEN) & set(sys.modules)) + sorted(rooms - allowed)
sys.stdout.write(json.dumps({{"reports": reports, "loaded": loaded, "debug": __debug__}}))
"""


@pytest.mark.trust(21)
def test_the_checker_gives_the_same_verdicts_alone(tmp_path: Path) -> None:
    here = scene(2, count=5, channels=5)
    honest, named = pair_core(here), topk_core(here)
    update = {"facts": honest.facts[1:]}
    files = {
        "pairs": file(honest),
        "topk": file(named),
        "fewer": file(topk_core(here, 1)),
        "dropped": file(honest.model_copy(update=update)),
        "junk": b"[" * 100_000,
    }
    (tmp_path / "model.onnx").write_bytes(here.data)
    for name, data in files.items():
        (tmp_path / f"{name}.json").write_bytes(data)
    paths = [str(ROOT / "verifier"), *(path for path in sys.path[1:] if path)]
    script = SCRIPT.format(paths=paths, folder=str(tmp_path), digest=INPUT, names=list(files))
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-O", "-c", script],
        capture_output=True, check=True, text=True,
    )  # fmt: skip
    answer = json.loads(done.stdout)
    assert answer["debug"] is False
    assert answer["loaded"] == []
    expected = [check(data, here.data, INPUT).to_json() for data in files.values()]
    assert answer["reports"] == json.loads(json.dumps(expected))
    statuses = {report["status"] for report in answer["reports"]}
    assert {"accepted", "rejected"} <= statuses
