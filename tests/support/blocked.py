"""A process in which some packages cannot be imported, as where they are not installed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.support.sources import SOURCE_ROOT

# what the extras add to a plain installation
EXTRAS = (
    "array_api_compat",
    "auto_LiRPA",
    "cryptography",
    "mlxtend",
    "onnxruntime",
    "pyarrow",
    "ray",
    "safetensors",
    "scipy",
    "torch",
    "vnnlib",
    "z3",
)

_START = """
import json, sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked!r}:
            raise ModuleNotFoundError("No module named " + repr(name), name=name)

sys.meta_path.insert(0, Blocker())
sys.path.insert(0, {source!r})
"""

_VERBS = """
import contextlib, io
from protoproof.cli.app import main

answers = []
for command in json.loads(sys.argv[1]):
    sys.argv = ["protoproof", *command]
    out, err, code = io.StringIO(), io.StringIO(), 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main()
        except SystemExit as end:
            code = end.code or 0
    answers.append([code, out.getvalue(), err.getvalue()])
print(json.dumps([answers, sorted(sys.modules)]))
"""


def run(
    script: str,
    blocked: Collection[str],
    cwd: Path,
    *arguments: str,
    environment: Mapping[str, str] | None = None,
) -> Any:
    """What a script prints, as JSON, in a process of its own without the blocked packages."""
    start = _START.format(blocked=set(blocked), source=str(SOURCE_ROOT))
    result = subprocess.run(
        [sys.executable, "-c", start + script, *arguments],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def verbs(
    commands: Sequence[Sequence[object]],
    blocked: Collection[str],
    cwd: Path,
    environment: Mapping[str, str] | None = None,
) -> tuple[list[tuple[int, str, str]], set[str]]:
    """Exit code, output and errors of command lines, and the modules that they loaded."""
    words = json.dumps([[str(word) for word in command] for command in commands])
    answers, modules = run(_VERBS, blocked, cwd, words, environment=environment)
    return [(code, out, err) for code, out, err in answers], set(modules)
