"""Many inputs: one line each, a summary, and the worst exit code; one bad input stops nothing."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from protoproof.cli.explain_many import from_data
from protoproof.data.dataset import load_data
from protoproof.errors import FragileError, InputError
from protoproof.network import load
from protoproof.report.files.batch import Streamed, Summary, _median
from protoproof.resources import zoo_path
from tests.support.cli import protoproof
from tests.support.network.builders import draft

SMALL = zoo_path("mnist-1x1")


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three inputs, the second of which holds NaN."""
    x = load_data("mnist5k").x_test[[0, 1, 2]].copy()
    x[1, 0, 0, 0] = np.nan
    path = tmp_path_factory.mktemp("digits") / "digits.npy"
    np.save(path, x)
    return path


def test_json_lines_and_a_summary(digits: Path, tmp_path: Path) -> None:
    result = protoproof("explain", SMALL, "--input", digits, "--out", tmp_path, "--json")
    assert result.err == ""
    *lines, last = map(json.loads, result.out.splitlines())
    assert [line["input"] for line in lines] == [f"digits.npy[{i}]" for i in range(3)]
    assert [line["verdict"] for line in lines] == ["proved", "error", "proved"]
    assert "NaN" in lines[1]["error"]
    summary = last["summary"]
    assert summary["verdicts"] == {"error": 1, "proved": 2}
    assert summary["inputs"] == 3
    assert summary["exit_code"] == result.code == 2
    assert summary["size_max"] == max(line["size"] for line in lines if "size" in line)
    assert {path.name for path in tmp_path.iterdir()} == {
        f"mnist-1x1--digits-{i}.{end}" for i in (0, 2) for end in ("cert.json", "check.json")
    }
    # the certificate is about the very input that --index names
    checked = protoproof(
        "check", tmp_path / "mnist-1x1--digits-2.cert.json", SMALL, "--input", digits, "--index", 2
    )
    assert checked.code == 0
    assert "bit for bit" in checked.out


def test_a_data_set_with_pages(tmp_path: Path) -> None:
    arguments = ("--data", "mnist5k", "--limit", 2, "--out", tmp_path, "--pages")
    result = protoproof("explain", SMALL, *arguments)
    assert result.code == 0
    assert len([line for line in result.out.splitlines() if "proved by" in line]) == 2
    assert "inputs      2: 2 proved" in result.out
    assert (tmp_path / "mnist-1x1--mnist5k-1.html").is_file()


def test_labels_mean_what_the_networks_classes_do(tmp_path: Path) -> None:
    """Folders 10 and 2, in the order of their letters; networks count them in either order."""
    parts = draft()
    assert parts.description is not None
    rng = np.random.default_rng(0)
    (tmp_path / "data").mkdir()
    for split in ("train", "test"):
        for name in ("10", "2"):
            folder = tmp_path / "data" / split / name
            folder.mkdir(parents=True)
            for k in range(2):
                pixels = rng.integers(0, 256, (6, 6), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{k}.png")
    right = []
    for order in (["10", "2"], ["2", "10"]):
        parts.description["classes"] = order
        model = parts.save(tmp_path, f"{order[0]}.onnx")
        result = protoproof(
            "explain", model, "--data", tmp_path / "data", "--vocabulary", "topk", "--json",
            "--no-witnesses", "--no-pages", "--out", tmp_path / order[0],
        )  # fmt: skip
        *lines, _ = map(json.loads, result.out.splitlines())
        for line in lines:
            assert line["labelled"] == line["input"].split("/")[0]
        right.append([line["right"] for line in lines])
    assert len(right[0]) == 4
    assert right[0] == [not way for way in right[1]]  # the names were swapped, not the scores
    for split in ("train", "test"):
        (tmp_path / "data" / split / "10").rename(tmp_path / "data" / split / "ten")
    other = protoproof("explain", model, "--data", tmp_path / "data", "--out", tmp_path / "o")
    assert (other.code, other.out) == (2, "")
    assert "called otherwise than the network's: number 1 is ten, the network's 10" in other.err
    for split in ("train", "test"):
        shutil.copytree(tmp_path / "data" / split / "2", tmp_path / "data" / split / "three")
    more = protoproof("explain", model, "--data", tmp_path / "data", "--out", tmp_path / "o")
    assert (more.code, more.out) == (2, "")
    assert "3 classes, the network has 2" in more.err


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ((), "--input or by --data"),
        (("--data", "mnist5k", "--input", "x.npy"), "--input or by --data"),
        (("--data", "mnist5k", "--index", 1), "--limit"),
        (("--data", "absent.npz"), "does not exist"),
        (("--data", "mnist5k", "--vocabulary", "nonsense"), "unknown"),
        (("--data", "mnist5k", "--device", "abacus"), "no such device"),
    ],
)
def test_combinations_that_make_no_sense(
    arguments: tuple[object, ...], complaint: str, tmp_path: Path
) -> None:
    result = protoproof("explain", SMALL, *arguments, "--out", tmp_path / "files")
    assert result.code == 2
    assert complaint in result.err
    assert len(result.err.splitlines()) == 1


def test_an_array_of_the_wrong_shape_fails_line_by_line(tmp_path: Path) -> None:
    np.save(tmp_path / "wide.npy", np.zeros((2, 1, 28, 30), np.float32))
    result = protoproof(
        "explain", SMALL, "--input", tmp_path / "wide.npy", "--out", tmp_path / "files"
    )
    assert result.code == 2
    assert result.out.count("are resized only as --preprocess states") == 2
    assert "2 error" in result.out


def test_what_is_done_to_the_numbers_is_said_once(tmp_path: Path) -> None:
    """Pixels for a network that states no range: refused alike, or as stated, which is said."""
    parts = draft()
    parts.description = None
    model = parts.save(tmp_path)
    pixels = np.random.default_rng(0).integers(0, 256, (4, 6, 6), dtype=np.uint8)
    np.save(tmp_path / "x.npy", pixels)
    labels = np.array([0, 1, 0, 1])
    np.savez(tmp_path / "x.npz", x_train=pixels, y_train=labels, x_test=pixels[:1],
             y_test=labels[:1])  # fmt: skip
    Image.fromarray(pixels[0]).save(tmp_path / "x.png")
    line = "pixels were prepared as stated: range=0,1"
    for option, name in (("--input", "x.npy"), ("--input", "x.png"), ("--data", "x.npz")):
        out = tmp_path / "out" / ("one.json" if name == "x.png" else "many")
        asked = ("explain", model, option, tmp_path / name, "--vocabulary", "topk", "--out", out)
        refused = protoproof(*asked)
        assert refused.code == 2
        assert "is not stated; state it with --preprocess" in refused.err
        asked = (*asked, "--preprocess", "range=0,1")
        said = protoproof(*asked)
        assert said.code == 0, said.err
        assert said.out.count(line) == 1, said.out
        document = protoproof(*asked, "--json").out
        last = json.loads(document if name == "x.png" else document.splitlines()[-1])
        assert last.get("summary", last)["input_remarks"] == [line]


def test_the_worst_exit_code_counts() -> None:
    summary = Summary()
    assert summary.exit_code == 0
    assert summary.to_json()["size_median"] is None
    summary.add(Streamed("a", None, FragileError("fragile")))
    assert summary.exit_code == 3
    summary.add(Streamed("b", None, InputError("wrong")))
    assert summary.exit_code == 2


@pytest.mark.parametrize("sample", [[1], [1, 2], [3, 1, 2], [1, 1, 9, 9], [4, 4, 5, 6, 6, 6]])
def test_the_median_of_counts_is_the_median(sample: list[int]) -> None:
    assert _median(Counter(sample)) == np.median(sample)


def test_missing_pictures_are_mentioned_once(digits: Path, tmp_path: Path) -> None:
    model = tmp_path / "m.onnx"
    model.write_bytes(SMALL.read_bytes())
    (tmp_path / "m.json").write_text("{}")
    result = protoproof("explain", model, "--input", digits, "--out", tmp_path / "o", "--pages")
    assert result.err.count("no pictures of prototypes") == 1
    assert "proved by 1 fact with 2 numbers (" in result.out


def test_labels_are_compared_by_name(tmp_path: Path) -> None:
    """Folders are read in the order of their names, which need not be the network's."""
    draft(bias=True).save(tmp_path, "net.onnx")
    prepared = protoproof("prepare", "net.onnx", "--out", "named.onnx", "--classes", "wren,jay",
                          "--preprocess", "range=0,1", cwd=tmp_path)  # fmt: skip
    assert prepared.code == 0, prepared.err
    network = load(tmp_path / "named.onnx")
    for name in ("wren", "jay"):
        (tmp_path / "birds" / name).mkdir(parents=True)
        Image.new("L", (6, 6), 9).save(tmp_path / "birds" / name / "0.png")
    sources, _ = from_data(network, str(tmp_path / "birds"))
    named = [(Path(name).parent.name, label) for name, *_, label in sources]
    assert {folder for folder, _ in named} == {"wren", "jay"}
    assert all(folder == label for folder, label in named)
