"""Properties in YAML: which region, and which class is expected there.

    schema: protoproof.property/1
    region: {kind: linf, radius: 2/255}
    expect: predicted

The JSON schema is ``specs/schema/property.schema.json``; examples are in ``specs/properties/``.
Numbers are strings or YAML numbers; ``2/255`` stays exact.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from protoproof.errors import InputError
from protoproof.network.onnx.file import read_regular_file
from protoproof.network.onnx.node import printable
from protoproof.region.sets.region import Image, Region
from protoproof.region.sets.syntax import Domain, parse_region
from protoproof.region.sets.vnnlib import read_vnnlib
from protoproof.strict_yaml import plain_yaml

SCHEMA = "protoproof.property/1"
_MOST_BYTES = 1 << 17

Number = Annotated[
    str, Field(pattern=r"^[0-9]+(\.[0-9]*)?([eE]-?[0-9]+)?(/[0-9]+)?$", max_length=32)
]
Pixel = Annotated[int, Field(ge=0, le=999999)]
Name = Annotated[str, Field(min_length=1, max_length=1024)]


class _Closed(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Norm(_Closed):
    """A ball, clipped to the input domain."""

    kind: Literal["linf", "l2"]
    radius: Number


class File(_Closed):
    """A box from ``lower`` and ``upper`` in an .npz file, or the box of a VNN-LIB file."""

    kind: Literal["box", "vnnlib"]
    file: Name


class Rectangle(_Closed):
    """Freed pixels: a rectangle, or a circle where ``radius`` is given."""

    kind: Literal["occlude"]
    row: Pixel
    column: Pixel
    height: Pixel | None = None
    width: Pixel | None = None
    radius: Pixel | None = None


class Light(_Closed):
    """clip((1 + t) x + s) with |s| <= brightness and |t| <= contrast."""

    kind: Literal["brightness"]
    brightness: Number = "0"
    contrast: Number = "0"


class Shift(_Closed):
    """Whole pixels along both axes."""

    kind: Literal["shift"]
    most: Pixel


class Property(_Closed):
    """One property. ``expect``: the class that the input has (``predicted``), or a class index."""

    schema_: Annotated[Literal["protoproof.property/1"], Field(alias="schema")]
    region: Annotated[Norm | File | Rectangle | Light | Shift, Field(discriminator="kind")]
    expect: Literal["predicted"] | Annotated[int, Field(ge=0)] = "predicted"
    note: Annotated[str, Field(max_length=4096)] = ""

    def syntax(self, folder: Path) -> str:
        """The region as the command line writes it; files are relative to ``folder``."""
        match self.region:
            case Norm(kind=kind, radius=radius):
                return f"{kind}:{radius}"
            case File(kind=kind, file=file):
                return f"{kind}:{folder / file}"
            case Rectangle() as r:
                ends = [r.radius] if r.radius is not None else [r.height, r.width]
                given = [r.row, r.column, *ends]
                if None in given or (r.radius is not None and (r.height, r.width) != (None, None)):
                    raise InputError("region occlude: give height and width, or a radius")
                return f"occlude:{','.join(map(str, given))}"
            case Light(brightness=brightness, contrast=contrast):
                return f"brightness:{brightness},{contrast}"
            case Shift(most=most):
                return f"shift:{most}"


def json_schema() -> dict[str, Any]:
    """The published schema."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | Property.model_json_schema(
        by_alias=True
    )


def read_property(path: Path) -> Property:
    """Read a property file.

    Raises:
        InputError: not readable, not plain YAML, or outside the schema; names file and field.
    """
    content = plain_yaml(read_regular_file(path, _MOST_BYTES, InputError), path, InputError)
    region = content.get("region") if isinstance(content, dict) else None
    if isinstance(region, dict):  # 0.1 and "2/255" are both numbers to whoever writes YAML
        for field in ("radius", "brightness", "contrast"):
            value = region.get(field)
            exact = isinstance(value, int | float) and not isinstance(value, bool)
            if exact and region.get("kind") != "occlude":
                region[field] = repr(value)
    try:
        return Property.model_validate(content)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_context=False, include_input=False)[0]
        field = printable(".".join(map(str, problem["loc"])), 100)
        raise InputError(
            f"{printable(path, 400)}: field {field or 'root'}: {problem['msg']}; correct it"
        ) from error


def load_region(text: str, centre: Image | None, shape: tuple[int, ...], domain: Domain) -> Region:
    """A region from ``KIND:PARAMETERS``, or from a .yaml or .vnnlib file.

    Raises:
        InputError, UsageError: see :func:`read_property` and :func:`parse_region`.
    """
    path = Path(text)
    if path.suffix in (".yaml", ".yml"):
        text = read_property(path).syntax(path.parent)
    elif path.suffix == ".vnnlib" and ":" not in text:
        text = f"vnnlib:{text}"
    return parse_region(text, centre, shape, domain)


def expected_class(text: str) -> int | None:
    """The class that a .yaml or .vnnlib property expects; None for that of the centre.

    Raises:
        InputError: see :func:`read_property`; or a VNN-LIB condition that is no robustness of one
            class (outputs may be compared otherwise, but nothing here proves that).
    """
    path = Path(text)
    if path.suffix in (".yaml", ".yml"):
        found = read_property(path)
        if isinstance(found.expect, int):
            return found.expect
        region = found.region
        text = found.syntax(path.parent) if isinstance(region, File) else ""
    elif path.suffix == ".vnnlib" and ":" not in text:
        text = f"vnnlib:{text}"
    if not text.startswith("vnnlib:"):
        return None
    name = text.removeprefix("vnnlib:")
    best = read_vnnlib(Path(name)).robust_class()
    if best is None:
        raise InputError(
            f"{printable(name, 400)}: its output condition is not 'some other class is at least "
            "as large'; only that is proved here"
        )
    return best
