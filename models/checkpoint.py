"""Checkpoints: tensors as safetensors, everything else as JSON; no pickle, so no code in a file."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from models.architecture import Architecture
from models.projection import Origin
from models.protopnet import ProtoPNet
from models.recipe import Recipe
from protoproof.errors import TrainingError
from protoproof.files import make_directory, write_atomic

RECORD = "checkpoint.json"
TENSORS = "checkpoint.safetensors"
_LARGEST_TENSORS = 1 << 30


class DataRecord(BaseModel):
    """Which data set was used; the name never holds a directory."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: str
    sha256: str
    train: int
    test: int


class Checkpoint(BaseModel):
    """A trained network without its tensors."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    schema_: Literal["protoproof.checkpoint/1"] = "protoproof.checkpoint/1"
    family: Literal["protopnet"]
    name: str
    command: str
    seed: int
    data: DataRecord
    recipe: Recipe
    architecture: Architecture
    classes: tuple[str, ...]
    prototypes_per_class: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    origins: tuple[Origin, ...]
    accuracy: dict[str, float]
    versions: dict[str, str]

    def untrained(self) -> ProtoPNet:
        """A network of this shape; its weights are still random."""
        return ProtoPNet(
            self.architecture,
            len(self.classes),
            self.prototypes_per_class,
            list(self.mean),
            list(self.std),
        )


def save_checkpoint(folder: Path, record: Checkpoint, model: ProtoPNet) -> Path:
    """Write both files, the record last; return the record's path. Raises OutputError."""
    make_directory(folder)
    tensors = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    write_atomic(folder / TENSORS, save_tensors(tensors))
    path = folder / RECORD
    write_atomic(path, record.model_dump_json(indent=1).encode() + b"\n")
    return path


def load_checkpoint(path: Path) -> tuple[Checkpoint, ProtoPNet]:
    """Read a checkpoint (its folder or its JSON file) and build the network, ready to evaluate.

    Raises TrainingError when a file is missing, malformed or does not fit the other.
    """
    record_path = path / RECORD if path.is_dir() else path
    tensors_path = record_path.with_name(TENSORS)
    try:
        record = Checkpoint.model_validate_json(record_path.read_bytes())
        if tensors_path.stat().st_size > _LARGEST_TENSORS:
            raise TrainingError(f"{tensors_path}: larger than {_LARGEST_TENSORS} bytes: not ours")
        tensors = load_tensors(tensors_path.read_bytes())
    except OSError as error:
        raise TrainingError(
            f"checkpoint {path} cannot be read ({error.strerror}): give the folder that "
            "'train' wrote"
        ) from error
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "the document"
        raise TrainingError(
            f"checkpoint {record_path}: {field}: {first['msg']}: train the network again"
        ) from error
    except SafetensorError as error:
        raise TrainingError(
            f"checkpoint {tensors_path} is damaged ({error}): train the network again"
        ) from error
    model = record.untrained()
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        raise TrainingError(
            f"checkpoint {tensors_path} does not fit {record_path.name}: train the network again"
        ) from error
    return record, model.eval()
