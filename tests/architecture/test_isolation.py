"""The checker runs where no prover, solver or learning library can be imported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.kernel.builders import file, pair_core, scene
from tests.support.sources import SOURCE_ROOT

# Blocks imports before anything else runs, then checks the certificate on the command line.
SCRIPT = """
import sys

def blocked(name):
    return any((name + ".").startswith(other + ".") for other in {blocked!r})

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if blocked(name):
            raise ImportError("blocked: " + name)

sys.meta_path.insert(0, Blocker())
sys.path[:0] = {path!r}
from protoproof.kernel import check
report = check(sys.argv[1], sys.argv[2])
loaded = sorted(name for name in sys.modules if blocked(name))
print(report.status, loaded)
"""

LIBRARIES = (
    "torch", "z3", "auto_LiRPA", "scipy", "onnx", "onnxruntime", "google", "sklearn", "ray",
    "jinja2",
)  # fmt: skip
KERNEL = ("kernel", "certificate", "errors")  # all that is needed
ROOMS = tuple(
    f"protoproof.{path.stem}"
    for path in sorted((SOURCE_ROOT / "protoproof").iterdir())
    if path.stem not in (*KERNEL, "__init__", "__pycache__", "py")
)


@pytest.mark.parametrize("flags", [[], ["-I", "-S", "-O"]], ids=["plain", "isolated"])
def test_the_checker_needs_no_prover(tmp_path: Path, flags: list[str]) -> None:
    here = scene(5)
    (tmp_path / "certificate.json").write_bytes(file(pair_core(here)))
    (tmp_path / "model.onnx").write_bytes(here.data)
    # without `site` (-S) the interpreter no longer finds installed packages by itself
    path = [str(SOURCE_ROOT), *(entry for entry in sys.path if entry.endswith("-packages"))]
    script = SCRIPT.format(blocked=LIBRARIES + ROOMS, path=path)
    result = subprocess.run(
        [sys.executable, *flags, "-c", script, "certificate.json", "model.onnx"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.stdout == "accepted []\n", result.stderr
