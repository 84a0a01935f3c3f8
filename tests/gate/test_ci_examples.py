"""The examples for CI systems use commands and options that exist, and nothing injectable."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from protoproof.cli.app import program
from tests.support.cli import ROOT

ACTION = ROOT / ".github" / "actions" / "gate" / "action.yml"
EXAMPLES = sorted((ROOT / "specs" / "ci").iterdir())


def options() -> set[str]:
    """What ``gate`` takes."""
    command: Any = typer.main.get_command(program())
    return {name for p in command.commands["gate"].params for name in p.opts}


def test_every_example_is_yaml() -> None:
    assert {path.name for path in EXAMPLES} == {
        "github-workflow.yml",
        "gitlab-ci.yml",
        "pre-commit-config.yaml",
    }
    for path in (*EXAMPLES, ACTION):
        assert isinstance(yaml.safe_load(path.read_text()), dict)


@pytest.mark.parametrize("path", [*EXAMPLES, ACTION], ids=lambda path: path.name)
def test_options_exist(path: Path) -> None:
    used = set()
    for line in path.read_text().splitlines():
        command = re.search(r"protoproof gate (--.*)", line)
        if command:
            used |= {word for word in shlex.split(command[1]) if word.startswith("--")}
    assert used <= options()
    if path.name != "github-workflow.yml":
        assert {"--policy", "--model", "--data"} <= used


def test_the_workflow_passes_what_the_action_takes() -> None:
    action = yaml.safe_load(ACTION.read_text())
    workflow = yaml.safe_load((ROOT / "specs" / "ci" / "github-workflow.yml").read_text())
    steps = workflow["jobs"]["gate"]["steps"]
    given = next(step["with"] for step in steps if "actions/gate" in step.get("uses", ""))
    needed = {name for name, value in action["inputs"].items() if value["required"]}
    assert needed <= set(given) <= set(action["inputs"])


def test_no_input_becomes_a_part_of_a_script() -> None:
    for step in yaml.safe_load(ACTION.read_text())["runs"]["steps"]:
        assert "${{" not in step["run"]
        assert step["shell"] == "bash"


def test_only_what_this_run_made_is_uploaded(tmp_path: Path) -> None:
    """Caches hold the campaign and no result; the action names the files that its run left."""
    steps = yaml.safe_load((ROOT / "specs/ci/github-workflow.yml").read_text())["jobs"]["gate"]
    (cached,) = [step["with"]["path"] for step in steps["steps"] if "cache" in step.get("uses", "")]
    gitlab = yaml.safe_load((ROOT / "specs/ci/gitlab-ci.yml").read_text())["protoproof-gate"]
    assert [cached] == gitlab["cache"]["paths"] == ["out/gate/campaign"]
    results = yaml.safe_load(ACTION.read_text())["runs"]["steps"][2]
    assert results["if"] == "always()"
    for made, told in ((["gate.sarif"], ["sarif=o/gate.sarif"]), ([], [])):
        (tmp_path / "o").mkdir(exist_ok=True)
        for path in (tmp_path / "o").iterdir():
            path.unlink()
        for name in made:
            (tmp_path / "o" / name).touch()
        output = tmp_path / "outputs"
        output.write_text("")
        subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", results["run"]],
            env={"PATH": "/usr/bin:/bin", "OUT": "o", "GITHUB_OUTPUT": str(output)},
            cwd=tmp_path,
            check=True,
        )
        assert output.read_text().splitlines() == told


def test_the_action_installs_this_project() -> None:
    assert (ACTION.parent / ".." / ".." / ".." / "pyproject.toml").resolve().is_file()


def test_the_action_s_script_passes_its_values_on(tmp_path: Path) -> None:
    """Run by bash, with a program in ProtoProof's place that shows its arguments."""
    (tmp_path / "protoproof").write_text('#!/bin/bash\nprintf "%s\\n" "$@"\n')
    (tmp_path / "protoproof").chmod(0o755)
    script = yaml.safe_load(ACTION.read_text())["runs"]["steps"][1]["run"]
    values = {
        "MODEL": "my net.onnx",
        "POLICY": "$(touch gone)",
        "DATA": "d;e",
        "OUT": "out",
        "BASELINE": "old dir",
        "WORKERS": "",
    }
    done = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", script],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin", **values},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == [
        "gate", "--policy", "$(touch gone)", "--model", "my net.onnx", "--data", "d;e",
        "--out", "out", "--baseline", "old dir",
    ]  # fmt: skip
    assert not (tmp_path / "gone").exists()
