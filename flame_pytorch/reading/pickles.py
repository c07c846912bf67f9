"""Pickles, parsed and never executed.

A pickle is a program for a small stack machine, and Python's own reader runs what it names. This
reader runs nothing and imports nothing: it builds plain containers, and where the program would
look up a name or call it, it leaves an inert record of that (see `records`). What the records
mean is up to `arrays` and `tensors` beside it; a record of anything else is refused only where its
value is needed.

Time and memory are bounded by the file's size: long strings stay in the (memory-mapped) file as
`Blob`s.
"""

from __future__ import annotations

import pickletools
import struct
from collections.abc import Callable
from dataclasses import dataclass

from flame_pytorch.errors import FileFormatError
from flame_pytorch.reading.pickle_literals import LITERALS, Reader, check_line_ends
from flame_pytorch.reading.records import Call, Global, Persistent, as_key, assign, call, extend

# The largest file we know, Next3D's, has under 300,000 opcodes.
_MAX_STEPS = 1_000_000
_NEWEST_PROTOCOL = 5

_OPCODE_NAMES = {ord(opcode.code): opcode.name for opcode in pickletools.opcodes}


@dataclass(frozen=True, repr=False)
class Parsed:
    """A pickle's value, the position after its end, and its external references in order."""

    value: object
    end: int
    persistent: list[Persistent]


# What users hand over instead of a pickle, by its first bytes: none begins a pickle.
_OTHER_FORMATS = {
    b"version https://git-lfs": "a git-lfs pointer, not the file; run `git lfs pull`",
    b"\xfd7zXZ": "compressed; run `xz -d` on it first",
    b"\x1f\x8b": "compressed; run `gzip -d` on it first",
    b"BZh": "compressed; run `bzip2 -d` on it first",
    b"7z\xbc\xaf": "a 7-Zip archive; unpack it and bring the file inside",
    b"Rar!": "a RAR archive; unpack it and bring the file inside",
    b"\x89HDF": "an HDF5 file, not the pickle",
    b"<": "a web page, not the file, as a download without logging in leaves",
}


def parse(data: memoryview, start: int = 0) -> Parsed:
    """Parses the pickle (protocol 0 to 5) that begins at `start`.

    Numbers, text, None, list, dict, tuple and set come out as such; Python 2's strings as bytes;
    keys that are bytes become text. Raises FileFormatError.
    """
    for beginning, what in _OTHER_FORMATS.items():
        if data[start : start + len(beginning)] == beginning:
            raise FileFormatError(f"is {what}")
    machine = _Machine(Reader(data, start))
    position = start
    try:
        for _ in range(_MAX_STEPS):
            position = machine.reader.position
            if machine.step():
                return Parsed(machine.stack.pop(), machine.reader.position, machine.persistent)
    except FileFormatError:
        raise
    except (IndexError, KeyError, ValueError, TypeError, struct.error):
        check_line_ends(data)
        raise FileFormatError(f"is not a whole pickle: damaged at byte {position}") from None
    raise FileFormatError(f"has more than {_MAX_STEPS} pickle opcodes, which no known file has")


def parse_whole(data: memoryview) -> object:
    """The value of a pickle that fills `data`. Raises FileFormatError."""
    parsed = parse(data)
    if parsed.end != len(data):
        raise FileFormatError(f"has {len(data) - parsed.end} bytes after the end of its pickle")
    return parsed.value


class _Machine:
    """The stack machine. `stack` is the part above the last mark."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.stack: list[object] = []
        self.below_marks: list[list[object]] = []
        self.memo: dict[int, object] = {}
        self.persistent: list[Persistent] = []

    def step(self) -> bool:
        """Carries out one opcode. True after the last."""
        code = self.reader.integer(1)
        name = _OPCODE_NAMES.get(code)
        if name is None:
            raise ValueError
        literal = LITERALS.get(name)
        if literal is not None:
            self.stack.append(literal(self.reader))
            return False
        return self._structure(name)

    def _structure(self, opcode: str) -> bool:
        stack, reader = self.stack, self.reader
        match opcode:
            case "BINGET":
                stack.append(self.memo[reader.integer(1)])
            case "LONG_BINGET":
                stack.append(self.memo[reader.integer(4)])
            case "MEMOIZE":
                self.memo[len(self.memo)] = stack[-1]
            case "BINPUT":
                self.memo[reader.integer(1)] = stack[-1]
            case "LONG_BINPUT":
                self.memo[reader.integer(4)] = stack[-1]
            case "GET":
                stack.append(self.memo[reader.number()])
            case "PUT":
                self.memo[reader.number()] = stack[-1]
            case "MARK":
                self.below_marks.append(stack)
                self.stack = []
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                count = int(opcode[-1])
                values = tuple(stack[-count:])
                if len(values) < count:
                    raise IndexError
                stack[-count:] = [values]
            case "TUPLE":
                self._replace_mark(tuple)
            case "LIST":
                self._replace_mark(list)
            case "DICT":
                self._replace_mark(lambda values: assign({}, values))
            case "FROZENSET":
                self._replace_mark(lambda values: {as_key(value) for value in values})
            case "APPEND":
                item = stack.pop()
                extend(stack[-1], [item])
            case "APPENDS":
                items = self._pop_mark()
                extend(self.stack[-1], items)
            case "SETITEM":
                value, key = stack.pop(), stack.pop()
                assign(stack[-1], [key, value])
            case "SETITEMS":
                pairs = self._pop_mark()
                assign(self.stack[-1], pairs)
            case "ADDITEMS":
                items = self._pop_mark()
                target = self.stack[-1]
                if not isinstance(target, set):
                    raise TypeError
                target.update(as_key(item) for item in items)
            case "GLOBAL":
                stack.append(self._global(reader.line().decode(), reader.line().decode()))
            case "STACK_GLOBAL":
                attribute, module = stack.pop(), stack.pop()
                stack.append(self._global(module, attribute))
            case "REDUCE" | "NEWOBJ":
                args, callee = stack.pop(), stack.pop()
                stack.append(call(callee, args))
            case "NEWOBJ_EX":
                kwargs, args, callee = stack.pop(), stack.pop(), stack.pop()
                # As protocols 2 and 3 spell it; nothing that we read is made so.
                stack.append(Call("copyreg.__newobj_ex__", (callee, args, kwargs)))
            case "OBJ":
                callee, *rest = self._pop_mark()
                self.stack.append(call(callee, tuple(rest)))
            case "INST":
                callee = self._global(reader.line().decode(), reader.line().decode())
                self._replace_mark(lambda values: call(callee, tuple(values)))
            case "BUILD":
                state, target = stack.pop(), stack[-1]
                if not isinstance(target, Call):
                    raise TypeError
                target.state = state
            case "PERSID":
                self._refer(reader.line().decode())
            case "BINPERSID":
                self._refer(stack.pop())
            case "POP":
                stack.pop() if stack else self._pop_mark()
            case "POP_MARK":
                self._pop_mark()
            case "DUP":
                stack.append(stack[-1])
            case "PROTO":
                protocol = reader.integer(1)
                if protocol > _NEWEST_PROTOCOL:
                    raise FileFormatError(f"is a pickle of protocol {protocol}; known are 0 to 5")
            case "FRAME":
                reader.take(8)
            case "READONLY_BUFFER":
                pass
            case "STOP":
                if self.below_marks or len(stack) != 1:
                    raise ValueError
                return True
            case _:
                raise FileFormatError(f"uses the pickle opcode {opcode}, which is not allowed")
        return False

    def _pop_mark(self) -> list[object]:
        values, self.stack = self.stack, self.below_marks.pop()
        return values

    def _replace_mark(self, make: Callable[[list[object]], object]) -> None:
        values = self._pop_mark()
        self.stack.append(make(values))

    def _global(self, module: object, attribute: object) -> Global:
        module, attribute = (
            part.decode("latin1") if isinstance(part, bytes) else part
            for part in (module, attribute)
        )
        if not isinstance(module, str) or not isinstance(attribute, str):
            raise TypeError
        return Global(f"{module}.{attribute}")

    def _refer(self, id: object) -> None:
        match id:
            # Old torch files refer to a module's class so, and bring its source text along.
            case ("module", Global() as module_class, _, _):
                self.stack.append(module_class)
            case _:
                self.persistent.append(Persistent(id))
                self.stack.append(self.persistent[-1])
