"""The data sets of the zoo: real samples, split so that held-out ones are unseen, with licences."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import models.corpora
from models.corpora import CORPORA, corpus
from models.corpora.digits import moved
from models.corpora.motions import FILE, LIMIT, PIECE
from protoproof.errors import UsageError

HOME = Path(models.corpora.__file__).parent


@pytest.mark.parametrize("name", CORPORA)
def test_data_sets(name: str) -> None:
    data = corpus(name)
    low, high = data.value_range
    for x, y in ((data.x_train, data.y_train), (data.x_test, data.y_test)):
        assert x.dtype == np.float32
        assert len(x) == len(y)
        assert low <= x.min() < x.max() <= high
    assert data.licence
    assert data.source
    classes = data.y_test.shape[1] if data.multi_label else int(data.y_test.max()) + 1
    assert classes == len(data.classes)


@pytest.mark.parametrize("folder", ["emoji", "motions"])
def test_licences_lie_beside_what_was_copied(folder: str) -> None:
    home = HOME / folder
    licence = (home / "LICENSE.txt").read_text(encoding="utf-8")
    notice = (home / "NOTICE.txt").read_text(encoding="utf-8")
    wanted = {"emoji": "Apache License", "motions": "BSD 3-Clause License"}[folder]
    assert wanted in licence
    held = [path.name for path in home.iterdir() if path.suffix in (".png", ".npz")]
    assert held
    assert all(name in notice for name in held)


def test_no_held_out_drawing_was_trained_on() -> None:
    """Emoji are split by drawing, so that two views of one drawing never lie on both sides."""
    facts = json.loads((HOME / "emoji" / "noto.json").read_text())
    kinds = [picture["class"] for picture in facts["pictures"]]
    data = corpus("emoji")
    for label, kind in enumerate(facts["classes"]):
        held = kinds.count(kind) // 4
        assert int((data.y_test == label).sum()) == 2 * held
        assert int((data.y_train == label).sum()) == 4 * (kinds.count(kind) - held)
    codes = [picture["code"] for picture in facts["pictures"]]
    assert len(set(codes)) == len(codes)


def test_motion_labels_are_the_activities_that_occur() -> None:
    """A sample's pieces are found again in recordings of exactly the activities it is labelled."""
    with np.load(FILE) as held:
        recordings, activity = np.clip(held["x_test"], -LIMIT, LIMIT), held["y_test"]
    data = corpus("motions")
    windows = np.lib.stride_tricks.sliding_window_view(recordings, PIECE, axis=2)
    for x, labels in zip(data.x_test[:20], data.y_test[:20], strict=True):
        found = set()
        for start in range(0, x.shape[1], PIECE):
            piece = x[:, start : start + PIECE]
            same = (windows == piece[None, :, None]).all(axis=(1, 3)).any(axis=1)
            found |= set(activity[same].tolist())
        assert found == set(np.flatnonzero(labels).tolist())


@pytest.mark.parametrize("name", sorted(set(CORPORA) - {"digits8"}))
def test_an_epoch_is_decided_by_its_seed_and_shows_known_classes(name: str) -> None:
    data = corpus(name)
    x, y = data.epoch(torch.Generator().manual_seed(7))
    again, _ = data.epoch(torch.Generator().manual_seed(7))
    other, _ = data.epoch(torch.Generator().manual_seed(8))
    assert torch.equal(x, again)
    assert not torch.equal(x, other)
    assert x.shape[1:] == data.shape
    assert len(x) == len(y)
    assert not {sample.numpy().tobytes() for sample in x} & {s.tobytes() for s in data.x_test}


def test_moved_images_keep_their_pixels() -> None:
    images = torch.zeros(20, 1, 9, 9)
    images[:, 0, 4, 4] = torch.arange(1, 21).float()
    found = moved(images, torch.Generator().manual_seed(0))
    assert torch.equal(found.sum(dim=(1, 2, 3)), torch.arange(1, 21).float())
    places = torch.nonzero(found[:, 0])[:, 1:]
    assert int((places - 4).abs().max()) == 2


def test_a_data_set_that_does_not_exist() -> None:
    with pytest.raises(UsageError, match="does not exist"):
        corpus("nowhere")
