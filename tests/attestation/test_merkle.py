"""The tree of RFC 6962: its published values, and no leaf but the right one in the right place."""

from __future__ import annotations

import hashlib

import pytest

from protoproof.attestation.merkle import leaf_hash, path, root, root_above

# inputs and roots of the reference implementation of RFC 6962 (certificate-transparency)
DATA = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
LEAVES = [leaf_hash(data) for data in DATA]


def test_roots_are_the_published_ones() -> None:
    assert [root(LEAVES[: n + 1]).hex() for n in range(len(DATA))] == ROOTS
    assert root([]) == hashlib.sha256().digest()


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 8, 13])
def test_every_leaf_is_shown_at_its_place_and_nowhere_else(size: int) -> None:
    leaves = [leaf_hash(bytes([n])) for n in range(size)]
    top = root(leaves)
    for index in range(size):
        way = path(index, leaves)
        assert root_above(leaves[index], index, size, way) == top
        for place in {*range(-1, size + 2)} - {index}:
            assert root_above(leaves[index], place, size, way) != top
        assert root_above(leaf_hash(b"other"), index, size, way) != top
        assert root_above(leaves[index], index, size, way[:-1]) != top or not way
        assert root_above(leaves[index], index, size, (*way, top)) != top


def test_an_inner_node_is_no_leaf() -> None:
    """A tree over its own inner nodes has another root, and no proof shortens."""
    inner = [
        hashlib.sha256(b"\x01" + a + b).digest() for a, b in zip(*[iter(LEAVES)] * 2, strict=1)
    ]
    assert root(inner) == root(LEAVES)  # as hashes they are equal: which hash is a leaf's?
    pairs = [LEAVES[n] + LEAVES[n + 1] for n in range(0, 8, 2)]
    assert not {leaf_hash(pair) for pair in pairs} & set(inner)
    assert root([leaf_hash(pair) for pair in pairs]) != root(LEAVES)


def test_a_last_leaf_twice_is_another_tree() -> None:
    assert root([*LEAVES[:3], LEAVES[2]]) != root(LEAVES[:3])
