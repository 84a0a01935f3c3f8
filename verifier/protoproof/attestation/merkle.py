"""The tree over all certificates: Merkle tree hashes as in RFC 6962 (2.1) and RFC 9162 (2.1.3).

Leaves and inner nodes are hashed in two ways (a byte 0 or 1 in front), so that no inner node can be
passed off as a leaf. A node without a sibling moves up as it is; nothing is ever doubled, so that
two lists of leaves have one root only if they are equal.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence


def leaf_hash(data: bytes) -> bytes:
    """The hash of a leaf."""
    return hashlib.sha256(b"\x00" + data).digest()


def root(leaves: Sequence[bytes]) -> bytes:
    """The root over hashes of leaves; of no leaves, the hash of nothing."""
    if not leaves:
        return hashlib.sha256().digest()
    if len(leaves) == 1:
        return leaves[0]
    middle = _middle(len(leaves))
    return _node_hash(root(leaves[:middle]), root(leaves[middle:]))


def path(index: int, leaves: Sequence[bytes]) -> tuple[bytes, ...]:
    """The siblings on the way from leaf ``index`` to the root, the leaf's own first."""
    if len(leaves) <= 1:
        return ()
    middle = _middle(len(leaves))
    if index < middle:
        return (*path(index, leaves[:middle]), root(leaves[middle:]))
    return (*path(index - middle, leaves[middle:]), root(leaves[:middle]))


def root_above(leaf: bytes, index: int, size: int, siblings: Sequence[bytes]) -> bytes | None:
    """The root that a tree of ``size`` leaves has, if ``leaf`` is its leaf ``index`` and these are
    the siblings on the way; None where a tree of this size has another number of them there."""
    if not 0 <= index < size:
        return None
    here, last, found = index, size - 1, leaf
    for sibling in siblings:
        if last == 0:
            return None
        if here & 1 or here == last:
            found = _node_hash(sibling, found)
            while not here & 1 and here:
                here, last = here >> 1, last >> 1
        else:
            found = _node_hash(found, sibling)
        here, last = here >> 1, last >> 1
    return found if last == 0 else None


def _node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def _middle(count: int) -> int:
    """The largest power of two below ``count`` > 1."""
    return 1 << (count - 1).bit_length() - 1
