"""What a smart watch measures: recordings of four activities, joined to longer ones with labels.

``motions/basic_motions.npz`` holds the BasicMotions recordings (ten seconds of acceleration and
rotation in three axes each, ten samples a second, four people). A sample joins four pieces of four
seconds, cut at random from real recordings; its labels are the activities that occur in it. So the
labels are those of the source, and a label can be explained by the place where it is earned.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from models.corpora.corpus import Corpus

FILE = Path(__file__).with_name("motions") / "basic_motions.npz"
CLASSES = ("badminton", "running", "standing", "walking")
PIECES, PIECE = 4, 40
"""Pieces per sample, and time steps (tenths of a second) per piece."""
TRAIN, TEST = 600, 200
LIMIT = 32.0
"""Measured values beyond this many metres per second squared (or radians per second) are cut off;
the largest in the data is 34.9."""
SEED = 0


def motions() -> Corpus:
    """Recordings [6, 160] with four labels; the two parts come from different recordings."""
    with np.load(FILE) as held:
        arrays = {name: held[name] for name in held.files}
    generator = torch.Generator().manual_seed(SEED)
    seen = torch.from_numpy(arrays["x_train"]), torch.from_numpy(arrays["y_train"])
    unseen = torch.from_numpy(arrays["x_test"]), torch.from_numpy(arrays["y_test"])
    x_train, y_train = joined(*seen, TRAIN, generator)
    x_test, y_test = joined(*unseen, TEST, generator)
    return Corpus(
        "motions",
        x_train.numpy(),
        y_train.numpy(),
        x_test.numpy(),
        y_test.numpy(),
        CLASSES,
        "BasicMotions of the UEA archive (Bagnall et al., 2018), as shipped inside the aeon "
        "package 1.6.0",
        "BSD-3-Clause (aeon)",
        "four pieces of four seconds, cut from recordings of one part and joined; the labels are "
        "the activities that occur; held-out samples are made from the archive's test part",
        value_range=(-LIMIT, LIMIT),
        fresh=lambda epoch: joined(*seen, TRAIN, epoch),
    )


def joined(
    recordings: Tensor, activity: Tensor, count: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """``count`` samples [6, PIECES * PIECE] and their labels [count, 4] as int64 zeros and ones.

    A sample draws how many of the activities occur (one to three), which, and a piece for each
    of its places, so that every drawn activity occurs at least once.
    """
    samples, labels = [], []
    for _ in range(count):
        number = int(torch.randint(1, PIECES, (1,), generator=generator))
        chosen = torch.randperm(len(CLASSES), generator=generator)[:number]
        more = torch.randint(number, (PIECES - number,), generator=generator)
        places = torch.cat([chosen, chosen[more]])
        places = places[torch.randperm(PIECES, generator=generator)]
        samples.append(
            torch.cat([_piece(recordings, activity, int(k), generator) for k in places], 1)
        )
        labels.append(torch.zeros(len(CLASSES), dtype=torch.int64).index_fill(0, chosen, 1))
    return torch.stack(samples).clamp(-LIMIT, LIMIT), torch.stack(labels)


def _piece(recordings: Tensor, activity: Tensor, wanted: int, generator: torch.Generator) -> Tensor:
    """A random piece of a random recording of the wanted activity."""
    among = torch.nonzero(activity == wanted).flatten()
    which = among[torch.randint(len(among), (1,), generator=generator)]
    start = int(torch.randint(recordings.shape[2] - PIECE + 1, (1,), generator=generator))
    return recordings[int(which), :, start : start + PIECE]
