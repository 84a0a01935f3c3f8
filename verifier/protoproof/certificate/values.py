"""The kinds of values that a certificate holds, and the strictness of its objects."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, FailFast, Field

Index = Annotated[int, Field(ge=0, lt=1 << 31)]
HexFloat = Annotated[
    str, Field(pattern=r"^-?0x[01](\.[0-9a-f]{1,13})?p[+-][0-9]{1,4}$", max_length=32)
]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Base64 = Annotated[str, Field(pattern=r"^[A-Za-z0-9+/]*={0,2}$", max_length=1 << 26)]
Text = Annotated[str, Field(max_length=4096)]
Tensor = Annotated[str, Field(min_length=1, max_length=1024)]
# FailFast: one wrong element ends the validation, so a hostile file cannot buy a million errors.
Indices = Annotated[tuple[Index, ...], FailFast()]


class Frozen(BaseModel):
    """Strict, immutable, and closed: an unknown field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)
