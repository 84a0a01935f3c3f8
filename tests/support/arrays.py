"""NumPy files whose headers are none, which every reader of arrays has to refuse."""

from __future__ import annotations

_STATED = "{'descr': '<f4', 'fortran_order': False, 'shape': "
HEADERS = (
    "(" * 9000,
    "-" * 9000 + "1",
    "{'shape': " + "-" * 9000 + "1}",
    _STATED + "(1, 2",  # no text of Python
    _STATED + "(99999999999999999999,)}",  # a number that no machine has
    "{1: 2, 'shape': 3}",  # keys that are no words
    "{[]: 1}",
)


def array_with_header(header: str) -> bytes:
    """The bytes of a ``.npy`` file, format 2.0, without numbers."""
    text = header.encode()
    return b"\x93NUMPY\x02\x00" + len(text).to_bytes(4, "little") + text
