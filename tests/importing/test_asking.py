"""What a checkpoint does not say is asked for, all of it at once; nothing is passed over."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from tests.support.cli import Result, protoproof
from tests.support.importing import directories as d
from tests.support.importing import encoders as e
from tests.support.importing import families as f
from tests.support.importing.cases import ASKED, recorded
from tests.support.importing.saving import save_state, save_whole

ANSWERS = {**ASKED, "family": "protopnet"}


@pytest.fixture(scope="module")
def net() -> nn.Module:
    torch.manual_seed(2)
    return e.shaken(f.PPNet(e.ResNet(), 64), 2)


@pytest.fixture(scope="module")
def tensors(net: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_state(net, tmp_path_factory.mktemp("state") / "net.pth")


def run(path: Path, out: Path, answers: dict[str, str], *more: object) -> Result:
    words = [word for key, value in answers.items() for word in ("--set", f"{key}={value}")]
    return protoproof("import", path, "--out", out, *words, *more)


def refused(result: Result, *words: str) -> None:
    assert (result.code, result.out, result.err.count("\n")) == (2, "", 1), result
    assert all(word in result.err for word in words), result.err


def test_everything_that_is_missing_is_asked_at_once(tensors: Path, tmp_path: Path) -> None:
    result = run(tensors, tmp_path / "n.onnx", {})
    refused(result, *(f"--set {key}=..." for key in ANSWERS), "tesnet", "published: 1e-4")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("key", ANSWERS)
def test_each_question_is_asked_alone(key: str, tensors: Path, tmp_path: Path) -> None:
    answers = {k: v for k, v in ANSWERS.items() if k != key}
    result = run(tensors, tmp_path / "n.onnx", answers)
    refused(result, f"--set {key}=...")
    assert result.err.count("--set") == 1


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("activation", "exp"),
        ("epsilon", "0"),
        ("epsilon", "nan"),
        ("size", "224,224,3"),
        ("size", "-1"),
        ("normalise", "0.5/0"),
        ("normalise", "0.5,0.5/0.5,0.5"),
        ("family", "resnet"),
        ("names", "none.txt"),
        ("colour", "red"),
    ],
)
def test_answers_that_cannot_be_are_refused(
    key: str, value: str, tensors: Path, tmp_path: Path
) -> None:
    refused(run(tensors, tmp_path / "n.onnx", {**ANSWERS, key: value}), "set")
    assert not list(tmp_path.iterdir())


def test_a_picture_of_which_nothing_is_left(tmp_path: Path) -> None:
    path = save_state(f.PPNet(e.VGG(), 64), tmp_path / "net.pth")
    refused(run(path, tmp_path / "n.onnx", {**ANSWERS, "size": "16"}), "--set size")


def test_names_and_owners_travel_in_the_file(tensors: Path, tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("wren\nrobin\n\nfinch\n")
    names = {"names": str(tmp_path / "names.txt")}
    out = tmp_path / "new" / "birds.onnx"
    result = run(tensors, out, {**ANSWERS, **names}, "--json")
    assert result.code == 0
    document = json.loads(result.out)
    assert document["family"] == "ProtoPNet"
    assert document["compared"] is None
    [entry] = onnx.load(out).metadata_props
    about = json.loads(entry.value)
    assert about["classes"] == ["wren", "robin", "finch"]
    assert about["name"] == "birds"
    assert len(about["prototype_class"]) == f.COUNT
    assert about["input"]["normalisation"]["mean"] == [0.485, 0.456, 0.406]
    inspected = protoproof("inspect", out)
    assert inspected.code == 0
    assert "wren" in inspected.out


def test_a_tensor_that_nobody_reads_is_no_small_thing(net: nn.Module, tmp_path: Path) -> None:
    state = {**net.state_dict(), "attention.weight": torch.ones(3)}
    torch.save(state, tmp_path / "net.pth")
    refused(run(tmp_path / "net.pth", tmp_path / "n.onnx", ANSWERS), "attention.weight", "ignore")
    answers = {**ANSWERS, "ignore": "attention.weight"}
    assert run(tmp_path / "net.pth", tmp_path / "n.onnx", answers, "--quiet").code == 0


def test_an_attribute_that_the_layout_lacks_is_asked_about(tmp_path: Path) -> None:
    net = e.shaken(f.PPNet(e.ResNet(), 64), 2)
    net.topk_k = 3
    path = save_whole(net, tmp_path / "net.pth")
    answers = {"normalise": "none"}
    refused(run(path, tmp_path / "n.onnx", answers), "topk_k", "ignore")
    refused(run(path, tmp_path / "n.onnx", {**answers, "ignore": "epsilon"}), "topk_k")
    result = run(path, tmp_path / "n.onnx", {**answers, "ignore": "topk_k"})
    assert result.code == 0, result.err


def test_hooks_are_code(tmp_path: Path) -> None:
    net = e.shaken(f.PPNet(e.ResNet(), 64), 2)
    net.add_on_layers.register_forward_hook(torch.nn.functional.relu)
    path = save_whole(net, tmp_path / "net.pth")
    refused(run(path, tmp_path / "n.onnx", {"normalise": "none"}), "add_on_layers", "hooks")


def test_other_scores_are_refused(net: nn.Module, tensors: Path, tmp_path: Path) -> None:
    recorded(net, tmp_path / "r.npz")
    more = ("--compare", tmp_path / "r.npz")
    result = run(tensors, tmp_path / "n.onnx", ANSWERS, *more)
    assert result.code == 0
    assert "2 inputs, largest difference" in result.out
    for key, value in (("epsilon", "1e-3"), ("family", "tesnet"), ("normalise", "none")):
        answers = {**ANSWERS, key: value}
        if key == "family":
            answers = {k: v for k, v in answers.items() if k not in ("activation", "epsilon")}
        refused(run(tensors, tmp_path / "other.onnx", answers, *more), "differ", "nothing was")
    assert not (tmp_path / "other.onnx").exists()


def test_inputs_that_were_normalised_are_compared_too(
    net: nn.Module, tensors: Path, tmp_path: Path
) -> None:
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        np.savez(tmp_path / "r.npz", inputs=x.numpy(), logits=net(x).numpy())
    assert run(tensors, tmp_path / "n.onnx", ANSWERS, "--compare", tmp_path / "r.npz").code == 0


@pytest.mark.parametrize("held", [{}, {"logits": np.zeros((1, 3))}, {"pictures": np.zeros(3)}])
def test_archives_without_scores_are_refused(
    held: dict[str, np.ndarray], tensors: Path, tmp_path: Path
) -> None:
    np.savez(tmp_path / "r.npz", **held)
    refused(run(tensors, tmp_path / "n.onnx", ANSWERS, "--compare", tmp_path / "r.npz"), "r.npz")


def test_a_tree_without_its_map_is_refused(tmp_path: Path) -> None:
    path = save_state(e.shaken(f.ProtoTree(e.ResNet()), 2), tmp_path / "model_state.pth")
    refused(run(path, tmp_path / "n.onnx", {}), "model.pth")


def test_prototypes_of_several_locations_are_refused(tmp_path: Path) -> None:
    net = f.PPNet(e.ResNet(), 64)
    net.prototype_vectors = nn.Parameter(torch.rand(f.COUNT, f.CHANNELS, 2, 2))
    path = save_state(net, tmp_path / "net.pth")
    refused(run(path, tmp_path / "n.onnx", ANSWERS), "several locations")


def test_other_networks_are_refused(tmp_path: Path) -> None:
    torch.save(nn.Linear(2, 2).state_dict(), tmp_path / "net.pth")
    refused(run(tmp_path / "net.pth", tmp_path / "n.onnx", {}), "docs/import.md")
    net = f.PPNet(e.ResNet(), 64)
    state = {k.replace("features.conv1", "features.stem"): v for k, v in net.state_dict().items()}
    torch.save(state, tmp_path / "net.pth")
    refused(run(tmp_path / "net.pth", tmp_path / "n.onnx", {}), "features.stem.weight")


CHANGED = {
    "another head": ("ProtoPNetClassifier", "MyClassifier", "MyClassifier"),
    "full covariance": ("LegacyProtoPNetSimilarity", "MahalanobisAngularDistance", "Mahalanobis"),
    "another layer": ("layer: layer4", "layer: avgpool", "avgpool"),
    "another add-on": ("type: Sigmoid", "type: GELU", "GELU"),
    "an anchor": ("extractor:", "extractor: &a", "YAML"),
}


@pytest.mark.parametrize("name", CHANGED)
def test_what_a_directory_says_and_is_not_known(name: str, tmp_path: Path) -> None:
    folder = d.write(tmp_path / "run", d.network(d.Distances()))
    before, after, word = CHANGED[name]
    text = (folder / "model_arch.yml").read_text()
    assert before in text
    (folder / "model_arch.yml").write_text(text.replace(before, after))
    refused(run(folder, tmp_path / "n.onnx", {}), word)


def test_slots_that_are_not_chosen_are_refused(tmp_path: Path) -> None:
    net = d.network(d.Slots())
    net.classifier.proto_slot_map.data *= 0.5
    folder = d.write(tmp_path / "run", net)
    refused(run(folder, tmp_path / "n.onnx", {}), "one-hot")


def test_a_directory_without_its_files(tmp_path: Path) -> None:
    folder = d.write(tmp_path / "run", d.network(d.Distances()))
    (folder / "dataset.yml").unlink()
    refused(run(folder, tmp_path / "n.onnx", {}), "--set size=...", "--set normalise=...")
    (folder / "model_arch.yml").unlink()
    refused(run(folder, tmp_path / "n.onnx", {}), "model_arch.yml")
    (folder / "model_state.pth").unlink()
    refused(run(folder, tmp_path / "n.onnx", {}), "model_state.pth")


def test_it_needs_no_torch(tensors: Path, tmp_path: Path) -> None:
    from tests.support.blocked import verbs

    words = [w for key, value in ANSWERS.items() for w in ("--set", f"{key}={value}")]
    command = ["import", str(tensors), "--out", "n.onnx", *words]
    answers, modules = verbs([command], ("torch", "onnxruntime", "scipy", "z3"), tmp_path)
    assert answers[0][0] == 0
    assert not any(name.partition(".")[0] == "torch" for name in modules)


def test_what_nobody_asks_is_said_beside_what_is_asked(tensors: Path, tmp_path: Path) -> None:
    answers = {k: v for k, v in ANSWERS.items() if k != "size"} | {"sise": "64"}
    refused(run(tensors, tmp_path / "n.onnx", answers), "--set size=...", "--set sise: nothing")


def test_a_directory_that_is_none(tmp_path: Path) -> None:
    refused(run(tmp_path, tmp_path / "n.onnx", {}), "holds no model_state.pth")
    refused(run(tmp_path / "no.pth", tmp_path / "n.onnx", {}), "no such file")
