"""An interpreter of pickles in which no code can run.

A pickle is a program for a small stack machine. This machine implements only the instructions that
build plain values. Where a pickle names something to call, it asks a subclass, written for one kind
of pickle, for a description instead. The subclass knows a few names.

Every instruction takes constant time, and their number is limited, so that a pickle of a few
megabytes cannot take minutes or gigabytes. Values may still contain each other many times over, so
code that traverses them limits the depth.

The instructions: CPython's pickletools.
"""

import struct
from collections.abc import Callable

from neocog.errors import FormatError, printable

__all__ = ["Machine", "damaged"]

# Integers below this have distinct hashes, so a dict of them stays fast.
_MOST_KEY = 2**60


def damaged(why: str) -> FormatError:
    """The error to raise for a damaged pickle."""
    return FormatError(f"its pickle is damaged: {why}.")


class Machine:
    """Reads one pickle.

    A subclass for one kind of pickle defines what its names mean (`named`), what calling them gives
    (`called`), and so on.

    Args:
        data: the file's content.
        start: offset of the pickle.
    """

    #: For messages, what a known name means.
    WANTED = "a plain value"

    def __init__(self, data: bytes, start: int = 0) -> None:
        self._data = data
        self._next = start
        self._stack: list[object] = []
        self._marks: list[int] = []
        self._memo: dict[int, object] = {}

    @property
    def end(self) -> int:
        """Offset of the end of the pickle, once it has been read."""
        return self._next

    def named(self, name: str) -> object:
        """The object for a name with its module, such as "collections OrderedDict".

        Raises:
            FormatError: the name is not allowed in this kind of pickle.
        """
        shown = printable(name.replace(" ", ".", 1))
        raise FormatError(f"it names '{shown}', which is not {self.WANTED}; refused.")

    def called(self, function: object, arguments: object) -> object:
        """The result of calling an object from `named`.

        Raises:
            FormatError: this call is not allowed in this kind of pickle.
        """
        raise FormatError("it calls something with arguments that it does not take; refused.")

    def built(self, target: object, state: object) -> None:
        """Set the state of an object from `called`.

        Raises:
            FormatError: objects have no state in this kind of pickle.
        """
        raise FormatError("it sets attributes of an object; refused.")

    def referred(self, reference: object) -> object:
        """The object for a persistent id, which refers to something outside the pickle.

        Raises:
            FormatError: this kind of pickle has no persistent ids.
        """
        raise FormatError("it refers to something outside; refused.")

    def text_of(self, data: memoryview) -> object:
        """The value of a Python 2 string, which is bytes."""
        return bytes(data)

    def run(self, most: int) -> object:
        """The value that the pickle describes.

        Args:
            most: largest number of instructions.

        Raises:
            FormatError: it is damaged, too long, or has an instruction that is not supported.
        """
        data = self._data
        for _ in range(most):
            if self._next >= len(data):
                raise damaged("it is cut short")
            code = data[self._next]
            self._next += 1
            if code == _STOP:
                result = self._pop()
                if self._stack or self._marks:
                    raise damaged("values are left over")
                return result
            execute = _INSTRUCTIONS.get(code)
            if execute is None:
                raise FormatError(f"it holds the pickle instruction {_name_of(code)}; refused.")
            execute(self)
        raise FormatError(f"its pickle has more than {most:,} instructions; refused.")

    # Arguments

    def _take(self, count: int) -> bytes:
        start = self._next
        self._skip(count)
        return self._data[start : self._next]

    def _skip(self, count: int) -> None:
        self._next += count
        if self._next > len(self._data):
            raise damaged("it is cut short")

    def _line(self) -> str:
        end = self._data.find(b"\n", self._next)
        if end < 0:
            raise damaged("it is cut short")
        return self._text(end - self._next, skip=1)

    def _text(self, count: int, skip: int = 0) -> str:
        raw = self._take(count)
        self._next += skip
        try:
            return raw.decode()
        except UnicodeDecodeError as error:
            raise damaged(str(error)) from None

    # The stack

    def _top(self) -> object:
        if len(self._stack) <= (self._marks[-1] if self._marks else 0):
            raise damaged("a value is missing")
        return self._stack[-1]

    def _pop(self) -> object:
        value = self._top()
        self._stack.pop()
        return value

    def _pop_to_mark(self) -> list[object]:
        if not self._marks:
            raise damaged("a mark is missing")
        start = self._marks.pop()
        values = self._stack[start:]
        del self._stack[start:]
        return values

    # Instructions

    def _proto(self) -> None:
        self._take(1)

    def _push_int(self) -> None:
        self._stack.append(struct.unpack("<i", self._take(4))[0])

    def _push_byte(self) -> None:
        self._stack.append(self._take(1)[0])

    def _push_short(self) -> None:
        self._stack.append(int.from_bytes(self._take(2), "little"))

    def _push_long(self) -> None:
        self._stack.append(int.from_bytes(self._take(self._take(1)[0]), "little", signed=True))

    def _push_float(self) -> None:
        self._stack.append(struct.unpack(">d", self._take(8))[0])

    def _push_text(self) -> None:
        self._stack.append(self._text(int.from_bytes(self._take(4), "little")))

    def _push_bytes(self) -> None:
        self._push_text_of(self._take(1)[0])

    def _push_long_bytes(self) -> None:
        self._push_text_of(int.from_bytes(self._take(4), "little"))

    def _push_text_of(self, count: int) -> None:
        start = self._next
        self._skip(count)
        self._stack.append(self.text_of(memoryview(self._data)[start : self._next]))

    def _push_none(self) -> None:
        self._stack.append(None)

    def _push_true(self) -> None:
        self._stack.append(True)

    def _push_false(self) -> None:
        self._stack.append(False)

    def _push_dict(self) -> None:
        self._stack.append({})

    def _push_list(self) -> None:
        self._stack.append([])

    def _push_empty_tuple(self) -> None:
        self._stack.append(())

    def _push_mark(self) -> None:
        self._marks.append(len(self._stack))

    def _push_tuple(self) -> None:
        self._stack.append(tuple(self._pop_to_mark()))

    def _push_tuple_1(self) -> None:
        self._stack.append((self._pop(),))

    def _push_tuple_2(self) -> None:
        second, first = self._pop(), self._pop()
        self._stack.append((first, second))

    def _push_tuple_3(self) -> None:
        third, second, first = self._pop(), self._pop(), self._pop()
        self._stack.append((first, second, third))

    def _append(self) -> None:
        self._extend([self._pop()])

    def _appends(self) -> None:
        self._extend(self._pop_to_mark())

    def _extend(self, values: list[object]) -> None:
        target = self._top()
        if not isinstance(target, list):
            raise FormatError(f"it appends to a {type(target).__name__}; refused.")
        target.extend(values)

    def _set_item(self) -> None:
        value, key = self._pop(), self._pop()
        self._update([key, value])

    def _set_items(self) -> None:
        self._update(self._pop_to_mark())

    def _update(self, values: list[object]) -> None:
        target = self._top()
        if not isinstance(target, dict) or len(values) % 2:
            raise FormatError(f"it sets items of a {type(target).__name__}; refused.")
        for key, value in zip(values[::2], values[1::2], strict=True):
            # Hashing other keys can take forever, such as tuples nested by reference.
            if type(key) in (str, bytes) or (type(key) is int and -_MOST_KEY < key < _MOST_KEY):
                if key in target:
                    raise FormatError(f"the name '{printable(str(key))}' occurs twice.")
                target[key] = value

    def _keep(self) -> None:
        self._memo[self._take(1)[0]] = self._top()

    def _keep_far(self) -> None:
        self._memo[int.from_bytes(self._take(4), "little")] = self._top()

    def _recall(self) -> None:
        self._push_kept(self._take(1)[0])

    def _recall_far(self) -> None:
        self._push_kept(int.from_bytes(self._take(4), "little"))

    def _push_kept(self, place: int) -> None:
        if place not in self._memo:
            raise damaged(f"nothing is kept as {place}")
        self._stack.append(self._memo[place])

    def _push_named(self) -> None:
        self._stack.append(self.named(f"{self._line()} {self._line()}"))

    def _push_referred(self) -> None:
        self._stack.append(self.referred(self._pop()))

    def _call(self) -> None:
        arguments, function = self._pop(), self._pop()
        self._stack.append(self.called(function, arguments))

    def _build(self) -> None:
        state = self._pop()
        self.built(self._top(), state)


_STOP = ord(".")
_INSTRUCTIONS: dict[int, Callable[[Machine], None]] = {
    0x80: Machine._proto,
    ord("("): Machine._push_mark,
    ord(")"): Machine._push_empty_tuple,
    ord("t"): Machine._push_tuple,
    0x85: Machine._push_tuple_1,
    0x86: Machine._push_tuple_2,
    0x87: Machine._push_tuple_3,
    ord("]"): Machine._push_list,
    ord("a"): Machine._append,
    ord("e"): Machine._appends,
    ord("}"): Machine._push_dict,
    ord("s"): Machine._set_item,
    ord("u"): Machine._set_items,
    ord("N"): Machine._push_none,
    0x88: Machine._push_true,
    0x89: Machine._push_false,
    ord("J"): Machine._push_int,
    ord("K"): Machine._push_byte,
    ord("M"): Machine._push_short,
    0x8A: Machine._push_long,
    ord("G"): Machine._push_float,
    ord("X"): Machine._push_text,
    ord("U"): Machine._push_bytes,
    ord("T"): Machine._push_long_bytes,
    ord("q"): Machine._keep,
    ord("r"): Machine._keep_far,
    ord("h"): Machine._recall,
    ord("j"): Machine._recall_far,
    ord("c"): Machine._push_named,
    ord("Q"): Machine._push_referred,
    ord("R"): Machine._call,
    ord("b"): Machine._build,
}


def _name_of(code: int) -> str:
    import pickletools  # slow to import, and only an error needs it

    names = {operation.code: operation.name for operation in pickletools.opcodes}
    return names.get(chr(code), f"{code:#04x}")
