"""What the indices of values stand for: sites, rows, norms, programs, pooled features, terms."""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

from protoproof.errors import ModelError
from protoproof.kernel.budget import hold
from protoproof.kernel.model.head import Length
from protoproof.kernel.model.real import Real
from protoproof.kernel.model.symbolic.arrays import require_short

_LONGEST = 256  # instructions of a program
# One function of one variable with its constant.
Instruction = tuple[str, Fraction | Real | None]
Program = tuple[Instruction, ...]


class Site(NamedTuple):
    """Ascending flat indices of the latent; ``norm``: what divides them (-1: nothing)."""

    elements: tuple[int, ...]
    norm: int = -1


class Norm(NamedTuple):
    """The length of the elements of a site, as an angle is divided by it.

    ``zero``: the operator makes 0 of the zero vector, which no quotient does.
    """

    site: int
    length: Length
    zero: bool = False


class Row(NamedTuple):
    """sum over d of square_d z_d^2 + slope_d z_d, over one denominator; () for all zeros.

    With ``factors`` the sum of factor_d square_d (z_d - p_d)^2, p = -slope / (2 square), none of
    whose squares is 0.
    """

    square: tuple[int, ...]
    slope: tuple[int, ...]
    denominator: int
    factors: tuple[Real, ...] = ()


class Feature(NamedTuple):
    """A measurement pooled over a group of sites.

    ``kind``: max, min, mean, sum, top (mean of the k largest), bottom; ``inner``: the program
    before pooling.
    """

    kind: str
    largest: int
    group: int
    row: int
    inner: int


class Tables:
    """Everything that indices mean while one head is read. Equal entries have one index."""

    def __init__(self) -> None:
        self.sites: list[Site] = []
        self.rows: list[Row] = []
        self.norms: list[Norm] = []
        self.programs: list[Program] = []
        self.groups: list[tuple[int, ...]] = []
        self.features: list[Feature] = []
        self._index: dict[object, int] = {}
        self._sizes: dict[int, int] = {}
        self.programs.append(())
        # by the program that is one instruction shorter, and by the last one
        self._longer: dict[tuple[int, str, tuple[object, ...]], int] = {}

    def _entered(self, table: list, entry: object) -> int:  # type: ignore[type-arg]
        key = (id(table), entry)
        found = self._index.get(key)
        if found is None:
            found = self._index[key] = len(table)
            table.append(entry)
        return found

    def site(self, site: Site) -> int:
        # sites that differ in their norm share their elements
        alone = site.norm < 0 or self._index.get((id(self.sites), Site(site.elements))) is None
        hold("the sites of a head", 64 * len(site.elements) if alone else 256)
        return self._entered(self.sites, site)

    def norm(self, norm: Norm) -> int:
        return self._entered(self.norms, norm)

    def row(self, row: Row, number: int = 0) -> int:
        """A row; ``number``: which of the equal ones of one operator, as equal prototypes stay two.

        What another operator computes again with the same coefficients is the same row.
        """
        key = row, number
        found = self._index.get(key)
        if found is None:
            require_short((*row.slope, *set(row.square), row.denominator))
            hold("the rows of a head", 96 * max(len(row.slope), len(row.square)))
            found = self._index[key] = len(self.rows)
            self.rows.append(row)
        return found

    def group(self, sites: tuple[int, ...]) -> int:
        """Sites that are pooled together."""
        hold("the sites of a head", 32 * len(sites))
        return self._entered(self.groups, sites)

    def size(self, group: int) -> int:
        """How many sites a group has.

        Raises:
            ModelError: one of them twice.
        """
        if group not in self._sizes:
            sites = self.groups[group]
            if len(set(sites)) != len(sites):
                raise ModelError("model: a location is pooled twice")
            self._sizes[group] = len(sites)
        return self._sizes[group]

    def feature(self, feature: Feature) -> int:
        hold("the features of a head", 512)
        return self._entered(self.features, feature)

    def program(self, program: Program) -> int:
        found = 0
        for name, constant in program:
            found = self.then(found, name, constant)
        return found

    def then(self, program: int, name: str, constant: Fraction | Real | None = None) -> int:
        """A program with one more instruction."""
        whole = self.programs[program]
        hold("the programs of a head", 64 * (1 + len(whole)))
        # whole numbers are hashed faster than fractions
        number = constant.as_integer_ratio() if isinstance(constant, Fraction) else (constant,)
        key = program, name, number
        found = self._longer.get(key)
        if found is None:
            if len(whole) >= _LONGEST:
                raise ModelError(f"model: more than {_LONGEST} functions one after the other")
            if isinstance(constant, Fraction):
                require_short(number)
            found = self._longer[key] = len(self.programs)
            self.programs.append((*whole, (name, constant)))
        return found

    def affine(self, program: int) -> tuple[Fraction, Fraction] | None:
        """(a, b) where a program is t -> a t + b, for fractions a and b."""
        slope, shift = Fraction(1), Fraction(0)
        for name, constant in self.programs[program]:
            if isinstance(constant, Real):
                return None
            if name == "add" and constant is not None:
                shift += constant
            elif name == "mul" and constant is not None:
                slope, shift = slope * constant, shift * constant
            else:
                return None
        return slope, shift
