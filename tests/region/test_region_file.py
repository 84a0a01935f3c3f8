"""Properties in YAML."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from protoproof.errors import InputError, UsageError
from protoproof.region.sets.yaml_file import json_schema, load_region, read_property

SPECS = Path(__file__).parents[2] / "specs"
CENTRE = np.full((1, 6, 6), 0.5, dtype=np.float32)


def test_the_published_schema_is_the_model_s() -> None:
    assert json.loads((SPECS / "schema" / "property.schema.json").read_text()) == json_schema()


@pytest.mark.parametrize("path", sorted((SPECS / "properties").glob("*.yaml")), ids=str)
def test_the_examples_are_regions(path: Path) -> None:
    region = load_region(str(path), CENTRE, CENTRE.shape, (0.0, 1.0))
    assert region.inside(CENTRE)


def write(folder: Path, region: str, more: str = "") -> Path:
    path = folder / "property.yaml"
    path.write_text(f"schema: protoproof.property/1\nregion: {region}\n{more}")
    return path


@pytest.mark.parametrize(
    ("region", "syntax"),
    [
        ("{kind: linf, radius: 0.1}", "linf:0.1"),
        ("{kind: l2, radius: 1e-3}", "l2:0.001"),
        ("{kind: linf, radius: 0}", "linf:0"),
        ("{kind: occlude, row: 1, column: 2, radius: 3}", "occlude:1,2,3"),
        ("{kind: shift, most: 2}", "shift:2"),
        ("{kind: brightness, contrast: 1/3}", "brightness:0,1/3"),
    ],
)
def test_what_is_read(tmp_path: Path, region: str, syntax: str) -> None:
    assert read_property(write(tmp_path, region)).syntax(tmp_path) == syntax


def test_files_are_relative_to_the_property(tmp_path: Path) -> None:
    np.savez(tmp_path / "b.npz", lower=CENTRE * 0, upper=CENTRE)
    path = write(tmp_path, "{kind: box, file: b.npz}")
    assert load_region(str(path), CENTRE, CENTRE.shape, (0.0, 1.0)).kind == "box"


@pytest.mark.parametrize(
    ("region", "problem"),
    [
        ("{kind: linf}", "radius"),
        ("{kind: linf, radius: -0.1}", "radius"),
        ("{kind: linf, radius: .nan}", "not plain YAML"),
        ("{kind: linf, radius: 0.1, extra: 1}", "extra"),
        ("{kind: sphere, radius: 1}", "region"),
        ("{kind: occlude, row: 1, column: 2, height: 3}", "height and width"),
        ("{kind: shift, most: true}", "most"),
        ("!!python/object:os.system {}", "not plain YAML"),
        ("3", "region"),
    ],
)
@pytest.mark.trust(30)
def test_the_rest_is_refused(tmp_path: Path, region: str, problem: str) -> None:
    path = write(tmp_path, region)
    with pytest.raises((InputError, UsageError), match=problem) as caught:
        load_region(str(path), CENTRE, CENTRE.shape, (0.0, 1.0))
    assert "\n" not in str(caught.value)
