"""Options of ``explain`` that would have no effect are refused in one line, before any work."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from protoproof.cli.app import program
from protoproof.data.dataset import load_data
from protoproof.errors import ProtoProofError
from protoproof.explanation.explainer import explain
from protoproof.resources import zoo_path
from tests.support.cli import protoproof

MODEL = zoo_path("mnist-1x1")


@pytest.fixture(scope="module")
def digit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("digit") / "x.npy"
    np.save(path, load_data("mnist5k").x_test[0])
    return path


def called(*arguments: object) -> int:
    """The exit code of a command in this process; what it refuses is raised."""
    words = [*map(str, arguments)]
    return int(program(words)(words, standalone_mode=False) or 0)


def refused(*arguments: object, words: list[str]) -> None:
    with pytest.raises(ProtoProofError) as caught:
        called(*arguments)
    assert caught.value.exit_code == 2
    line = str(caught.value)
    assert "\n" not in line
    assert all(word in line for word in words), line


def test_a_refusal_is_one_line_and_exit_code_2(digit: Path, tmp_path: Path) -> None:
    result = protoproof("explain", MODEL, "--input", digit, "--most", "5", cwd=tmp_path)
    assert (result.code, result.out, result.err.count("\n")) == (2, "", 1)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("explain", MODEL, "--input", "no.png", "--json"), "no such file"),
        (("explain", MODEL, "--input", ".", "--json"), "is a folder"),
        (("explain", MODEL, "--nonsense", "--json"), "No such option"),
        (("check", "no.json", MODEL, "--json"), "no such file"),
        (("nonsense", "--json"), "No such command"),
    ],
)
def test_errors_are_documents_too(arguments: tuple[object, ...], word: str, tmp_path: Path) -> None:
    result = protoproof(*arguments, cwd=tmp_path)
    document = json.loads(result.out)
    assert document == {"error": document["error"], "exit_code": 2}
    assert result.code == 2
    assert word in document["error"]
    assert result.err == f"error: {document['error']}\n"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--most", "5"], ["--most", "--minimal all"]),
        (["--training", "mnist5k"], ["--training", "--contrast"]),
        (["--oracle", "relational", "--vocabulary", "topk"], ["--oracle relational", "topk"]),
        (["--oracle", "exact", "--vocabulary", "ceiling"], ["--oracle interval", "ceiling"]),
        (["--oracle", "interval", "--vocabulary", "topk"], ["--oracle interval", "topk"]),
        (["--oracle", "triangle", "--vocabulary", "mixed"], ["--oracle triangle", "relational"]),
        (["--oracle", "smt", "--minimal", "minimum"], ["branch-and-bound", "--minimal minimum"]),
        (["--oracle", "exact", "--minimal", "minimum"], ["--oracle interval", "--minimal minimum"]),
        (["--minimal", "all", "--vocabulary", "topk"], ["topk", "pairs", "mixed"]),
        (["--minimal", "all", "--vocabulary", "ceiling"], ["ceiling", "pairs", "mixed"]),
        (["--minimal", "foo"], ["subset", "minimum", "all"]),
        (["--domain", "foo"], ["free", "box", "sphere", "simplex", "linf:0.02"]),
        (["--domain", "linf:wide"], ["--domain linf: 'wide' is no number"]),
        (["--dump-smt2", "q.smt2"], ["log((1", "negated", "reciprocal"]),
        (["--limit", "3"], ["--limit", "many inputs"]),
        (["--index", "0", "--limit", "3"], ["--limit", "--index"]),
    ],
    ids=lambda value: " ".join(value) if value[0].startswith("--") else "",
)
def test_one_input(options: list[str], words: list[str], digit: Path, tmp_path: Path) -> None:
    out = tmp_path / "files" / "x.cert.json"
    refused("explain", MODEL, "--input", digit, "--out", out, *options, words=words)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--dump-smt2", "q.smt2"], ["--dump-smt2", "one input"]),
        (["--contrast", "8"], ["--contrast 8", "closest"]),
        (["--out", "x.json"], ["--out x.json", "directory"]),
        (["--index", "1"], ["--index", "--limit"]),
    ],
    ids=lambda value: " ".join(value) if value[0].startswith("--") else "",
)
def test_many_inputs(options: list[str], words: list[str], tmp_path: Path) -> None:
    refused("explain", MODEL, "--data", "mnist5k", *options, words=words)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("name", "word"), [("there", "exists already"), ("no/q", "no directory")])
def test_a_question_needs_a_new_file(name: str, word: str, digit: Path, tmp_path: Path) -> None:
    (tmp_path / "there").write_text("mine")
    refused("explain", MODEL, "--input", digit, "--dump-smt2", tmp_path / name, words=[word])
    assert [path.name for path in tmp_path.iterdir()] == ["there"]
    assert (tmp_path / "there").read_text() == "mine"


def test_a_contrast_searches_the_given_training_images(digit: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    data = load_data("mnist5k")
    few = rng.choice(len(data.x_train), size=60, replace=False)
    np.savez(
        tmp_path / "few.npz",
        x_train=np.concatenate([data.x_train[few], data.x_test[:1]]),
        y_train=np.concatenate([data.y_train[few], data.y_test[:1]]),
        x_test=data.x_test[:2],
        y_test=data.y_test[:2],
    )
    result = protoproof(
        *("explain", MODEL, "--input", digit, "--vocabulary", "ceiling", "--timeout", "0"),
        *("--contrast", "closest", "--training", tmp_path / "few.npz", "--json"),
        *("--out", tmp_path / "x.cert.json", "--no-witnesses"),
    )
    assert result.code == 0, result.err
    contrast = json.loads(result.out)["contrast"]
    assert contrast["searched"] == "all 61 training images of few.npz"
    found = contrast["nearest_patches"]
    assert len(found) == 3
    assert [patch["squared_distance"] for patch in found] == sorted(
        patch["squared_distance"] for patch in found
    )
    assert contrast["violates"]  # the explanation forces the class, so the latent breaks some of it
    page = (tmp_path / "x.html").read_text()
    assert "among all 61 training images of few.npz" in page


def test_rows_that_cannot_be_written_are_refused_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    refused(
        *("campaign", MODEL, "--data", "mnist5k", "--indices", "0", "--out", tmp_path / "c"),
        *("--parquet", tmp_path / "file" / "rows.parquet"),
        words=["file is no directory"],
    )
    assert not (tmp_path / "c").exists()


def test_a_file_that_is_missing_is_called_missing(tmp_path: Path) -> None:
    refused("check", tmp_path / "c.json", MODEL, words=["c.json", "no such file"])


def test_classes_are_listed_in_words(digit: Path, tmp_path: Path) -> None:
    out = ("--out", tmp_path / "x.cert.json")
    refused("explain", MODEL, "--input", digit, "--contrast", "99", *out, words=["0, 1, 2, 3"])


def test_cases_drop_facts_that_are_no_pairs(digit: Path, tmp_path: Path) -> None:
    options = ("explain", MODEL, "--input", digit, "--vocabulary", "topk", "--no-witnesses")
    sizes = {}
    for oracle in ("auto", "smt"):
        out = tmp_path / f"{oracle}.cert.json"
        result = protoproof(*options, "--oracle", oracle, "--out", out, "--json")
        assert result.code == 0, result.err
        sizes[oracle] = json.loads(result.out)["size"]
    assert sizes["smt"] < sizes["auto"]


def test_facts_are_in_words_without_a_page(digit: Path, tmp_path: Path) -> None:
    options = ("explain", MODEL, "--input", digit, "--vocabulary", "ceiling", "--no-witnesses")
    out = tmp_path / "x.cert.json"
    result = protoproof(*options, "--out", out, "--no-pages")
    assert result.code == 0, result.err
    facts = [line for line in result.out.splitlines() if line.startswith("  - ")]
    assert f"ceiling ({len(facts)} facts with " in result.out
    assert all("similarity" in fact for fact in facts)
    assert not (tmp_path / "x.html").exists()


def test_pages_prove_themselves_unless_they_shall_not(digit: Path, tmp_path: Path) -> None:
    options = ("explain", MODEL, "--input", digit, "--vocabulary", "ceiling", "--no-witnesses")
    pages, proof = {}, tmp_path / "x.cert.json"
    for name, more in {"with": (), "without": ("--no-script",)}.items():
        assert called(*options, "--out", proof, "--quiet", *more) == 0
        pages[name] = (tmp_path / "x.html").read_text("utf-8")
        one = tmp_path / f"{name}.html"
        about = ("--model", MODEL, "--input", digit)
        assert called("report", proof, *about, "--out", one, "--quiet", *more) == 0
        assert ("<script" in one.read_text("utf-8")) == (name == "with")
    assert 'id="again"' in pages["with"]
    assert "<script" not in pages["without"]
    stated = "Statement sha256</dt><dd"
    assert all(stated in page for page in pages.values())
    refused(*options, "--no-script", "--no-pages", words=["--no-script", "--no-pages"])
    refused("explain", MODEL, "--data", tmp_path, "--no-script", words=["--pages"])
    (tmp_path / "campaign").mkdir()
    refused("report", tmp_path / "campaign", "--truth", "1", words=["single certificate"])


def test_a_file_that_is_no_certificate_is_bad_input(tmp_path: Path) -> None:
    for content in ("no json", "[]", "{}", '{"schema": "something else"}'):
        (tmp_path / "c.json").write_text(content)
        refused("check", tmp_path / "c.json", MODEL, words=["c.json"])
    (tmp_path / "c.json").write_text('{"schema": "protoproof.certificate/2"}')
    assert called("check", tmp_path / "c.json", MODEL, "--quiet") == 1


def test_necessary_facts_are_counted_and_listed_on_demand(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, out = zoo_path("mnist-certified"), tmp_path / "x.cert.json"
    explanation = explain(model, load_data("mnist5k").x_test[881], vocabulary="pairs")
    assert len(explanation.necessary) >= 2
    explanation.save(out)
    assert called("check", out, model) == 0
    short = capsys.readouterr().out
    assert called("check", out, model, "--verbose") == 0
    full = capsys.readouterr().out
    assert short.count("necessary:") == 1
    assert full.count("necessary:") >= 2
