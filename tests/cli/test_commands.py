"""Commands, exit codes and documents as promised to users and scripts."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from protoproof.data.dataset import load_data
from protoproof.resources import zoo_path
from tests.support.cli import Result, protoproof

MODEL = zoo_path("mnist-7x7")
SMALL = zoo_path("mnist-1x1")


@pytest.fixture(scope="session")
def digit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("digit") / "digit.png"
    pixels = (load_data("mnist5k").x_test[0, 0] * 255).round().astype(np.uint8)
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture(scope="session")
def certified(digit: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    out = tmp_path_factory.mktemp("certified") / "digit.cert.json"
    return out, protoproof("explain", MODEL, "--input", digit, "--out", out, "--json")


def test_explain_json_is_the_documented_document(certified: tuple[Path, Result]) -> None:
    out, result = certified
    assert result.code == 0
    assert result.err == ""
    document = json.loads(result.out)
    promised = {
        "verdict",
        "predicted",
        "predicted_name",
        "margin",
        "vocabulary",
        "oracle",
        "domain",
        "assumptions",
        "size",
        "lower_bound",
        "facts",
        "necessity",
        "time_s",
        "certificate",
    }
    assert promised <= set(document)
    assert document["verdict"] == "proved"
    assert document["size"] == len(document["facts"])
    assert document["size"] == sum(document["necessity"].values())
    assert Path(document["certificate"]) == out
    assert Path(document["page"]).is_file()


def test_check_accepts_the_certificate(certified: tuple[Path, Result], digit: Path) -> None:
    out, _ = certified
    assert protoproof("check", out, MODEL).code == 0
    result = protoproof("check", out, MODEL, "--input", digit, "--json")
    assert result.code == 0
    assert json.loads(result.out)["status"] == "accepted"


def forge(out: Path, tmp_path: Path, change: str) -> Path:
    document = json.loads(out.read_text())
    core = document["core"]
    if change == "premise widened":
        fact = next(fact for fact in core["facts"] if fact["kind"] == "activation")
        fact["upper"] = float.hex(float(np.nextafter(float.fromhex(fact["upper"]), np.inf)))
    elif change == "rival dropped":
        core["rivals"].pop()
    path = tmp_path / "forged.json"
    path.write_text(json.dumps(document))
    return path


@pytest.mark.parametrize("change", ["premise widened", "rival dropped"])
def test_check_rejects_forgeries(
    change: str, certified: tuple[Path, Result], tmp_path: Path
) -> None:
    result = protoproof("check", forge(certified[0], tmp_path, change), MODEL, "--json")
    assert result.code == 1
    assert json.loads(result.out)["status"] == "rejected"


@pytest.mark.trust(16)
def test_check_rejects_a_model_with_one_byte_changed(
    certified: tuple[Path, Result], tmp_path: Path
) -> None:
    data = bytearray(MODEL.read_bytes())
    data[len(data) // 2] ^= 1
    other = tmp_path / "other.onnx"
    other.write_bytes(data)
    result = protoproof("check", certified[0], other)
    assert result.code == 1
    assert "hash mismatch" in result.out


@pytest.mark.trust(17)
def test_check_rejects_another_input(certified: tuple[Path, Result], tmp_path: Path) -> None:
    other = tmp_path / "other.npy"
    np.save(other, load_data("mnist5k").x_test[1])
    assert protoproof("check", certified[0], MODEL, "--input", other).code == 1


def test_inspect_says_what_would_be_verified() -> None:
    result = protoproof("inspect", MODEL)
    assert result.code == 0
    for word in ("recognised", "log((1 + ", "100", "Sigmoid"):
        assert word in result.out
    assert json.loads(protoproof("inspect", MODEL, "--json").out)["certifiable"] is True


def test_demo_ends_with_what_was_promised(tmp_path: Path) -> None:
    result = protoproof("demo", "--out", tmp_path / "demo")
    assert result.code == 0
    for word in ("topk", "ceiling", "pairs", "certificate accepted", "digit.html"):
        assert word in result.out
    assert sorted(p.name for p in (tmp_path / "demo").iterdir()) == [
        "digit.cert.json",
        "digit.check.json",
        "digit.html",
    ]


@pytest.mark.parametrize("vocabulary", ["topk", "ceiling", "pairs"])
@pytest.mark.parametrize("domain", ["free", "box"])
@pytest.mark.trust(12)
def test_every_option_gives_an_accepted_certificate(
    vocabulary: str, domain: str, digit: Path, tmp_path: Path
) -> None:
    out = tmp_path / "c.json"
    options = ["--vocabulary", vocabulary, "--domain", domain, "--out", out, "--quiet"]
    result = protoproof("explain", SMALL, "--input", digit, *options)
    assert (result.code, result.out, result.err) == (0, "", "")
    assert protoproof("check", out, SMALL, "--quiet").code == 0


def test_a_network_trained_on_other_data_is_accepted(tmp_path: Path) -> None:
    """Training on an unseen file, then inspect, explain and check, all from the command line."""
    rng = np.random.default_rng(0)
    pattern = rng.random((3, 28, 28))
    images = [
        np.clip(pattern[np.arange(n) % 3] + 0.3 * rng.random((n, 28, 28)), 0, 1) for n in (90, 30)
    ]
    np.savez(
        tmp_path / "data.npz",
        x_train=(images[0] * 255).astype(np.uint8),
        y_train=np.arange(90) % 3,
        x_test=(images[1] * 255).astype(np.uint8),
        y_test=np.arange(30) % 3,
    )
    trained = protoproof(
        "train", "--family", "protopnet", "--data", tmp_path / "data.npz", "--grid", "7",
        "--epochs", "2", "--prototypes-per-class", "3", "--out", tmp_path / "net", "--json",
    )  # fmt: skip
    assert trained.code == 0, trained.err
    model = Path(json.loads(trained.out)["model"])
    assert protoproof("inspect", model).code == 0
    np.save(tmp_path / "x.npy", images[1][0].astype(np.float32))
    out = tmp_path / "x.cert.json"
    explained = protoproof("explain", model, "--input", tmp_path / "x.npy", "--out", out)
    assert explained.code in (0, 3), explained.err
    if explained.code == 0:
        assert protoproof("check", out, model).code == 0
