"""A start in an empty directory runs as it is, and its options are those that are used."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy as np
import onnx
import pytest
import yaml
from packaging.requirements import Requirement

from protoproof.certificate.reader import read_certificate
from protoproof.network import load
from tests.support.cli import protoproof
from tests.support.network.builders import draft

FILES = [".github/workflows/protoproof.yml", ".gitlab-ci.yml", "protoproof.yaml", "release.yaml"]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory with a network and data whose labels are what the network predicts."""
    parts, path = draft(bias=True), tmp_path / "net.onnx"
    x = np.random.default_rng(5).random((40, 1, 6, 6)).astype(np.float32)
    network = load(parts.save(tmp_path, path.name))
    lead = [np.diff(network.observe(image).logits) for image in x]
    parts.weights["head.bias"][1] -= np.median(lead)  # both classes are predicted
    network = load(parts.save(tmp_path, path.name))
    y = np.array([network.observe(image).predicted for image in x])
    (tmp_path / "data").mkdir()
    np.savez(tmp_path / "data" / "t.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    return tmp_path


def test_what_is_written_gates_as_it_is(place: Path) -> None:
    made = protoproof("init", "net.onnx", "--data", "data/t.npz", cwd=place)
    assert made.code == 0, made.err
    written = [line.split()[1] for line in made.out.splitlines() if line.startswith("written")]
    assert sorted(written) == FILES
    assert "give the job a variable PROTOPROOF" in made.out
    gated = protoproof("gate", "--workers", "1", cwd=place)
    assert gated.code == 0, gated.out + gated.err
    assert (place / "out" / "gate" / "gate.json").is_file()
    assert "gate        passed" in gated.out
    for name, job in ((FILES[0], "jobs"), (FILES[1], "protoproof-gate")):
        text = (place / name).read_text()
        assert job in yaml.safe_load(text)
        assert "protoproof gate\n" in text
        assert "$$" not in text
    before = {name: (place / name).read_bytes() for name in FILES}
    again = protoproof("init", "net.onnx", "--data", "data/t.npz", cwd=place)
    assert (again.code, "exists already; --force writes over it" in again.err) == (2, True)
    (place / "release.yaml").write_text("mine")
    forced = protoproof("init", "net.onnx", "--data", "data/t.npz", "--force", cwd=place)
    assert forced.code == 0
    assert {name: (place / name).read_bytes() for name in FILES} == before


def test_which_class_is_which_is_said_where_the_network_does_not(place: Path) -> None:
    bare = onnx.load(place / "net.onnx")
    del bare.metadata_props[:]
    onnx.save(bare, place / "bare.onnx")
    made = protoproof("init", "bare.onnx", "--data", "data/t.npz", "--ci", "none", cwd=place)
    assert (made.code, made.err) == (0, "")
    words = "the network names no classes: those of t.npz are taken as its 0, 1, ... in this order:"
    assert f"note        {words} 0, 1 (prepare --classes" in made.out


def test_a_gate_in_an_empty_directory_says_where_to_start(tmp_path: Path) -> None:
    done = protoproof("gate", cwd=tmp_path)
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "gate needs --policy, --model, --data" in done.err
    assert "protoproof init MODEL --data DATA" in done.err
    assert "needs --model, --data, on" in protoproof("gate", "--policy", "p", cwd=tmp_path).err
    assert not list(tmp_path.iterdir())


def test_only_what_is_asked_for(place: Path) -> None:
    made = protoproof(
        "init", "net.onnx", "--data", "data/t.npz", "--ci", "none", "--json", cwd=place
    )
    assert json.loads(made.out) == {"files": ["protoproof.yaml", "release.yaml"]}
    assert not (place / ".github").exists()
    wrong = protoproof("init", "net.onnx", "--data", "data/t.npz", "--ci", "jenkins", cwd=place)
    assert (wrong.code, "use both, github, gitlab, none" in wrong.err) == (2, True)


def test_what_lies_elsewhere_is_in_no_job(place: Path) -> None:
    below = place / "below"
    below.mkdir()
    asked = ("init", place / "net.onnx", "--data", "../data/t.npz")
    refused = protoproof(*asked, cwd=below)
    assert (refused.code, "lies outside this directory" in refused.err) == (2, True)
    assert protoproof(*asked, "--ci", "none", cwd=below).code == 0
    written = (below / "protoproof.yaml").read_text()
    assert str(place) not in written
    assert 'model: "../net.onnx"\ndata: "../data/t.npz"\n' in written
    assert protoproof("gate", "--workers", "1", cwd=below).code == 0


def installing(place: Path, name: str) -> str:
    """The script of a job that installs the program."""
    job = yaml.safe_load((place / name).read_text())
    if "protoproof-gate" in job:
        return str(job["protoproof-gate"]["script"][0])
    (step,) = [s for s in job["jobs"]["gate"]["steps"] if "pip install" in s.get("run", "")]
    assert step["env"] == {"PROTOPROOF": "${{ vars.PROTOPROOF }}"}
    return str(step["run"])


def test_jobs_install_what_a_variable_names(place: Path) -> None:
    """Run by a shell, with a pip that shows its arguments: there is no release to install yet."""
    assert protoproof("init", "net.onnx", "--data", "data/t.npz", cwd=place).code == 0
    (place / "pip").write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    (place / "pip").chmod(0o755)
    url = "git+https://example.org/o/protoproof@0123abc"
    for name in FILES[:2]:
        script = installing(place, name)
        for given, wanted in ((url, f"protoproof[campaign] @ {url}"), ("./p p", "./p p[campaign]")):
            done = shell(script, place, given)
            assert done.stdout.splitlines() == ["install", wanted]
        none = shell(script, place, "")
        assert (none.returncode, "set PROTOPROOF" in none.stderr) == (2, True)
    assert Requirement(f"protoproof[campaign] @ {url}").url == url


def shell(script: str, place: Path, given: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", "-e", "-c", script],
        env={"PATH": f"{place}:/usr/bin:/bin", "PROTOPROOF": given},
        capture_output=True,
        text=True,
        check=False,
    )


def test_what_could_not_be_gated_is_refused(place: Path) -> None:
    x, y = np.zeros((2, 1, 9, 9), np.float32), np.array([0, 1])
    np.savez(place / "wide.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    wide = protoproof("init", "net.onnx", "--data", "wide.npz", cwd=place)
    assert (wide.code, "do not fit the network's input" in wide.err) == (2, True)
    assert protoproof("init", "net.onnx", "--data", "absent.npz", cwd=place).code == 2
    assert not (place / "protoproof.yaml").exists()


def options(place: Path, text: str) -> None:
    (place / "protoproof.yaml").write_text(text)


def test_the_command_line_wins(place: Path) -> None:
    options(
        place,
        "model: absent.onnx\nlabel: '7'\nexplain:\n  model: net.onnx\n  label: null\n",
    )
    x = np.load(place / "data" / "t.npz")["x_test"]
    np.save(place / "x.npy", x[0])
    refused = protoproof("explain", "--input", "x.npy", cwd=place)
    assert (refused.code, "label: wants a text or a number" in refused.err) == (2, True)
    options(
        place,
        "model: net.onnx\ndata: data/t.npz\nexplain:\n  vocabulary: pairs\n  no-witnesses: true\n"
        "  input: x.npy\n  out: one.cert.json\n  json: true\n",
    )
    refused = protoproof("explain", cwd=place)
    assert (refused.code, "'no-witnesses' is no option of explain" in refused.err) == (2, True)
    options(
        place,
        (place / "protoproof.yaml").read_text().replace("no-witnesses: true", "witnesses: false"),
    )
    stated = protoproof("explain", cwd=place)
    assert stated.code == 0, stated.err
    document = json.loads(stated.out)
    assert document["vocabulary"] == "pairs"
    assert not read_certificate((place / "one.cert.json").read_bytes()).core.witnesses
    chosen = protoproof("explain", "--vocabulary", "topk", cwd=place)
    assert json.loads(chosen.out)["vocabulary"] == "topk"
    other = protoproof("explain", "other.onnx", cwd=place)
    assert (other.code, "other.onnx" in other.err) == (2, True)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("modle: net.onnx", "'modle' is unknown; at the top stand model, data, policy"),
        ("gate: {polciy: x}", "'polciy' is no option of gate"),
        ("gate: [1]", "'gate' holds no options"),
        ("- 1", "holds no options; write KEY: VALUE"),
        ("model: &a x", "not plain YAML"),
        ("gate: {quiet: 1}", "wants true or false"),
        ("model: {a: b}", "wants a text or a number"),
        ("gate: {workers: many}", "Invalid value"),
    ],
)
def test_what_is_not_known_is_refused(place: Path, text: str, problem: str) -> None:
    options(place, text)
    result = protoproof("gate", "--policy", "p.yaml", "--model", "m", "--data", "d", cwd=place)
    assert result.code == 2
    assert problem in result.err
    assert protoproof("inspect", "net.onnx", cwd=place).code == 0  # other verbs read no options
