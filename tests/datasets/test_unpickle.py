"""The restricted unpickler: everything that arrays and plain containers need, and nothing else, whatever the pickle says."""

from __future__ import annotations

import collections
import contextlib
import copyreg
import io
import os
import pickle
import pickletools
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy._core import multiarray

from pare_bench.datasets import unpickle

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)


def same(left, right):
    """Compare values, types and element types, element by element."""
    if isinstance(right, np.ndarray):
        if right.dtype == object:
            return isinstance(left, np.ndarray) and left.shape == right.shape and all(map(same, left.ravel(), right.ravel()))
        return isinstance(left, np.ndarray) and (left.dtype, left.shape, left.tobytes()) == (right.dtype, right.shape, right.tobytes())
    if type(left) is not type(right):
        return False
    if isinstance(right, dict):
        return list(left) == list(right) and all(same(left[key], right[key]) for key in right)
    if isinstance(right, list | tuple):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(right, float | np.floating):
        return left == right or (np.isnan(left) and np.isnan(right))
    return bool(left == right)


arrays = hnp.arrays(
    st.one_of(
        hnp.boolean_dtypes(),
        hnp.integer_dtypes(endianness="?"),
        hnp.floating_dtypes(endianness="?"),
        hnp.complex_number_dtypes(),
        hnp.byte_string_dtypes(max_len=5),
        hnp.unicode_string_dtypes(max_len=5),
    ),
    hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
)
leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.binary(max_size=8),
    arrays,
    st.complex_numbers(allow_nan=False),
    hnp.arrays(np.float32, ()).map(lambda a: a[()]),
)
values = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(st.one_of(st.text(max_size=4), st.integers(), st.binary(max_size=4)), inner, max_size=4),
        st.dictionaries(st.text(max_size=4), inner, max_size=3).map(collections.OrderedDict),
    ),
    max_leaves=12,
)


@given(values, st.sampled_from(PROTOCOLS))
def test_plain_values_round_trip(value, protocol):
    assert same(unpickle.load(io.BytesIO(pickle.dumps(value, protocol))), value)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_forms_that_published_files_use(protocol):
    ragged = np.empty(3, object)
    ragged[:] = [np.arange(2.0), np.arange(3, dtype=">i2"), "text"]
    record = np.array([(1, 2.5), (3, 4.5)], dtype=[("a", "<i4"), ("b", ">f8")])
    value = {
        "ragged": ragged,
        "nested": np.array([{"x": np.arange(3)}, None], object),
        "record": record,
        "fortran": np.asfortranarray(np.arange(6).reshape(2, 3)),
        "strided": np.arange(12).reshape(3, 4)[::2, ::-1],
        "scalars": [np.float64(2.5), np.int8(-3), np.bool_(True), np.str_("text"), np.bytes_(b"bytes")],
        "sets": [{1, 2}, frozenset({"a"})],
        "others": (bytearray(b"abc"), 1 + 2j, b"", 2**200),
        "dtype": np.dtype(">f4"),
    }
    got = unpickle.load(io.BytesIO(pickle.dumps(value, protocol)))
    assert list(got) == list(value)
    assert [type(element) for element in got["ragged"]] == [np.ndarray, np.ndarray, str]
    np.testing.assert_array_equal(got["ragged"][1], [0, 1, 2])
    assert got["ragged"][1].dtype == ">i2"
    np.testing.assert_array_equal(got["nested"][0]["x"], np.arange(3))
    assert got["nested"][1] is None
    assert got["record"].dtype == record.dtype
    assert got["record"].tolist() == record.tolist()
    np.testing.assert_array_equal(got["fortran"], value["fortran"])
    np.testing.assert_array_equal(got["strided"], value["strided"])
    assert got["scalars"] == value["scalars"]
    assert [type(scalar) for scalar in got["scalars"]] == [type(scalar) for scalar in value["scalars"]]
    assert got["sets"] == value["sets"]
    assert got["others"] == value["others"]
    assert got["dtype"] == np.dtype(">f4")


def test_names_of_numpy_1_are_read():
    modern = pickle.dumps(np.arange(5.0), 2)
    old = modern.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    assert old != modern
    np.testing.assert_array_equal(unpickle.load(io.BytesIO(old)), np.arange(5.0))


def test_a_pickle_of_python_2():
    """Written by hand as cPickle of Python 2 writes a dict of an uint8 array and a list of byte strings."""
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00tU\x01btR(K\x01(K\x02t"
        b"cnumpy\ndtype\n(U\x02u1K\x00K\x01tR(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U\x02\x01\xc8tb"
    )
    got = unpickle.load(io.BytesIO(b"\x80\x02}(U\x04data" + array + b"U\x05names](U\x02a\xffeu."))
    assert got["names"] == ["a\xff"]
    assert got["data"].dtype == np.uint8
    assert got["data"].tolist() == [1, 200]


def test_sharing_and_cycles_stay():
    shared = np.arange(3)
    loop: list = [shared, shared]
    loop.append(loop)
    got = unpickle.load(io.BytesIO(pickle.dumps(loop)))
    assert got[0] is got[1]
    assert got[2] is got


class Calls:
    """Pickles to a call of ``function(*args)``."""

    def __init__(self, function, *args, state=None):
        self.parts = (function, args) if state is None else (function, args, state)

    def __reduce__(self):
        return self.parts


def by_name(module, name, *args):
    """Return a protocol 2 pickle that calls ``module.name(*args)``, for what pickle.dumps would not write."""
    return b"\x80\x02c" + module.encode() + b"\n" + name.encode() + b"\n" + pickle.dumps(args, 2)[2:-1] + b"R."


def dtype_with(*state):
    return b"cnumpy\ndtype\n" + pickle.dumps(("O8", False, True), 2)[2:-1] + b"R" + pickle.dumps(state, 2)[2:-1] + b"b"


def array_state(shape, dtype, elements):
    """Return the opcodes of an array whose state is written as given, whatever numpy would say."""
    parts = [pickle.dumps(part, 2)[2:-1] for part in (1, shape)]
    return (
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n"
        + pickle.dumps((0,), 2)[2:-1]
        + b"c_codecs\nencode\n"
        + pickle.dumps(("b", "latin1"), 2)[2:-1]
        + b"R\x87R("
        + parts[0]
        + parts[1]
        + dtype
        + b"\x89"
        + elements
        + b"tb"
    )


F8 = b"cnumpy\ndtype\n" + pickle.dumps(("f8", False, True), 2)[2:-1] + b"R"


def evil(canary):
    """Yield (name, pickle, words of the refusal)."""
    touch = f"touch '{canary}'"
    yield "os.system", pickle.dumps(Calls(os.system, touch)), "posix.system"
    yield "subprocess", by_name("subprocess", "check_call", ["touch", str(canary)]), "subprocess.check_call"
    yield "eval", by_name("builtins", "eval", f"open({str(canary)!r}, 'w')"), "builtins.eval"
    yield "exec of python 2", by_name("__builtin__", "execfile", str(canary)), "__builtin__.execfile"
    yield "getattr", by_name("builtins", "getattr", "", "join"), "builtins.getattr"
    yield "import", by_name("builtins", "__import__", "os"), "builtins.__import__"
    yield "open", by_name("io", "open", str(canary), "w"), "io.open"
    yield "dotted name", b"\x80\x04\x8c\x05numpy\x8c\x1actypeslib.ctypes.CDLL.name\x93.", "is not admitted"
    yield "numpy.load", by_name("numpy", "load", str(canary)), "numpy.load"
    yield "numpy.fromfile", by_name("numpy", "fromfile", "/etc/passwd"), "numpy.fromfile"
    yield "numpy.core.multiarray.fromfile", by_name("numpy.core.multiarray", "fromfile", "/etc/passwd"), "fromfile"
    yield "numpy.memmap", by_name("numpy", "memmap", str(canary), "uint8", "w+", 0, (4,)), "numpy.memmap"
    yield "runstring", by_name("numpy.testing._private.utils", "runstring", touch, {}), "runstring"
    yield "functools.partial", by_name("functools", "partial", 1), "functools.partial"
    yield "operator", by_name("operator", "attrgetter", "__class__"), "operator.attrgetter"
    yield "copyreg", by_name("copyreg", "_reconstructor", object, object, None)[:-1] + b".", "copyreg._reconstructor"
    yield "extension registry", b"\x80\x02\x82\x01.", "unregistered extension code 1"
    yield "persistent id", b"\x80\x02X\x03\x00\x00\x00abcQ.", "outside itself"
    yield "class by NEWOBJ", b"\x80\x02cnumpy\nndarray\n" + pickle.dumps(((10**9,),), 2)[2:-1] + b"\x81.", ""
    yield "instance by INST", b"(icollections\nCounter\n.", "collections.Counter"
    yield "state on an admitted name", b"\x80\x02cnumpy\nndarray\n}X\x01\x00\x00\x00aK\x01sb.", "tries to change"
    yield "state of slots on an admitted name", b"\x80\x02cnumpy\nndarray\nN}X\x05\x00\x00\x00_callK\x01s\x86b.", "tries to change"
    yield "an admitted name as data", b"\x80\x02cnumpy\nndarray\n.", "neither an array nor a plain container"
    yield "codec that decompresses", by_name("_codecs", "encode", "a", "zlib_codec"), "'zlib_codec'"
    yield "codec that rotates", by_name("_codecs", "encode", "a", "rot13"), "'rot13'"
    yield "bytes of a size", by_name("builtins", "bytes", 10**10), "only text can be encoded"
    yield "bytearray of a size", by_name("__builtin__", "bytearray", 10**10), "only text can be encoded"
    yield "ndarray of a shape", by_name("numpy", "ndarray", (10**10,)), "without content"
    yield "huge array without bytes", b"\x80\x02" + array_state((10**10,), F8, b"U\x00") + b".", "needs 80000000000 bytes, the pickle holds 0"
    yield "huge array, few bytes", b"\x80\x02" + array_state((10**10,), F8, b"U\x03abc") + b".", "needs 80000000000 bytes, the pickle holds 3"
    yield "negative side", b"\x80\x02" + array_state((-1,), F8, b"U\x00") + b".", "shape (-1,)"
    yield (
        "objects from bytes",
        b"\x80\x02" + array_state((1,), dtype_with(3, "|", None, None, None, -1, -1, 63), b"U\x08AAAAAAAA") + b".",
        "list of 1 objects",
    )
    yield (
        "objects that deny it",
        b"\x80\x02" + array_state((1,), dtype_with(3, "|", None, None, None, -1, -1, 0), b"U\x08AAAAAAAA") + b".",
        "list of 1 objects",
    )
    yield "objects in a structure", b"\x80\x02" + array_state((1,), _structure_of_objects(), b"U\x08AAAAAAAA") + b".", "inside structured elements"
    yield "subarray", b"\x80\x02" + dtype_with(3, "|", ("f8", (10**9,)), None, None, 8, 1, 0) + b".", "arrays themselves"
    yield "element type by words", by_name("numpy", "dtype", "f8,O", False, True), "element type 'f8,O'"
    yield "element type by a number", by_name("numpy", "dtype", 3, False, True), "element type 3"
    yield (
        "scalar of an object",
        b"\x80\x02cnumpy.core.multiarray\nscalar\ncnumpy\ndtype\nX\x01\x00\x00\x00O\x85RU\x08AAAAAAAA\x86R.",
        "plain element type",
    )
    yield "scalar too short", b"\x80\x02cnumpy.core.multiarray\nscalar\n" + F8 + b"U\x03AAA\x86R.", "needs 8 bytes"
    yield "subclass of arrays", by_name("numpy.matrixlib.defmatrix", "matrix", [1]), "is not admitted"
    yield "array as a key", b"\x80\x02}" + array_state((1,), F8, b"U\x08AAAAAAAA") + b"K\x01s.", ""
    yield "function as array type", by_name("numpy.core.multiarray", "_reconstruct", 1, (0,), "b"), "only plain arrays"


def _structure_of_objects():
    fields = b"}X\x01\x00\x00\x00a" + dtype_with(3, "|", None, None, None, -1, -1, 63) + b"K\x00\x86s"
    state = b"(K\x03U\x01|N" + pickle.dumps(("a",), 2)[2:-1] + fields + b"K\x08K\x01K\x00t"
    return b"cnumpy\ndtype\n" + pickle.dumps(("V8", False, True), 2)[2:-1] + b"R" + state + b"b"


@pytest.mark.parametrize("name", [name for name, _, _ in evil("canary")])
def test_refused(name, tmp_path):
    canary = tmp_path / "canary"
    ((text, words),) = [(text, words) for each, text, words in evil(canary) if each == name]
    with pytest.raises((pickle.UnpicklingError, ValueError, EOFError, TypeError)) as caught:
        unpickle.load(io.BytesIO(text))
    assert words in str(caught.value)
    assert not canary.exists()


def test_the_corpus_is_dangerous(tmp_path):
    """The canary works: the standard unpickler does execute the first of them."""
    canary = tmp_path / "canary"
    pickle.loads(next(text for name, text, _ in evil(canary) if name == "os.system"))  # noqa: S301
    assert canary.exists()


def test_registered_extension_codes_are_looked_up_like_names():
    copyreg.add_extension("posix", "system", 240)
    try:
        with pytest.raises(unpickle.RefusedPickleError, match=r"posix\.system"):
            unpickle.load(io.BytesIO(b"\x80\x02\x82\xf0."))
    finally:
        copyreg.remove_extension("posix", "system", 240)


def test_admitted_names_are_reconstruction_only():
    modules = {module for module, _ in unpickle.ADMITTED}
    assert modules == {
        "numpy",
        "numpy.core.multiarray",
        "numpy._core.multiarray",
        "numpy.core.numeric",
        "numpy._core.numeric",
        "numpy.dtypes",
        "_codecs",
        "collections",
        "builtins",
        "__builtin__",
    }
    assert {name for module, name in unpickle.ADMITTED if module == "numpy"} == {"ndarray", "dtype"}
    assert {name for module, name in unpickle.ADMITTED if module == "builtins"} == {"bytes", "bytearray", "set", "frozenset", "complex"}
    originals = {multiarray._reconstruct, multiarray.scalar, np.ndarray, np.dtype, os.system}
    assert not originals & {stand_in._call for stand_in in unpickle.ADMITTED.values()}


@given(st.binary(max_size=200))
def test_noise_is_refused_or_plain(noise):
    if any(length > 10**6 for length in _announced(noise)):
        return  # the memory limit of the sandbox is for these
    plain = type(None) | bool | int | float | complex | str | bytes | bytearray | list | tuple | dict | set | frozenset | np.generic | np.ndarray
    with contextlib.suppress(pickle.UnpicklingError, ValueError, EOFError, TypeError, IndexError, AttributeError, KeyError):
        assert isinstance(unpickle.load(io.BytesIO(b"\x80\x04" + noise + b".")), plain)


def _announced(noise):
    """Return every number that could be a length or an index, in any position."""
    for width, code in ((4, "<I"), (8, "<Q")):
        for start in range(len(noise) - width + 1):
            if noise[max(start - 1, 0)] in b"jrBTXG\x8a\x8b\x8d\x8e\x96\x95":
                yield struct.unpack_from(code, noise, start)[0]


def test_deep_nesting_is_refused():
    deep: list = []
    for _ in range(100_000):
        deep = [deep]
    text = b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b"."
    assert sum(1 for _ in pickletools.genops(text)) == 200_001
    with pytest.raises(unpickle.RefusedPickleError, match="nested too deeply"):
        unpickle.load(io.BytesIO(text))


def test_sharing_does_not_explode():
    """A tuple of twice a tuple of twice ... is small in the file and 2 ** 60 in size when copied."""
    value: tuple = (1,)
    for _ in range(60):
        value = (value, value)
    got = unpickle.load(io.BytesIO(pickle.dumps(value)))
    depth = 0
    while len(got) == 2:
        assert got[0] is got[1]
        got, depth = got[0], depth + 1
    assert depth == 60


def test_npy_of_objects(tmp_path):
    array = np.empty((2, 2), object)
    array[:] = [[np.arange(3), "text"], [None, {"a": 1.5}]]
    np.save(tmp_path / "objects.npy", array, allow_pickle=True)
    got = unpickle.load_npy(tmp_path / "objects.npy")
    assert got.shape == (2, 2)
    np.testing.assert_array_equal(got[0, 0], [0, 1, 2])
    assert (got[0, 1], got[1, 0], got[1, 1]) == ("text", None, {"a": 1.5})


def test_npy_of_numbers(tmp_path):
    array = np.asfortranarray(np.arange(6, dtype=">i4").reshape(2, 3))
    np.save(tmp_path / "numbers.npy", array)
    got = unpickle.load_npy(tmp_path / "numbers.npy")
    np.testing.assert_array_equal(got, array)
    assert got.dtype == ">i4"


def test_npy_with_a_header_that_lies(tmp_path):
    array = np.empty(2, object)
    np.save(tmp_path / "objects.npy", array, allow_pickle=True)
    path = tmp_path / "objects.npy"
    path.write_bytes(path.read_bytes().replace(b"(2,)", b"(9,)"))
    with pytest.raises(unpickle.RefusedPickleError, match="9 objects"):
        unpickle.load_npy(path)


def test_npy_that_would_execute(tmp_path):
    array = np.empty(1, object)
    array[0] = Calls(os.system, f"touch '{tmp_path / 'canary'}'")
    np.save(tmp_path / "objects.npy", array, allow_pickle=True)
    with pytest.raises(unpickle.RefusedPickleError, match=r"posix\.system"):
        unpickle.load_npy(tmp_path / "objects.npy")
    assert not (tmp_path / "canary").exists()
