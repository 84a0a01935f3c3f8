"""A stack machine for pickles that has no instruction which calls, imports or sets anything.

A pickle is a program; its usual reader imports the names it lists and calls them. Here a name stays
a name (:class:`Name`), and what would be called stays a record of the call (:class:`Made`). A few
names have a meaning as plain data (a tensor, an ordered dictionary), given by functions of this
package alone. What runs is therefore this file, whatever the pickle says.

Nothing is allocated from a number that the pickle merely states: strings come out of the file, the
memo is a dictionary, and instructions are counted.
"""

from __future__ import annotations

import mmap
import pickletools
import struct
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from protoproof.errors import InputError

MOST_INSTRUCTIONS = 4_000_000
MOST_BYTES = 256 << 20  # of one pickle: the numbers of tensors lie outside
LONGEST_LINE = 1 << 16

# Python 2 called them otherwise
_RENAMED = {"__builtin__": "builtins", "copy_reg": "copyreg", "cPickle": "pickle"}
_OLD = {"commands", "os2", "popen2", "dl", "imp", "distutils"}
# of the standard library, what checkpoints do hold; everything else of it is refused by name
_HARMLESS = {
    ("_codecs", "encode"),
    ("argparse", "Namespace"),
    ("builtins", "bytearray"),
    ("builtins", "complex"),
    ("builtins", "dict"),
    ("builtins", "frozenset"),
    ("builtins", "list"),
    ("builtins", "object"),
    ("builtins", "set"),
    ("builtins", "slice"),
    ("builtins", "tuple"),
    ("collections", "Counter"),
    ("collections", "OrderedDict"),
    ("collections", "defaultdict"),
    ("copyreg", "_reconstructor"),
    ("functools", "partial"),
    ("pathlib", "PosixPath"),
    ("pathlib", "PurePosixPath"),
    ("pathlib", "WindowsPath"),
    ("types", "SimpleNamespace"),
}


@dataclass(frozen=True, eq=False)
class Name:
    """A class or function that the pickle names. It is never looked up."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@dataclass(eq=False)
class Made:
    """What a pickle says how to make: of what, from which arguments, with which content."""

    of: Name
    arguments: tuple[Any, ...] = ()
    state: Any = None
    items: list[Any] = field(default_factory=list)
    pairs: dict[Any, Any] = field(default_factory=dict)


Meaning = Callable[..., Any]


class Stream:
    """Bytes that instructions are read from, a bounded number of them for each pickle."""

    def __init__(self, data: bytes | mmap.mmap, position: int = 0) -> None:
        self._data, self.position = data, position
        self._end = len(data)

    def begin(self) -> None:
        """A new pickle begins here."""
        self._end = min(len(self._data), self.position + MOST_BYTES)

    def read(self, size: int) -> bytes:
        return self._taken(self.position + size)

    def readline(self) -> bytes:
        end = min(self._end, self.position + LONGEST_LINE)
        found = self._data.find(b"\n", self.position, end)
        return self._taken(end if found < 0 else found + 1)

    def _taken(self, end: int) -> bytes:
        start, self.position = self.position, min(end, self._end)
        return self._data[start : self.position]


def read_pickle(
    stream: Stream,
    meanings: Mapping[tuple[str, str], Meaning],
    persistent: Callable[[Any], Any] | None = None,
) -> Any:
    """The value that a pickle describes; the stream is left behind its last instruction.

    Args:
        stream: where its instructions come from.
        meanings: by module and name, the plain value that a call of it stands for.
        persistent: what an identity stands for that the file's format gives a meaning.

    Raises:
        InputError: no pickle, one that is cut off, or one that names what no checkpoint needs.
    """
    machine = _Machine(meanings, persistent)
    stream.begin()
    try:
        for count, (code, argument, _) in enumerate(pickletools.genops(stream)):  # type: ignore[arg-type]
            if count >= MOST_INSTRUCTIONS:
                raise InputError(f"its pickle has more than {MOST_INSTRUCTIONS} instructions")
            if code.name == "STOP":
                return machine.pop()
            machine.step(code.name, argument)
    except InputError:
        raise
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, struct.error) as e:
        raise InputError(f"it is no pickle that can be read ({type(e).__name__})") from e
    raise InputError("its pickle has no end")


class _Machine:
    """Stack, marks and memo. Methods are called after instructions."""

    def __init__(
        self,
        meanings: Mapping[tuple[str, str], Meaning],
        persistent: Callable[[Any], Any] | None,
    ) -> None:
        self._meanings, self._persistent = meanings, persistent
        self._stack: list[Any] = []
        self._marks: list[list[Any]] = []
        self._memo: dict[int, Any] = {}

    def pop(self) -> Any:
        """The value on top."""
        return self._stack.pop()

    def step(self, code: str, argument: Any) -> None:
        """Do one instruction."""
        if code in _PUSHED:
            self._stack.append(argument)
        elif code in _FRESH:
            self._stack.append(_FRESH[code]())
        elif code in _COUNTED:
            self._stack.append(tuple(self._top(_COUNTED[code])))
        elif code not in _IGNORED:
            action = getattr(self, f"_do_{code.lower()}", None)
            if action is None:
                raise InputError(f"its pickle has the instruction {code}, which checkpoints lack")
            action(argument)

    def _top(self, size: int) -> list[Any]:
        """The last values, taken off the stack."""
        items = self._stack[-size:]
        if len(items) < size:
            raise IndexError("the stack is empty")
        del self._stack[-size:]
        return items

    # marks, memo and stack

    def _do_mark(self, _: Any) -> None:
        self._marks.append(self._stack)
        self._stack = []

    def _marked(self) -> list[Any]:
        items, self._stack = self._stack, self._marks.pop()
        return items

    def _do_pop(self, _: Any) -> None:
        if self._stack:
            self._stack.pop()
        else:
            self._marked()

    def _do_pop_mark(self, _: Any) -> None:
        self._marked()

    def _do_dup(self, _: Any) -> None:
        self._stack.append(self._stack[-1])

    def _do_put(self, index: int) -> None:
        self._memo[index] = self._stack[-1]

    _do_binput = _do_long_binput = _do_put

    def _do_memoize(self, _: Any) -> None:
        self._memo[len(self._memo)] = self._stack[-1]

    def _do_get(self, index: int) -> None:
        self._stack.append(self._memo[index])

    _do_binget = _do_long_binget = _do_get

    # containers

    def _do_tuple(self, _: Any) -> None:
        items = self._marked()
        self._stack.append(tuple(items))

    def _do_list(self, _: Any) -> None:
        items = self._marked()
        self._stack.append(items)

    _do_frozenset = _do_list

    def _do_dict(self, _: Any) -> None:
        items = self._marked()
        self._stack.append({})
        self._set(items)

    def _do_append(self, _: Any) -> None:
        item = self._stack.pop()
        self._extend([item])

    def _do_appends(self, _: Any) -> None:
        items = self._marked()
        self._extend(items)

    _do_additems = _do_appends

    def _do_setitem(self, _: Any) -> None:
        self._set(self._top(2))

    def _do_setitems(self, _: Any) -> None:
        items = self._marked()
        self._set(items)

    def _extend(self, items: list[Any]) -> None:
        target = self._stack[-1]
        (target.items if isinstance(target, Made) else _of(list, target)).extend(items)

    def _set(self, items: list[Any]) -> None:
        target = self._stack[-1]
        pairs = target.pairs if isinstance(target, Made) else _of(dict, target)
        for key, value in zip(items[::2], items[1::2], strict=True):
            pairs[_key(key)] = value

    # names, and what would be done with them

    def _do_global(self, words: str) -> None:
        module, _, name = words.partition(" ")
        self._stack.append(named(module, name))

    def _do_stack_global(self, _: Any) -> None:
        module, name = self._top(2)
        self._stack.append(named(_of(str, module), _of(str, name)))

    def _do_reduce(self, _: Any) -> None:
        arguments = _of(tuple, self._stack.pop())
        self._make(self._stack.pop(), arguments)

    _do_newobj = _do_reduce

    def _do_newobj_ex(self, _: Any) -> None:
        _of(dict, self._stack.pop())
        self._do_reduce(None)

    def _do_obj(self, _: Any) -> None:
        items = self._marked()
        self._make(items[0], tuple(items[1:]))

    def _do_inst(self, words: str) -> None:
        self._do_global(words)
        name = self._stack.pop()
        self._make(name, tuple(self._marked()))

    def _make(self, of: Any, arguments: tuple[Any, ...]) -> None:
        if not isinstance(of, Name):
            raise InputError("its pickle calls what is no name of a class or function")
        if (of.module, of.name) == ("copyreg", "_reconstructor"):
            of, arguments = _of(Name, arguments[0]), ()
        meaning = self._meanings.get((of.module, of.name))
        self._stack.append(Made(of, arguments) if meaning is None else meaning(*arguments))

    def _do_build(self, _: Any) -> None:
        state = self._stack.pop()
        if isinstance(self._stack[-1], Made):  # what plain data carries beside is of no interest
            self._stack[-1].state = state

    def _do_binpersid(self, _: Any) -> None:
        if self._persistent is None:
            raise InputError("its pickle refers to something outside of it")
        self._stack.append(self._persistent(self._stack.pop()))


def named(module: str, name: str) -> Name:
    """A name, unless it is one of the standard library that no checkpoint needs.

    Nothing would happen with it; but a file that asks for it is no checkpoint.
    """
    module = _RENAMED.get(module, module)
    top = module.partition(".")[0]
    if (module, name) not in _HARMLESS and (top in sys.stdlib_module_names or top in _OLD):
        shown = "".join(c if c.isprintable() else "?" for c in f"{module}.{name}"[:120])
        raise InputError(
            f"its pickle asks for '{shown}', which no checkpoint needs; nothing of it was run"
        )
    return Name(module, name)


def _of(kind: type, value: Any) -> Any:
    if type(value) is not kind:
        raise TypeError(f"{type(value).__name__} in place of {kind.__name__}")
    return value


def _key(key: Any) -> Any:
    """A key that is quick to hash: nested tuples could take for ever."""
    flat = key if isinstance(key, tuple) else (key,)
    if all(part is None or isinstance(part, _SCALAR) for part in flat):
        return key
    raise InputError("its pickle has a dictionary whose keys are no plain values")


_SCALAR = (str, bytes, int, float, bool, Name, Made)
_IGNORED = {"PROTO", "FRAME"}
_PUSHED = {
    "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4",
    "FLOAT", "BINFLOAT", "STRING", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES",
    "BINBYTES8", "BYTEARRAY8", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8",
}  # fmt: skip
_FRESH: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_LIST": list,
    "EMPTY_SET": list,
    "EMPTY_DICT": dict,
    "EMPTY_TUPLE": tuple,
}
_COUNTED = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
