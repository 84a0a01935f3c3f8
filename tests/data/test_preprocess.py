"""What is stated about pictures is done as torch's transforms do it, and nothing else is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from protoproof.data.preprocess import IMAGENET, Preprocessing, parse, preprocessing_of
from protoproof.errors import InputError, UsageError

RNG = np.random.default_rng(3)
COLOUR = RNG.integers(0, 256, (31, 45, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    "text",
    [
        "resize=256,crop=224x224,mean=0.485,0.456,0.406,std=0.229,0.224,0.225",
        "resize=20x30,interpolation=bicubic,bgr,range=0,255",
        "crop=8x9",
        "range=-1,1",
        "bgr,range=0,255,mean=103.939,116.779,123.68,std=1",
    ],
)
def test_the_text_states_the_same_again(text: str) -> None:
    assert str(parse(text, "x")) == text


def test_imagenet_is_what_torchvision_means_by_it(tmp_path: Path) -> None:
    assert parse("imagenet", "x") == IMAGENET
    assert parse("imagenet,resize=64x64,crop=none", "x").resize == (64, 64)
    path = tmp_path / "p.yaml"
    path.write_text("preset: imagenet\ncolour: bgr\nmean: [0.1, 0.2, 0.3]\ncrop: 224\n")
    found = preprocessing_of(str(path))
    assert (found.bgr, found.mean, found.crop) == (True, (0.1, 0.2, 0.3), (224, 224))
    assert (found.resize, found.std) == (IMAGENET.resize, IMAGENET.std)


def test_numbers_are_those_of_torch() -> None:
    """Bit for bit: ToTensor and Normalize, which divide by 255, subtract and divide in float32."""
    stated = Preprocessing(mean=IMAGENET.mean, std=IMAGENET.std)
    want = torch.from_numpy(COLOUR.transpose(2, 0, 1).copy()).to(torch.float32).div(255)
    want.sub_(torch.tensor(IMAGENET.mean)[:, None, None])
    want.div_(torch.tensor(IMAGENET.std)[:, None, None])
    unit = COLOUR.transpose(2, 0, 1).astype(np.float32) / np.float32(255)
    found = stated.values(unit)
    assert found.tobytes() == want.numpy().tobytes()
    low, high = stated.limits(3)
    assert low <= found.min() <= found.max() <= high
    np.testing.assert_allclose(stated.image(found), unit, atol=1e-6)
    turned = Preprocessing(bgr=True, range=(0.0, 255.0), mean=(1.0, 2.0, 3.0), std=(1.0,))
    want_turned = unit[::-1] * 255 - np.array([1, 2, 3], "f4")[:, None, None]
    np.testing.assert_array_equal(turned.values(unit), want_turned)
    np.testing.assert_allclose(turned.image(want_turned), unit, atol=1e-6)


def test_pixels_are_those_of_torchvision() -> None:
    """``Resize`` takes the shorter side, and cuts the longer one down to a whole number."""
    assert Preprocessing(resize=20).pixels(COLOUR).shape == (20, 29, 3)
    assert Preprocessing(resize=20).pixels(COLOUR.transpose(1, 0, 2)).shape == (29, 20, 3)
    image = Image.fromarray(COLOUR).resize((29, 20), Image.Resampling.BILINEAR)
    cut = Preprocessing(resize=20, crop=(16, 16)).pixels(COLOUR)
    # CenterCrop rounds half to even: (20 - 16) / 2 = 2, (29 - 16) / 2 = 6.5
    assert np.array_equal(cut, np.asarray(image)[2:18, 6:22])
    same = Preprocessing(resize=31).pixels(COLOUR)
    assert np.array_equal(same, COLOUR)
    with pytest.raises(InputError, match="too few to cut 40 x 40"):
        Preprocessing(crop=(40, 40)).pixels(COLOUR)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "not understood"),
        ("imagnet", "'imagnet' is not understood; say imagenet, or"),
        ("mean=0.5", "std is missing"),
        ("mean=0.5,std=0", "above 0"),
        ("mean=a,std=1", "could not convert"),
        ("mean=nan,std=1", "numbers"),
        ("size=4", "'size' is unknown"),
        ("resize=0", "pixels"),
        ("resize=3x4x5", "pixels"),
        ("range=1,0", "the smaller first"),
        ("crop=4,crop=5", "said twice"),
        ("interpolation=magic,resize=3", "none of bilinear"),
        ("rgb", "says nothing"),
        ("range=0,0.001,mean=999999,std=1", "pixels that differ become the same number"),
        ("range=999999,999999.1", "pixels that differ become the same number"),
        ("mean=0,0,999999,std=1", "pixels that differ become the same number"),
        ("absent.yaml", "no such file"),
    ],
)
def test_what_cannot_be_meant_is_refused(text: str, problem: str) -> None:
    with pytest.raises(UsageError, match=problem) as caught:
        preprocessing_of(text)
    assert "\n" not in str(caught.value)


def test_means_of_other_channels() -> None:
    with pytest.raises(InputError, match="for 3 channels, and the network takes 1"):
        IMAGENET.values(np.zeros((1, 2, 2), np.float32))
