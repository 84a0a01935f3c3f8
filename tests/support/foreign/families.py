"""The one list of the field's heads; everything about foreign networks is driven by it."""

from __future__ import annotations

from tests.support.foreign import by_density, by_distance, by_projection
from tests.support.foreign.family import Family, Form

FAMILIES: tuple[Family, ...] = by_distance.FAMILIES + by_projection.FAMILIES + by_density.FAMILIES
BY_NAME = {family.name: family for family in FAMILIES}
RECOGNISED = tuple(family for family in FAMILIES if isinstance(family.expected, Form))
BEYOND = tuple(family for family in FAMILIES if not isinstance(family.expected, Form))

# every file that an exporter can write, and whether it is explained and certified
FILES = tuple(
    (family, exporter)
    for family in FAMILIES
    for exporter in ("default", "legacy")
    if exporter not in family.unexported
)
CERTIFIED = tuple(
    (family, exporter)
    for family, exporter in FILES
    if isinstance(family.expected, Form) and exporter not in family.uncertified
)
UNCERTIFIED = tuple(
    (family, exporter) for family, exporter in FILES if exporter in family.uncertified
)
REFUSED = tuple(
    (family, exporter) for family, exporter in FILES if not isinstance(family.expected, Form)
)
