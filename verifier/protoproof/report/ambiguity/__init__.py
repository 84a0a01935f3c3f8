"""Same explanation, different class: how often an explanation does not tell classes apart."""

from protoproof.report.ambiguity.collisions import Ambiguity, Collision, Level, ambiguity
from protoproof.report.ambiguity.files import AmbiguityFiles, ambiguity_to_files, spread

__all__ = [
    "Ambiguity",
    "AmbiguityFiles",
    "Collision",
    "Level",
    "ambiguity",
    "ambiguity_to_files",
    "spread",
]
