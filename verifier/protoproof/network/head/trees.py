"""Soft trees: found from their leaves to the root, as (1 - a) * left + a * right; or written path
by path, as a sum over leaves of the product of the shares on the way, in which any atom may be the
root: with the products that lack it on both sides, it is (1 - a) * left + a * right again."""

from __future__ import annotations

import itertools
import math
from collections import Counter

import numpy as np

from protoproof.network.head import pooled
from protoproof.network.head.features import least_values
from protoproof.network.head.refusal import NotRecognisedError
from protoproof.network.head.symbols import Combination, Pooled, Real, Share, Tree, only
from protoproof.network.head.tables import Atom, Path, Tables


def share(tables: Tables, x: Pooled | Combination, below: Tree | Pooled | Combination) -> Share:
    """x times what lies below a node; x is one number, an affine function of one pooled value.

    Raises:
        NotRecognisedError: x is something else.
    """
    if math.prod(x.shape) != 1:
        raise NotRecognisedError("a product of several pooled values with others")
    part = plain(tables, pooled.combined(tables, x))
    used = np.flatnonzero(part.weight[0])
    if len(used) != 1 or part.ratio is not None:
        raise NotRecognisedError("a product of pooled values that is no node of a soft tree")
    under = below
    if not isinstance(under, Tree):
        under = plain(tables, pooled.combined(tables, under))
    shape = np.broadcast_shapes(x.shape, below.shape)
    alpha, beta = float(part.bias[0]), float(part.weight[0, used[0]])
    return Share(shape, alpha, beta, part.atom[int(used[0])], under)


def joined(
    tables: Tables, x: Share | Pooled | Combination, y: Share | Pooled | Combination
) -> Tree:
    """The node whose two shares are added.

    Raises:
        NotRecognisedError: the two are not (1 - a) times something and a times something.
    """
    if not isinstance(x, Share) and not isinstance(y, Share):
        raise NotRecognisedError("a sum that is no node of a soft tree")
    known = only(x if isinstance(x, Share) else y, Share)
    other = y if known is x else x
    atom = known.atom
    if isinstance(other, Share):
        if other.atom != atom:
            raise NotRecognisedError("a sum of shares of two nodes of a soft tree")
        sides = {_side(known): _under(known.below), _side(other): _under(other.below)}
    else:
        sides = {_side(known): _under(known.below)}
        rest = "left" if "right" in sides else "right"
        sides[rest] = _leaf(plain(tables, pooled.combined(tables, other)), atom, rest)
    if set(sides) != {"left", "right"}:
        raise NotRecognisedError("a sum of two shares that do not make up 1")
    shape = np.broadcast_shapes(x.shape, y.shape)
    return Tree(shape, atom, sides["left"], sides["right"])


def _side(x: Share) -> str:
    if (x.alpha, x.beta) == (0.0, 1.0):
        return "right"
    if (x.alpha, x.beta) == (1.0, -1.0):
        return "left"
    raise NotRecognisedError("a share of a soft tree that is neither a nor 1 - a")


def _under(x: Tree | Combination) -> Tree | Real:
    """A child: a tree, a leaf, or the tree of one node that a combination of one atom is."""
    if isinstance(x, Tree):
        return x
    used = np.flatnonzero(np.abs(x.weight).max(axis=0))
    if len(used) == 0:
        return x.bias
    if len(used) != 1 or x.ratio is not None:
        raise NotRecognisedError("a soft tree whose child is a combination of several values")
    # (1 - a) left + a right = left + a (right - left)
    column = x.weight[:, int(used[0])]
    return Tree(x.shape, x.atom[int(used[0])], x.bias, x.bias + column)


def _leaf(x: Combination, atom: int, side: str) -> Real:
    """The leaf of a share that was computed as a combination of one atom."""
    if x.ratio is not None:
        raise NotRecognisedError("a soft tree with something else than numbers at a leaf")
    column = np.zeros(len(x.bias))
    for number, name in enumerate(x.atom):
        if name == atom:
            column = x.weight[:, number]
        elif x.weight[:, number].any():
            raise NotRecognisedError("a leaf of a soft tree that depends on another node")
    if side == "right" and not x.bias.any():
        return column
    if side == "left" and np.array_equal(column, -x.bias):
        return x.bias
    raise NotRecognisedError("two shares of a soft tree that do not make up 1")


Paths = dict[frozenset[tuple[int, bool]], Real]
# how far rounding may put a share outside [0, 1]
HAIR = 1e-9
# products of shares that one multiplication may make, and nodes that a tree of them may have
_MOST = 1 << 14


def product(tables: Tables, x: Combination, y: Combination) -> Combination:
    """x * y element by element: products of shares of a tree.

    Raises:
        NotRecognisedError: a share times itself, votes over a denominator, or too many products.
    """
    if x.ratio is not None or y.ratio is not None:
        raise NotRecognisedError("a product of votes over a common denominator")
    shape = np.broadcast_shapes(x.shape, y.shape)
    count = math.prod(shape)
    sides = []
    for part in (plain(tables, x), plain(tables, y)):
        place = np.broadcast_to(np.arange(len(part.bias)).reshape(part.shape), shape).reshape(-1)
        own = [paths(tables, part, k) for k in range(len(part.bias))]
        sides.append([own[k] for k in place.tolist()])
    _require_shares(tables, {a for side in sides for own in side for x in own for a, _ in x})
    columns: dict[int, Real] = {}
    bias = np.zeros(count)
    for element, (first, second) in enumerate(zip(*sides, strict=True)):
        for (a, one), (b, other) in itertools.product(first.items(), second.items()):
            if {atom for atom, _ in a} & {atom for atom, _ in b}:
                raise NotRecognisedError("a product of a share with itself, or with its rest of 1")
            if not a | b:
                bias[element] += (one * other)[0]
                continue
            column = columns.setdefault(_atom_of(tables, a | b), np.zeros(count))
            column[element] += (one * other)[0]
            if len(columns) > _MOST:
                raise NotRecognisedError("a soft tree of too many paths")
    weight = np.array(list(columns.values())).reshape(len(columns), count).T
    return Combination(shape, tuple(columns), weight, bias)


def _require_shares(tables: Tables, atoms: set[int]) -> None:
    """Nothing else is multiplied.

    Raises:
        NotRecognisedError: some are not known to lie between 0 and 1.
    """
    new = [tables.atoms[k] for k in sorted(atoms - tables.shares)]
    if not new:
        return
    turned = [Atom(atom.record, (*atom.steps, ("mul", -1.0))) for atom in new]
    try:
        least, most = least_values(tables, new), -least_values(tables, turned)
    except NotRecognisedError as error:
        raise NotRecognisedError(f"a product of functions of measurements: {error}") from error
    if (least < -HAIR).any() or (most > 1 + HAIR).any():
        raise NotRecognisedError(
            "a product of functions of measurements that are no shares of a soft tree: those lie "
            "between 0 and 1"
        )
    tables.shares |= atoms


def _atom_of(tables: Tables, literals: frozenset[tuple[int, bool]]) -> int:
    if len(literals) == 1 and next(iter(literals))[1]:
        return next(iter(literals))[0]
    return tables.atom(Atom(tables.record(Path(literals)), ()))


def paths(tables: Tables, x: Combination, element: int | None = None) -> Paths:
    """A (plain) combination as a sum of products of shares; of one element, or of all [K].

    Raises:
        NotRecognisedError: a function of a product.
    """
    rows = slice(None) if element is None else slice(element, element + 1)
    weight, bias = x.weight[rows], x.bias[rows]
    used = np.flatnonzero(weight.any(axis=0)).tolist()
    if len(used) == 1 and (bias == 1).all() and (weight[:, used[0]] == -1).all():
        return {frozenset({(x.atom[used[0]], False)}): bias}
    found: Paths = {frozenset(): bias} if bias.any() or not used else {}
    for column in used:
        atom = tables.atoms[x.atom[column]]
        record = tables.records[atom.record]
        if isinstance(record, Path) and atom.steps:
            raise NotRecognisedError("a function of a product of shares")
        single = frozenset({(x.atom[column], True)})
        found[record.literals if isinstance(record, Path) else single] = weight[:, column]
    return found


def grown(tables: Tables, found: Paths, shape: tuple[int, ...]) -> Tree:
    """The tree that a sum of products of shares is.

    The atom that most products have is the root.

    Raises:
        NotRecognisedError: it has too many nodes.
    """
    nodes = 0

    def grow(products: Paths) -> Tree | Real:
        nonlocal nodes
        seen = Counter(atom for literals in products for atom, _ in literals)
        if not seen:
            return np.asarray(sum(products.values()))
        nodes += 1
        if nodes > _MOST:
            raise NotRecognisedError("a soft tree of too many nodes")
        atom = min(seen, key=lambda a: (-seen[a], tables.atoms[a].record, a))
        sides = []
        for side in (False, True):
            part: Paths = {}
            for literals, values in products.items():
                if (atom, not side) in literals:
                    continue
                rest = literals - {(atom, side)}
                part[rest] = part[rest] + values if rest in part else values
            sides.append({k: v for k, v in part.items() if v.any() or not k})
        nothing = {frozenset[tuple[int, bool]](): np.zeros(math.prod(shape))}
        return Tree(shape, atom, grow(sides[0] or nothing), grow(sides[1] or nothing))

    return only(grow(found), Tree)


def plain(tables: Tables, x: Combination) -> Combination:
    """The same combination over atoms that end in nothing affine: 1 - a as one of a."""
    found: dict[int, Real] = {}
    bias = x.bias.copy()
    for column, number in enumerate(x.atom):
        atom, factor = tables.atoms[number], 1.0
        steps = atom.steps
        while steps and steps[-1][0] in ("add", "mul") and steps[-1][1] is not None:
            if steps[-1][0] == "add":
                bias = bias + factor * steps[-1][1] * x.weight[:, column]
            else:
                factor *= steps[-1][1]
            steps = steps[:-1]
        base = tables.atom(Atom(atom.record, steps))
        found[base] = found.get(base, np.zeros(len(bias))) + factor * x.weight[:, column]
    weight = np.array(list(found.values())).reshape(len(found), len(bias)).T
    return Combination(x.shape, tuple(found), weight, bias, x.ratio)
