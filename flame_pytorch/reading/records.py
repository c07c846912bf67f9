"""Inert records: what a parsed pickle holds where its program would look up a name or call it."""

from __future__ import annotations

from dataclasses import dataclass

# Stand-ins by which Python makes an object of the class that is their first argument.
_MAKERS = {"copyreg._reconstructor": 3, "copy_reg._reconstructor": 3, "copyreg.__newobj__": 1}


@dataclass(frozen=True)
class Global:
    """A name that the pickle refers to, such as `numpy.ndarray`."""

    name: str


@dataclass(eq=False, repr=False, slots=True)
class Call:
    """What the pickle would have made by calling `name` with `args`, and then done to the result.

    state: what it would have passed to `__setstate__`.
    items, mapping: what it would have appended to it, or assigned to its keys.
    """

    name: str
    args: tuple[object, ...]
    state: object = None
    items: list[object] | None = None
    mapping: dict[object, object] | None = None


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Persistent:
    """A reference to something kept outside the pickle; torch keeps tensors' storages so."""

    id: object


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Opaque:
    """A dictionary's key or a set's member of a type other than text, number, None or class.

    It equals itself alone: hashing what a file holds could take time without end.
    """

    value: object


def call(callee: object, args: object) -> Call:
    """Raises TypeError for what no pickle calls, or not so."""
    if not isinstance(args, tuple):
        raise TypeError
    if isinstance(callee, Call):  # such as a partial function
        return Call("what a call returned", (callee, args))
    if not isinstance(callee, Global):
        raise TypeError
    if callee.name in _MAKERS:
        made = args[0]
        if isinstance(made, Global):
            return Call(made.name, args[_MAKERS[callee.name] :])
    return Call(callee.name, args)


def as_key(value: object) -> object:
    """A dictionary's key or a set's member, quick to hash."""
    if isinstance(value, bytes):
        return value.decode("latin1")
    # The hash of a longer integer is a remainder, so that many could be made to collide.
    if isinstance(value, int) and abs(value) >= 2**61 - 1:
        return Opaque(value)
    return (
        value if value is None or isinstance(value, str | int | float | Global) else Opaque(value)
    )


def assign(target: object, pairs: list[object]) -> object:
    """Put keys and values, in turn, into a dict or a record; returns it. Raises TypeError."""
    if isinstance(target, Call):
        if target.mapping is None:
            target.mapping = {}
        mapping = target.mapping
    elif isinstance(target, dict):
        mapping = target
    else:
        raise TypeError
    for key, value in zip(pairs[::2], pairs[1::2], strict=True):
        mapping[as_key(key)] = value
    return target


def extend(target: object, items: list[object]) -> None:
    """Append items to a list or a record. Raises TypeError."""
    if isinstance(target, Call):
        if target.items is None:
            target.items = []
        target.items.extend(items)
    elif isinstance(target, list):
        target.extend(items)
    else:
        raise TypeError
