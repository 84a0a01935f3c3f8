"""Files that somebody names: whole, regular, and no larger than they can sensibly be."""

from __future__ import annotations

from pathlib import Path

from protoproof.errors import CertificateError, InputError
from protoproof.files import read_regular


def read(path: Path, most: int, what: str) -> bytes:
    """A file's content. A link is followed: it is the user who names it.

    Raises:
        InputError: no such file, no regular file, larger than ``most`` bytes, or unreadable.
    """
    try:
        content = read_regular(path.resolve(), most)
    except (OSError, RuntimeError, ValueError) as error:  # a loop of links, a name with a NUL
        raise InputError(f"{what} {path}: cannot be read ({error})") from error
    if content is None:
        raise InputError(f"{what} {path}: no such file")
    return content


def parsed(content: bytes, what: str) -> object:
    """JSON with one meaning: no key twice, no NaN, bounded in depth and numbers.

    Raises:
        InputError: it is none.
    """
    from protoproof.certificate.strict_json import parse

    try:
        return parse(content, what)
    except CertificateError as error:
        raise InputError(str(error)) from error
