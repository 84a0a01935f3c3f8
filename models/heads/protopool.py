"""ProtoPool (Rymarczyk et al., ECCV 2022): shared prototypes in slots, focal similarity.

Every class has slots; a slot chooses one prototype of a common pool (a softmax sharpened during
training, one-hot in the end). A slot's activation is the similarity of the nearest location minus
that of the mean distance: high only where the prototype occurs in a few places.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.heads.base import VotingHead, owners, squared_distances

EPSILON = 1e-4
FIXED_FROM = 0.6


class ProtoPoolHead(VotingHead):
    """x_cn = s(min_l q) - s(mean_l q) of the prototype in slot n of class c, s = log ratio."""

    def __init__(self, channels: int, classes: int, slots: int, prototypes: int) -> None:
        super().__init__(torch.empty(0, dtype=torch.int64))
        self.classes, self.slots = classes, slots
        self.prototypes = nn.Parameter(torch.rand(prototypes, channels))
        self.presence = nn.Parameter(torch.randn(classes * slots, prototypes))
        self.chosen = nn.Parameter(torch.zeros(0), requires_grad=False)
        self.sharpness = 1.0
        self.votes = nn.Linear(classes * slots, classes, bias=False)
        own = torch.arange(classes)[:, None] == owners(classes, slots)[None]
        self.votes.weight.data = own.float()

    def banks(self, latent: Tensor) -> tuple[tuple[Tensor, nn.Parameter], ...]:
        return ((latent, self.prototypes),)

    def near(self, vectors: Tensor, prototypes: Tensor) -> Tensor:
        return -squared_distances(vectors, prototypes)

    def choice(self) -> Tensor:
        """Slots by prototypes, rows sum to one: one-hot once it is fixed."""
        if self.chosen.numel():
            return self.chosen
        return torch.softmax(self.sharpness * self.presence, dim=1)

    def advance(self, share: float) -> None:
        """Choices sharpen; for the last third of the training they are fixed."""
        self.sharpness = 1.0 + 9.0 * share
        if share >= FIXED_FROM and not self.chosen.numel():
            self.fix_choice()

    @torch.no_grad()
    def fix_choice(self) -> None:
        """Every slot takes the prototype it prefers, and another than its class's other slots."""
        preferred = torch.softmax(self.presence, dim=1)
        fixed = torch.zeros_like(preferred)
        for slot in range(len(preferred)):
            first = slot - slot % self.slots
            free = fixed[first : first + self.slots].sum(dim=0) == 0
            fixed[slot, int((preferred[slot] * free).argmax())] = 1.0
        self.chosen = nn.Parameter(fixed, requires_grad=False)

    @torch.no_grad()
    def trim(self) -> None:
        """Drop prototypes that no slot has chosen."""
        used = self.chosen.sum(dim=0) > 0
        self.prototypes = nn.Parameter(self.prototypes[used].clone())
        self.chosen = nn.Parameter(self.chosen[:, used].clone(), requires_grad=False)

    def activations(self, latent: Tensor) -> Tensor:
        distances = -self.closeness(latent)
        choice = self.choice().view(self.classes, self.slots, -1).transpose(1, 2)
        nearest = torch.einsum("bp,cpn->bcn", distances.amin(dim=2), choice)
        mean = torch.einsum("bp,cpn->bcn", distances.mean(dim=2), choice)
        return (_similarity(nearest) - _similarity(mean)).flatten(1)

    def loss(self, x: Tensor, latent: Tensor, labels: Tensor) -> Tensor:
        """Cross entropy; chosen prototypes near their class's samples; slots choose differently."""
        scores = self(latent)
        choice = self.choice()
        nearest = (-self.closeness(latent)).amin(dim=2)
        by_class = choice.view(self.classes, self.slots, -1)
        pull = (nearest[:, None] * by_class[labels]).sum(dim=2).amin(dim=1).mean()
        unit = nn.functional.normalize(by_class, dim=2)
        alike = torch.triu(unit @ unit.transpose(1, 2), diagonal=1).sum() / self.classes
        return nn.functional.cross_entropy(scores, labels) + 0.3 * pull + 0.1 * alike


def _similarity(distance: Tensor) -> Tensor:
    return torch.log((distance + 1) / (distance + EPSILON))
