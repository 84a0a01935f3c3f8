"""Directories as CaBRNet and beyond_l2 write them: architecture, tensors, data set."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor, nn
from torch.nn.functional import normalize

from tests.support.importing.encoders import ResNet, shaken
from tests.support.importing.families import CHANNELS, CLASSES, COUNT, EACH, log_ratio, squared

IMAGENET = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}


class Classifier(nn.Module):
    """Prototypes, votes, and the buffers that no prediction needs."""

    def __init__(self, votes: int = COUNT) -> None:
        super().__init__()
        self.prototypes = nn.Parameter(torch.rand(COUNT, CHANNELS, 1, 1))
        self.last_layer = nn.Linear(votes, CLASSES, bias=False)
        self.register_buffer("proto_class_map", torch.eye(CLASSES).repeat_interleave(EACH, 0))


class Distances(Classifier):
    name, kind, params = "ProtoPNetClassifier", "LegacyProtoPNetSimilarity", {}

    def forward(self, z: Tensor) -> Tensor:
        return self.last_layer(log_ratio(squared(z, self.prototypes).amin(dim=(2, 3))))


class Similarity(nn.Module):
    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.log_var = nn.Parameter(0.3 * torch.randn(*shape))


class Gaussian(Classifier):
    """Distances over variances: one per prototype, or one per channel too."""

    name, kind = "GaussianProtoPNetClassifier", "MahalanobisLogDistance"

    def __init__(self, spread: str, kind: str = "MahalanobisLogDistance") -> None:
        super().__init__()
        self.kind, self.params = kind, {"cov_type": spread, "stability_factor": 1e-3}
        shape = (COUNT,) if spread == "isotropic" else (COUNT, CHANNELS)
        self.similarity_layer = Similarity(*shape)

    def forward(self, z: Tensor) -> Tensor:
        spread = self.similarity_layer.log_var.view(COUNT, -1).expand(COUNT, CHANNELS)
        weights = torch.exp(-spread)[:, :, None, None]
        distances = (weights * (z[:, None] - self.prototypes) ** 2).sum(dim=2)
        if self.kind == "MahalanobisLogDistance":
            return self.last_layer(log_ratio(distances.amin(dim=(2, 3)), 1e-3))
        constant = CHANNELS * torch.log(torch.tensor(2 * torch.pi)) + spread.sum(dim=1)
        return self.last_layer(-0.5 * (distances + constant[:, None, None]).amin(dim=(2, 3)))


class Cosines(Classifier):
    name, kind, params = "TesNetClassifier", "CosineSimilarity", {}

    def forward(self, z: Tensor) -> Tensor:
        p = normalize(self.prototypes, dim=1)
        cosine = torch.conv2d(z, p) / (torch.linalg.vector_norm(z, dim=1, keepdim=True) + 1e-8)
        return self.last_layer(cosine.amax(dim=(2, 3)))


class Shares(nn.Module):
    name, kind, params = "PIPNetClassifier", "None", {}

    def __init__(self) -> None:
        super().__init__()
        self.prototypes = nn.Parameter(torch.empty(0))
        self.last_layer = nn.Linear(CHANNELS, CLASSES, bias=True)
        self.normalization_multiplier = nn.Parameter(torch.ones(1))

    def forward(self, z: Tensor) -> Tensor:
        best = torch.softmax(z, dim=1).amax(dim=(2, 3))
        return nn.functional.linear(best, torch.relu(self.last_layer.weight), self.last_layer.bias)


class Slots(Classifier):
    name, kind, params = "ProtoPoolClassifier", "ProtoPNetSimilarity", {}

    def __init__(self) -> None:
        super().__init__()
        chosen = torch.randint(COUNT, (CLASSES, EACH))
        self.proto_slot_map = nn.Parameter(torch.eye(COUNT)[chosen].transpose(1, 2))
        self.register_buffer("slot_class_map", torch.eye(CLASSES).repeat_interleave(EACH, 0))

    def forward(self, z: Tensor) -> Tensor:
        d = squared(z, self.prototypes)
        near, mean = (
            torch.einsum("bp,cpn->bcn", part, self.proto_slot_map)
            for part in (d.amin(dim=(2, 3)), d.mean(dim=(2, 3)))
        )
        return self.last_layer((log_ratio(near) - log_ratio(mean)).flatten(1))


class LeafNode(nn.Module):
    def __init__(self, number: int) -> None:
        super().__init__()
        self.node_id = f"leaf_{number}"
        self._relative_distribution = nn.Parameter(torch.randn(1, CLASSES))

    def forward(self, similar: Tensor) -> Tensor:
        return torch.softmax(self._relative_distribution, dim=1)

    def export(self) -> dict[str, Any]:
        return {"module": "LeafNode", "node_id": self.node_id, "proto_idxs": None,
                "log_probabilities": False, "children": [], "num_classes": CLASSES}  # fmt: skip


class BinaryNode(nn.Module):
    def __init__(self, number: int, prototype: int, nsim: nn.Module, sim: nn.Module) -> None:
        super().__init__()
        self.node_id, self.prototype, self.below = f"branch_{number}", prototype, (nsim, sim)
        self.add_module(f"{self.node_id}_child_nsim", nsim)
        self.add_module(f"{self.node_id}_child_sim", sim)

    def forward(self, similar: Tensor) -> Tensor:
        goes = similar[:, self.prototype, None]
        return (1 - goes) * self.below[0](similar) + goes * self.below[1](similar)

    def export(self) -> dict[str, Any]:
        below = [part.export() for part in self.below]
        return {"module": "BinaryNode", "node_id": self.node_id, "proto_idxs": [self.prototype],
                "log_probabilities": False, "children": below}  # fmt: skip


class Tree(nn.Module):
    """Pruned on one side, as trained trees are."""

    name, kind, params = "ProtoTreeClassifier", "ProtoTreeSimilarity", {}

    def __init__(self) -> None:
        super().__init__()
        self.prototypes = nn.Parameter(torch.rand(3, CHANNELS, 1, 1))
        below = BinaryNode(1, 2, LeafNode(2), LeafNode(3))
        self.tree = BinaryNode(0, 1, below, LeafNode(4))
        self.register_buffer("_root_prob", torch.ones(1))
        self.register_buffer("_root_greedy_path", torch.ones(1))

    def forward(self, z: Tensor) -> Tensor:
        distances = squared(z, self.prototypes).amin(dim=(2, 3))
        return self.tree(torch.exp(-torch.sqrt(distances + 1e-14)))


class Extractor(nn.Module):
    def __init__(self, convnet: nn.Module, normed: bool, sigmoid: bool) -> None:
        super().__init__()
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        layers["conv1"] = nn.Conv2d(convnet.channels, CHANNELS, 1)
        if normed:
            layers["bn1"] = nn.BatchNorm2d(CHANNELS)
        if sigmoid:
            layers["act1"] = nn.Sigmoid()
        self.convnet, self.add_on = convnet, nn.Sequential(layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.add_on(self.convnet(x))


class Whole(nn.Module):
    def __init__(self, extractor: nn.Module, classifier: nn.Module) -> None:
        super().__init__()
        self.extractor, self.classifier = extractor, classifier

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.extractor(x))

    def get_extra_state(self) -> object:
        return self.classifier.tree.export() if isinstance(self.classifier, Tree) else None

    def set_extra_state(self, state: object) -> None:
        raise NotImplementedError


def network(classifier: nn.Module, convnet: nn.Module | None = None) -> Whole:
    """Encoder, add-on layers and a head."""
    normed, sigmoid = isinstance(classifier, Gaussian), not isinstance(classifier, Shares)
    extractor = Extractor(convnet or ResNet(), normed, sigmoid)
    return shaken(Whole(extractor, classifier), 5)


def write(folder: Path, net: Whole, layer: str = "layer4", **backbone: Any) -> Path:
    """The three files that are read, and the pickle beside them that is not."""
    folder.mkdir(parents=True, exist_ok=True)
    head = net.classifier
    kinds = {"conv1": "Conv2d", "bn1": "BatchNorm2d", "act1": "Sigmoid"}
    steps = {name: {"type": kinds[name]} for name, _ in net.extractor.add_on.named_children()}
    stated = {
        "top_arch": {"module": "cabrnet.archs.any.model", "name": "Any"},
        "extractor": {
            "backbone": {"arch": "resnet18", "layer": layer, "weights": None, **backbone},
            "add_on": {"init_mode": "XAVIER", **steps},
        },
        "similarity": {"name": head.kind, "params": head.params},
        "classifier": {"name": head.name, "params": {"num_classes": CLASSES}},
    }
    transform = {
        "resize": {"type": "Resize", "params": {"size": [64, 64]}},
        "to_tensor": {"type": "ToTensor"},
        "normalize": {"type": "Normalize", "params": IMAGENET},
    }
    data = {"test_set": {"name": "ImageFolder", "params": {"transform": transform}}}
    for name, content in (("model_arch.yml", stated), ("dataset.yml", data)):
        (folder / name).write_text(yaml.dump(content, sort_keys=False))
    torch.save(net.state_dict(), folder / "model_state.pth")
    (folder / "state.pickle").write_bytes(b"not read")
    return folder
