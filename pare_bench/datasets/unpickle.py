"""Read pickles that hold nothing but numpy arrays and plain containers, without ever calling what a pickle names.

The names a pickle may use are looked up in :data:`ADMITTED`, and what they give is not numpy's own function but a stand-in of ours. The stand-ins
only note what is asked for; :func:`load` makes the arrays afterwards, from checked sizes and plain types. So neither a foreign function nor numpy's
own state setters (which believe any flags they are given) ever see what the file says. Meant to run in the sandbox
(:mod:`pare_bench.datasets.sandbox`), whose memory limit stops what is merely too large.
"""

from __future__ import annotations

import math
import pickle
import re
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, Never

import numpy as np
from numpy.typing import NDArray

from pare_bench.datasets.npy import read_header, read_npy

#: Types of array elements: booleans, numbers, byte strings, text, raw bytes and objects, with an optional byte order and width.
_TYPE = re.compile(r"[<>|=]?(?:b1|[biu][1248]|f(?:2|4|8|12|16)|c(?:8|16|24|32)|[SUV]\d{0,9}|O[48]?|[?bBhHiIlLqQefdgFDG])")
#: Python 2 wrote ``latin-1`` under several names.
_LATIN1 = frozenset({"latin1", "latin-1", "latin_1", "iso-8859-1"})


class RefusedPickleError(pickle.UnpicklingError):
    """A pickle that asks for more than arrays and plain containers."""


def load(source: str | Path | IO[bytes]) -> Any:
    """Return what the pickle in a file or an open binary stream holds: arrays, numpy scalars, numbers, strings, lists, tuples, sets and dicts.

    Byte strings of Python 2 come back as ``str`` (one character per byte, latin-1), as the released loaders read them.

    Raises:
        RefusedPickleError: the pickle names anything but the reconstruction of numpy arrays, or contradicts itself.
        pickle.UnpicklingError, EOFError, ValueError: the pickle is damaged or truncated.
        MemoryError: it announces more than there is memory.
    """
    if isinstance(source, str | Path):
        with Path(source).open("rb") as stream:
            return load(stream)
    try:
        return _Resolver().resolve(_Reader(source, encoding="latin1").load())
    except RecursionError as error:
        raise RefusedPickleError("the pickle is nested too deeply") from error
    except (TypeError, AttributeError, KeyError, IndexError, OverflowError, SystemError) as error:
        # What a damaged program for the machine that a pickle is comes to.
        raise pickle.UnpicklingError(f"the pickle is damaged: {' '.join(str(error).split())}") from error


def load_npy(path: str | Path) -> NDArray[Any]:
    """Return the array of an ``.npy`` file, whose elements may be objects (which numpy stores as a pickle).

    Raises:
        RefusedPickleError: see :func:`load`.
        ValueError, EOFError: the file is damaged or truncated.
    """
    with Path(path).open("rb") as stream:
        shape, dtype = read_header(stream)
        if not dtype.hasobject:
            stream.seek(0)
            return read_npy(stream, Path(path).stat().st_size)
        array = load(stream)
    if not isinstance(array, np.ndarray) or array.dtype != object or array.size != math.prod(shape):
        raise RefusedPickleError(f"the header promises an array of {math.prod(shape)} objects, the pickle holds something else")
    return array.reshape(shape)


class _Admitted:
    """What stands for one admitted name: it can be called, and nothing else can be done to it."""

    __slots__ = ("_call", "_name")

    def __init__(self, name: str, call: Callable[..., Any]) -> None:
        self._name = name
        self._call = call

    def __call__(self, *args: Any) -> Any:
        try:
            return self._call(*args)
        except (TypeError, OverflowError) as error:
            raise RefusedPickleError(f"'{self._name}' is called in a way that arrays never need") from error

    def __setstate__(self, state: object) -> Never:
        raise RefusedPickleError(f"the pickle tries to change '{self._name}'")


class _Dtype:
    """A type of elements, as ``numpy.dtype(code, align, copy)`` and its state describe it."""

    __slots__ = ("_value",)

    def __init__(self, code: object) -> None:
        if isinstance(code, bytes):
            code = code.decode("ascii", "replace")
        if not isinstance(code, str) or not _TYPE.fullmatch(code):
            raise RefusedPickleError(f"element type {code!r:.60} is not admitted")
        self._value = np.dtype(code)

    def __setstate__(self, state: object) -> None:
        """Take byte order, width and fields; flags and alignment follow from these and are not believed."""
        if not isinstance(state, tuple) or len(state) < 5:
            raise RefusedPickleError("the description of an element type is malformed")
        order, subarray, names, fields = state[1:5]
        if isinstance(order, bytes):
            order = order.decode("ascii", "replace")
        if order not in ("<", ">", "|", "="):
            raise RefusedPickleError(f"byte order {order!r:.20} is unknown")
        if subarray is not None:
            raise RefusedPickleError("element types that are arrays themselves are not admitted")
        width = state[5] if len(state) > 5 and isinstance(state[5], int) else -1
        if names is None:
            if self._value.kind in "SUV" and width >= 0:
                self._value = np.dtype((self._value.type, width // 4 if self._value.kind == "U" else width))
            self._value = self._value.newbyteorder(order) if order in "<>" else self._value
            return
        self._value = _structured(names, fields, width)

    @property
    def value(self) -> np.dtype[Any]:
        return self._value


def _structured(names: object, fields: object, width: int) -> np.dtype[Any]:
    if not isinstance(names, tuple) or not isinstance(fields, dict) or not all(isinstance(name, str) and name in fields for name in names):
        raise RefusedPickleError("the fields of an element type are malformed")
    parts = [fields[name] for name in names]
    if not all(isinstance(part, tuple) and len(part) >= 2 and isinstance(part[0], _Dtype) and isinstance(part[1], int) for part in parts):
        raise RefusedPickleError("the fields of an element type are malformed")
    if any(part[0].value.hasobject for part in parts):
        raise RefusedPickleError("objects inside structured elements are not admitted")
    description = {"names": list(names), "formats": [part[0].value for part in parts], "offsets": [part[1] for part in parts], "itemsize": width}
    try:
        return np.dtype(description)  # type: ignore[call-overload]
    except ValueError as error:
        raise RefusedPickleError(f"the fields of an element type contradict each other: {error}") from error


class _Array:
    """An array still to be made; ``elements`` is bytes, or a list where the elements are objects."""

    __slots__ = ("dtype", "elements", "fortran", "shape")

    def __init__(self) -> None:
        self.shape: tuple[int, ...] = (0,)
        self.dtype = np.dtype(np.uint8)
        self.fortran = False
        self.elements: bytes | bytearray | list[Any] = b""

    def __setstate__(self, state: object) -> None:
        if not isinstance(state, tuple) or len(state) not in (4, 5):
            raise RefusedPickleError("the description of an array is malformed")
        shape, dtype, fortran, elements = state[-4:]
        if isinstance(elements, str):  # the bytes of Python 2
            elements = elements.encode("latin1")
        self._take(shape, dtype, bool(fortran), elements)

    def _take(self, shape: object, dtype: object, fortran: bool, elements: object) -> None:
        if not isinstance(shape, tuple) or not all(isinstance(side, int) and not isinstance(side, bool) and side >= 0 for side in shape):
            raise RefusedPickleError(f"shape {shape!r:.60} is not one")
        if not isinstance(dtype, _Dtype) or len(shape) > 32:
            raise RefusedPickleError("the description of an array is malformed")
        count = math.prod(shape)
        if dtype.value.hasobject:
            if not isinstance(elements, list) or len(elements) != count:
                raise RefusedPickleError(f"an array of shape {shape} needs a list of {count} objects")
        elif not isinstance(elements, bytes | bytearray) or len(elements) != count * dtype.value.itemsize:
            held = len(elements) if isinstance(elements, bytes | bytearray) else "no"
            raise RefusedPickleError(f"an array of shape {shape} needs {count * dtype.value.itemsize} bytes, the pickle holds {held}")
        self.shape, self.dtype, self.fortran, self.elements = shape, dtype.value, fortran, elements

    def make(self, resolve: Callable[[Any], Any]) -> NDArray[Any]:
        """Return the array; the bytes are shared where numpy can share them."""
        order = "F" if self.fortran else "C"
        if isinstance(self.elements, list):
            flat = np.empty(len(self.elements), object)
            for index, element in enumerate(self.elements):
                flat[index] = resolve(element)
            return flat.reshape(self.shape, order=order)  # type: ignore[call-overload]
        if not math.prod(self.shape) or not self.dtype.itemsize:
            return np.zeros(self.shape, self.dtype, order=order)  # type: ignore[call-overload]
        return np.frombuffer(self.elements, self.dtype).reshape(self.shape, order=order)  # type: ignore[call-overload]


def _reconstruct(subtype: object, shape: object, code: object) -> _Array:  # noqa: ARG001 - the state, which follows, says it all
    if subtype is not _NDARRAY:
        raise RefusedPickleError("only plain arrays are admitted")
    return _Array()


def _frombuffer(data: object, dtype: object, shape: object, order: object) -> _Array:
    array = _Array()
    if isinstance(data, pickle.PickleBuffer):
        data = bytes(data)
    array._take(shape, dtype, order == "F", data)
    return array


def _ndarray(*args: object) -> Never:  # noqa: ARG001 - whatever they are
    raise RefusedPickleError("arrays without content are not admitted")


def _scalar(dtype: object, data: object = None) -> Any:
    if not isinstance(dtype, _Dtype) or dtype.value.hasobject:
        raise RefusedPickleError("a scalar needs a plain element type")
    if isinstance(data, str):
        data = data.encode("latin1")
    if not isinstance(data, bytes) or len(data) != dtype.value.itemsize or not data:
        raise RefusedPickleError(f"a scalar of type '{dtype.value}' needs {dtype.value.itemsize} bytes")
    return np.frombuffer(data, dtype.value)[0]


def _encode(text: object, encoding: object = "utf-8") -> bytes:
    if not isinstance(text, str) or not isinstance(encoding, str):
        raise RefusedPickleError("only text can be encoded")
    if encoding.lower() in _LATIN1:
        return text.encode("latin1")
    if encoding.lower() in ("utf-8", "utf8"):
        return text.encode("utf-8")
    raise RefusedPickleError(f"encoding {encoding!r:.30} is not admitted")


def _bytes(*args: object) -> bytes:
    # Called with a number, bytes and bytearray would take that much memory.
    if not args:
        return b""
    if len(args) == 1 and isinstance(args[0], bytes | list | tuple):
        return bytes(args[0])
    return _encode(*args)


def _dtype(code: object, align: object = False, copy: object = False) -> _Dtype:  # noqa: ARG001 - both follow from the state
    return _Dtype(code)


def _dtype_class(code: str) -> Callable[..., _Dtype]:
    def make(*args: object) -> _Dtype:
        if args:
            raise RefusedPickleError("element types take no arguments here")
        return _Dtype(code)

    return make


_NDARRAY = _Admitted("numpy.ndarray", _ndarray)
_DTYPE_CLASSES = {
    "Bool": "?",
    **{f"{sign}Int{8 * width}": f"{'u' if sign else 'i'}{width}" for sign in ("", "U") for width in (1, 2, 4, 8)},
    **{f"Float{8 * width}": f"f{width}" for width in (2, 4, 8)},
    "Complex64": "c8",
    "Complex128": "c16",
    "Object": "O",
}

#: (module, name) -> stand-in: all that a pickle may name. Module names of numpy 1 and 2, builtins of Python 2 and 3.
ADMITTED: dict[tuple[str, str], _Admitted] = {
    ("numpy", "ndarray"): _NDARRAY,
    ("numpy", "dtype"): _Admitted("numpy.dtype", _dtype),
    ("_codecs", "encode"): _Admitted("_codecs.encode", _encode),
    ("collections", "OrderedDict"): _Admitted("collections.OrderedDict", lambda items=(): OrderedDict(items)),
    **{
        (f"numpy.{core}.multiarray", name): _Admitted(f"numpy.{core}.multiarray.{name}", call)
        for core in ("core", "_core")
        for name, call in (("_reconstruct", _reconstruct), ("scalar", _scalar), ("_frombuffer", _frombuffer))
    },
    **{(f"numpy.{core}.numeric", "_frombuffer"): _Admitted(f"numpy.{core}.numeric._frombuffer", _frombuffer) for core in ("core", "_core")},
    **{("numpy.dtypes", f"{name}DType"): _Admitted(f"numpy.dtypes.{name}DType", _dtype_class(code)) for name, code in _DTYPE_CLASSES.items()},
    **{
        (module, name): _Admitted(f"{module}.{name}", call)
        for module in ("builtins", "__builtin__")
        for name, call in (
            ("bytes", _bytes),
            ("bytearray", lambda *args: bytearray(_bytes(*args))),
            ("set", lambda items=(): set(items)),
            ("frozenset", lambda items=(): frozenset(items)),
            ("complex", complex),
        )
    },
}


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return ADMITTED[module, name]
        except KeyError:
            raise RefusedPickleError(f"the pickle asks for '{module}.{name}', which is not admitted") from None

    def persistent_load(self, pid: object) -> Never:  # noqa: ARG002 - whatever it is
        raise RefusedPickleError("the pickle refers to objects outside itself")


class _Resolver:
    """Put arrays in the place of their stand-ins, inside containers of any depth; each object once, so that sharing stays sharing."""

    def __init__(self) -> None:
        self._done: dict[int, Any] = {}
        self._alive: list[Any] = []  # ids are unique only while their owners live

    def resolve(self, value: Any) -> Any:
        if value is None or isinstance(value, bool | int | float | complex | str | bytes | bytearray | np.generic):
            return value
        if id(value) in self._done:
            return self._done[id(value)]
        self._alive.append(value)
        if isinstance(value, list | dict):
            self._done[id(value)] = value  # may contain itself
            self._fill(value)
        elif isinstance(value, tuple):
            self._done[id(value)] = tuple(self.resolve(element) for element in value)
        elif isinstance(value, set | frozenset):
            _check_keys(value)
            self._done[id(value)] = value
        elif isinstance(value, _Array):
            self._done[id(value)] = value.make(self.resolve)
        elif isinstance(value, _Dtype):
            self._done[id(value)] = value.value
        else:
            raise RefusedPickleError("the pickle holds something that is neither an array nor a plain container")
        return self._done[id(value)]

    def _fill(self, container: list[Any] | dict[Any, Any]) -> None:
        if isinstance(container, list):
            container[:] = [self.resolve(element) for element in container]
            return
        _check_keys(container)
        for key in container:
            container[key] = self.resolve(container[key])


def _check_keys(keys: Any) -> None:
    for key in keys:
        if isinstance(key, tuple | frozenset):
            _check_keys(key)
        elif not (key is None or isinstance(key, bool | int | float | complex | str | bytes | np.generic)):
            raise RefusedPickleError("keys must be numbers, strings or tuples of these")
