"""Training any head of the zoo: jointly, then prototypes onto samples, then the last layer.

Deterministic: one thread, one seed, batches drawn from the generator that is handed around.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.corpora.corpus import Corpus
from models.heads.base import Head
from models.heads.nearest_mean import NearestMeanHead
from models.origins import Place, nearest_places, place_prototypes
from models.progress import Progress
from models.trunk import Network
from protoproof.errors import TrainingError

CHUNK = 256
DECAY = 0.05
"""Weight decay of the encoder: with a few hundred drawings it would learn them by heart."""


@dataclass(frozen=True)
class Schedule:
    """How long and how fast a network learns."""

    epochs: int
    settle_epochs: int = 0
    batch: int = 64
    rate: float = 2e-3


def fit(
    network: Network, head: Head, corpus: Corpus, schedule: Schedule, seed: int, quiet: bool
) -> tuple[Place, ...]:
    """Train in place; return for each prototype the training place that is nearest to it.

    Where the head's prototypes move they are the latents of these places. Raises TrainingError
    when the loss is no longer finite.
    """
    generator = torch.Generator().manual_seed(seed)
    network.encoder.learn_scale(torch.from_numpy(corpus.x_train))
    with Progress(schedule.epochs + schedule.settle_epochs, quiet) as progress:
        progress.stage("joint")
        _joint(network, head, corpus, schedule, generator, progress)
        if isinstance(head, NearestMeanHead):
            _support(network, head, corpus)
        head.trim()
        places = nearest_places(network.encoder, head, corpus)
        if head.moves:
            place_prototypes(network.encoder, head, corpus, places)
        progress.stage("last layer")
        _settle(network, head, corpus, schedule, generator, progress)
    head.conclude()
    return places


def _joint(
    network: Network,
    head: Head,
    corpus: Corpus,
    schedule: Schedule,
    generator: torch.Generator,
    progress: Progress,
) -> None:
    def loss(x: Tensor, y: Tensor) -> Tensor:
        return head.loss(x, network.encoder(x), y)

    network.train()
    learning = [p for p in network.parameters() if p.requires_grad]
    groups = [
        {"params": list(network.encoder.parameters()), "weight_decay": DECAY},
        {"params": [p for p in head.parameters() if p.requires_grad], "weight_decay": 0.0},
    ]
    optimiser = torch.optim.AdamW(groups, lr=schedule.rate)
    for epoch in range(schedule.epochs):
        head.advance(epoch / schedule.epochs)
        x, y = corpus.epoch(generator)
        rate = schedule.rate * _falling(epoch / schedule.epochs)
        progress.epoch(_epoch(loss, optimiser, learning, head, (x, y), rate, schedule, generator))
    network.eval()


def _settle(
    network: Network,
    head: Head,
    corpus: Corpus,
    schedule: Schedule,
    generator: torch.Generator,
    progress: Progress,
) -> None:
    """Only the head's last part learns, on values that are computed once."""
    learning = head.settling()
    if not learning or not schedule.settle_epochs:
        return
    x, y = torch.from_numpy(corpus.x_train), torch.from_numpy(corpus.y_train)
    with torch.no_grad():
        values = torch.cat([head.measured(network.encoder(part)) for part in x.split(CHUNK)])
    optimiser = torch.optim.Adam(learning, lr=schedule.rate)
    for epoch in range(schedule.settle_epochs):
        rate = schedule.rate * _falling(epoch / schedule.settle_epochs)
        loss = _epoch(
            head.settle, optimiser, learning, head, (values, y), rate, schedule, generator
        )
        progress.epoch(loss)


def _epoch(
    loss: Callable[[Tensor, Tensor], Tensor],
    optimiser: torch.optim.Optimizer,
    learning: Sequence[nn.Parameter],
    head: Head,
    samples: tuple[Tensor, Tensor],
    rate: float,
    schedule: Schedule,
    generator: torch.Generator,
) -> float:
    """One pass over the samples in random order; the mean loss."""
    for group in optimiser.param_groups:
        group["lr"] = rate
    total, count = 0.0, 0
    for part in torch.randperm(len(samples[0]), generator=generator).split(schedule.batch):
        if len(part) < 2:
            continue
        value = loss(samples[0][part], samples[1][part])
        optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(value)
        nn.utils.clip_grad_norm_(learning, 10.0)
        optimiser.step()
        head.constrain()
        total, count = total + float(value.detach()), count + 1
    if not math.isfinite(total):
        raise TrainingError("training diverged (the loss is not finite): choose a smaller rate")
    return total / max(1, count)


@torch.no_grad()
def _support(network: Network, head: NearestMeanHead, corpus: Corpus) -> None:
    """Means of classes that were never trained on, from the corpus's support samples."""
    x = torch.from_numpy(corpus.x_train[-corpus.support :])
    head.learn_means(network.encoder(x), torch.from_numpy(corpus.y_train[-corpus.support :]))


def _falling(share: float) -> float:
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * share))
