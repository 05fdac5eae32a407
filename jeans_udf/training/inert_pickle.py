"""A pickle read as data: what it would make or call is written down, and nothing is made or called.

A pickle is a program for a small machine with a stack. This is such a machine, without the part
that imports: a class or function that the pickle names stays a `Name`, a call of it or an object of
it a `Made`. No code that a file names or brings can run, since nothing here runs any. Work and
memory grow with the length of the pickle, never with numbers that it claims.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable
from typing import Any, BinaryIO

MOST_STEPS = 5_000_000
"""Of one pickle; a learner's has some ten thousands."""


class Unreadable(ValueError):
    """The bytes are no pickle, a damaged one, or one that no such file holds."""


class Name:
    """A class or function that the pickle names; ``full`` is ``module.name``."""

    __slots__ = ("full",)

    def __init__(self, full: str) -> None:
        self.full = full


class Made:
    """What the pickle would have made by calling ``of`` with ``arguments``.

    ``state`` is what it would have set on it, ``items`` and ``entries`` what it would have put in.
    Mappings keep the keys that are text; others stand there as `OtherKey`.
    """

    __slots__ = ("of", "arguments", "state", "items", "entries")

    def __init__(self, of: Any, arguments: Any) -> None:
        self.of = of
        self.arguments: tuple[Any, ...] = arguments if isinstance(arguments, tuple) else ()
        self.state: Any = None
        self.items: list[Any] = []
        self.entries: dict[Any, Any] = {}

    @property
    def kind(self) -> str:
        """``module.name`` of what it is made by; empty for what the pickle builds itself."""
        return self.of.full if isinstance(self.of, Name) else ""


class OtherKey:
    """A key that is no text. It has no equal: hashing and comparing keys of a file can be made to
    take for ever, or to overflow the stack."""

    __slots__ = ("key",)

    def __init__(self, key: Any) -> None:
        self.key = key


def read_inert(file: BinaryIO, persistent: Callable[[Any], Any] | None = None) -> Any:
    """The next pickle of ``file``; ``persistent`` gets each persistent id and gives its value.

    Dictionaries (ordered ones too), lists, tuples, numbers and texts are Python's own. Raises
    `Unreadable`.
    """
    try:
        return _Machine(persistent).run(file)
    except Unreadable:
        raise
    # genops tells damage by ValueError; an operation on an empty stack ends in the others.
    except (ValueError, LookupError, TypeError, EOFError, OverflowError) as error:
        told = (str(error).splitlines() or [""])[0][:100]
        raise Unreadable(f"is no readable pickle: {told or type(error).__name__}") from None


class _Machine:
    def __init__(self, persistent: Callable[[Any], Any] | None) -> None:
        self.persistent = persistent
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}

    def run(self, file: BinaryIO) -> Any:
        for step, (opcode, argument, _) in enumerate(pickletools.genops(file)):
            if step >= MOST_STEPS:
                raise Unreadable(f"is a pickle of over {MOST_STEPS} steps")
            if opcode.name in LITERALS:
                self.stack.append(argument)
            elif opcode.name in OPERATIONS:
                OPERATIONS[opcode.name](self, argument)
            else:
                raise Unreadable(f"is a pickle with {opcode.name}, which no such file needs")
        return self.stack.pop()

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def since_mark(self) -> list[Any]:
        """What lies above the last mark, taken off with it."""
        start = self.marks.pop()
        values = self.stack[start:]
        del self.stack[start:]
        return values

    def top(self, count: int) -> list[Any]:
        """The last ``count`` values, taken off."""
        if len(self.stack) < count:
            raise Unreadable("is a damaged pickle: its stack is empty")
        values = self.stack[-count:]
        del self.stack[-count:]
        return values

    def pop(self) -> None:
        if self.marks and self.marks[-1] == len(self.stack):
            self.marks.pop()
        else:
            self.stack.pop()

    def call(self, of: Any, arguments: Any) -> None:
        if isinstance(of, Name) and of.full == "collections.OrderedDict":
            # Python 2 wrote its pairs as one argument.
            ordered: dict[Any, Any] = {}
            for pairs in arguments if isinstance(arguments, tuple) else ():
                for pair in pairs:
                    self.fill(ordered, list(pair))
            self.push(ordered)
        else:
            self.push(Made(of, arguments))

    def instance(self, values: list[Any]) -> None:
        """A class and its arguments, as the oldest pickles make objects."""
        self.call(values[0], tuple(values[1:]))

    def build(self) -> None:
        (state,) = self.top(1)
        if isinstance(self.stack[-1], Made):
            self.stack[-1].state = state

    def extend(self, values: list[Any]) -> None:
        target = self.stack[-1]
        if not isinstance(target, list | Made):
            raise Unreadable("is a damaged pickle: it appends to what is no list")
        (target.items if isinstance(target, Made) else target).extend(values)

    def fill(self, target: Any, values: list[Any]) -> None:
        """``values`` are a key, its value, the next key, …"""
        if not isinstance(target, dict | Made):
            raise Unreadable("is a damaged pickle: it fills what is no dictionary")
        entries = target.entries if isinstance(target, Made) else target
        for key, value in zip(values[::2], values[1::2], strict=True):
            entries[key if isinstance(key, str) else OtherKey(key)] = value

    def set_entries(self, values: list[Any]) -> None:
        self.fill(self.stack[-1], values)

    def dictionary(self, values: list[Any]) -> None:
        self.push({})
        self.set_entries(values)

    def persist(self, identity: Any) -> None:
        if self.persistent is None:
            raise Unreadable("is a pickle with persistent ids, which no such file needs")
        self.push(self.persistent(identity))


LITERALS = frozenset(
    "INT BININT BININT1 BININT2 LONG LONG1 LONG4 FLOAT BINFLOAT STRING BINSTRING SHORT_BINSTRING "
    "UNICODE SHORT_BINUNICODE BINUNICODE BINUNICODE8 BINBYTES SHORT_BINBYTES BINBYTES8 "
    "BYTEARRAY8".split()
)
"""Operations that put their own argument on the stack."""

OPERATIONS: dict[str, Callable[[_Machine, Any], Any]] = {
    "PROTO": lambda m, _: None,
    "FRAME": lambda m, _: None,
    "STOP": lambda m, _: None,
    "NONE": lambda m, _: m.push(None),
    "NEWTRUE": lambda m, _: m.push(True),
    "NEWFALSE": lambda m, _: m.push(False),
    "EMPTY_TUPLE": lambda m, _: m.push(()),
    "EMPTY_LIST": lambda m, _: m.push([]),
    "EMPTY_DICT": lambda m, _: m.push({}),
    "EMPTY_SET": lambda m, _: m.push([]),
    "MARK": lambda m, _: m.marks.append(len(m.stack)),
    "POP": lambda m, _: m.pop(),
    "POP_MARK": lambda m, _: m.since_mark(),
    "DUP": lambda m, _: m.push(m.stack[-1]),
    "TUPLE": lambda m, _: m.push(tuple(m.since_mark())),
    "TUPLE1": lambda m, _: m.push(tuple(m.top(1))),
    "TUPLE2": lambda m, _: m.push(tuple(m.top(2))),
    "TUPLE3": lambda m, _: m.push(tuple(m.top(3))),
    "LIST": lambda m, _: m.push(m.since_mark()),
    "FROZENSET": lambda m, _: m.push(m.since_mark()),
    "DICT": lambda m, _: m.dictionary(m.since_mark()),
    "APPEND": lambda m, _: m.extend(m.top(1)),
    "APPENDS": lambda m, _: m.extend(m.since_mark()),
    "ADDITEMS": lambda m, _: m.extend(m.since_mark()),
    "SETITEM": lambda m, _: m.set_entries(m.top(2)),
    "SETITEMS": lambda m, _: m.set_entries(m.since_mark()),
    "PUT": lambda m, key: m.memo.__setitem__(int(key), m.stack[-1]),
    "BINPUT": lambda m, key: m.memo.__setitem__(key, m.stack[-1]),
    "LONG_BINPUT": lambda m, key: m.memo.__setitem__(key, m.stack[-1]),
    "MEMOIZE": lambda m, _: m.memo.__setitem__(len(m.memo), m.stack[-1]),
    "GET": lambda m, key: m.push(m.memo[int(key)]),
    "BINGET": lambda m, key: m.push(m.memo[key]),
    "LONG_BINGET": lambda m, key: m.push(m.memo[key]),
    "GLOBAL": lambda m, names: m.push(Name(names.replace(" ", ".", 1))),
    "STACK_GLOBAL": lambda m, _: m.push(Name(".".join(map(str, m.top(2))))),
    "REDUCE": lambda m, _: m.call(*m.top(2)),
    "NEWOBJ": lambda m, _: m.call(*m.top(2)),
    "NEWOBJ_EX": lambda m, _: m.call(*m.top(3)[:2]),
    "INST": lambda m, names: m.instance([Name(names.replace(" ", ".", 1)), *m.since_mark()]),
    "OBJ": lambda m, _: m.instance(m.since_mark()),
    "BUILD": lambda m, _: m.build(),
    "PERSID": lambda m, identity: m.persist(identity),
    "BINPERSID": lambda m, _: m.persist(m.top(1)[0]),
}
"""What the others do; a pickle that has one which is not here is refused."""
