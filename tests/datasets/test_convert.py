"""Conversion once, in a limited process; afterwards only the converted copy is read."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pare_bench.datasets import convert, sandbox
from pare_bench.datasets.arrays_file import map_arrays, write_arrays
from pare_bench.digests.closure import Code
from pare_bench.errors import EnvironmentFault, IntegrityError

#: Types that the format has.
DTYPES = ["?", "<u1", "<u2", "<u4", "<u8", "<i1", "<i2", "<i4", "<i8", "<f2", "<f4", "<f8", ">f4", ">i2"]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("PARE_BENCH_CACHE", str(tmp_path / "cache"))


def copies(tmp_path):
    return sorted(path for path in (tmp_path / "cache" / "converted").rglob("*.safetensors"))


def put(tmp_path, value, name="source.pkl"):
    path = tmp_path / name
    path.write_bytes(value if isinstance(value, bytes) else pickle.dumps(value))
    return path


@given(
    arrays=st.dictionaries(
        st.text(max_size=6).filter(lambda name: name != "__metadata__"),
        st.sampled_from(DTYPES).flatmap(lambda code: hnp.arrays(np.dtype(code), hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))),
        max_size=4,
    )
)
def test_the_file_is_what_the_reference_library_reads(tmp_path_factory, arrays):
    path = tmp_path_factory.mktemp("arrays") / "arrays.safetensors"
    write_arrays(path, arrays)
    reference, mapped = safetensors.numpy.load_file(path), map_arrays(path)
    assert set(reference) == set(mapped) == set(arrays)
    for name, array in arrays.items():
        for got in (reference[name], mapped[name]):
            assert got.shape == array.shape
            assert got.dtype == array.dtype.newbyteorder("=")
            assert got.tobytes() == array.astype(got.dtype).tobytes()
        assert not mapped[name].flags.writeable or not array.size


def test_a_file_of_the_reference_library_is_read(tmp_path):
    arrays = {"b": np.arange(6, dtype=np.int64).reshape(2, 3), "a": np.array([True, False])}
    safetensors.numpy.save_file(arrays, tmp_path / "x.safetensors", metadata={"who": "them"})
    got = map_arrays(tmp_path / "x.safetensors")
    assert {name: array.tolist() for name, array in got.items()} == {"a": [True, False], "b": [[0, 1, 2], [3, 4, 5]]}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"abc",
        (10**9).to_bytes(8, "little") + b"{}",
        (2).to_bytes(8, "little") + b"[]",
        (2).to_bytes(8, "little") + b"{]",
        *(
            len(header).to_bytes(8, "little") + header + b"12345678"
            for header in (
                b'{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}',
                b'{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}',
                b'{"a":{"dtype":"F32","shape":[-2],"data_offsets":[8,0]}}',
                b'{"a":{"dtype":"O","shape":[2],"data_offsets":[0,8]}}',
                b'{"a":[]}',
                b'{"a":{}}',
            )
        ),
    ],
)
def test_no_such_file(tmp_path, content):
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(ValueError, match=r".+"):
        map_arrays(tmp_path / "x")


def test_arrays_come_back_as_read_only_maps(tmp_path):
    values = {"x": np.arange(12, dtype=np.float32).reshape(3, 4).T, "y": np.array([1, -2], ">i2"), "z": 2.5}
    got = convert.converted("toy", [put(tmp_path, values)], "converters:pickled")
    assert set(got) == {"x", "y", "z"}
    np.testing.assert_array_equal(got["x"], np.arange(12).reshape(3, 4).T)
    assert got["y"].tolist() == [1, -2]
    assert got["z"] == 2.5
    assert all(isinstance(array, np.memmap) and not array.flags.writeable for array in got.values())
    with pytest.raises(ValueError, match="read-only"):
        got["x"][0, 0] = 1


def test_converted_once(tmp_path, monkeypatch):
    calls = []
    apart = sandbox.convert_apart
    monkeypatch.setattr(sandbox, "convert_apart", lambda *args, **kwargs: calls.append(args) or apart(*args, **kwargs))
    source = put(tmp_path, {"x": np.arange(3)})
    for _ in range(3):
        assert convert.converted("toy", [source], "converters:pickled")["x"].tolist() == [0, 1, 2]
    assert len(calls) == 1
    put(tmp_path, {"x": np.arange(4)})
    assert convert.converted("toy", [source], "converters:pickled")["x"].tolist() == [0, 1, 2, 3]
    assert len(calls) == 2
    convert.converted("toy", [source], "converters:noisy")
    assert len(calls) == 3
    # Another path with the same content is the same source.
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "source.pkl").write_bytes(source.read_bytes())
    convert.converted("toy", [tmp_path / "copy" / "source.pkl"], "converters:pickled")
    assert len(calls) == 3


def test_a_change_of_the_converters_code_makes_a_new_copy(tmp_path, monkeypatch):
    module = tmp_path / "made_up_converter.py"
    monkeypatch.syspath_prepend(str(tmp_path))
    text = "import numpy as np\n\ndef convert(sources):\n    return {'x': np.arange(%d)}  # %s\n"
    source = put(tmp_path, b"anything")
    for count, comment, copies_then in ((2, "", 1), (2, "a comment changes nothing", 1), (3, "", 2)):
        module.write_text(text % (count, comment))
        assert convert.converted("toy", [source], "made_up_converter:convert")["x"].tolist() == list(range(count))
        assert len(copies(tmp_path)) == copies_then


@pytest.mark.parametrize("damage", ["flip", "truncate", "manifest", "remove"])
def test_a_damaged_copy_is_made_again(tmp_path, damage):
    source = put(tmp_path, {"x": np.arange(1000)})
    convert.converted("toy", [source], "converters:pickled")
    (copy,) = copies(tmp_path)
    sound = copy.read_bytes()
    if damage == "flip":
        copy.write_bytes(sound[:-1] + bytes([sound[-1] ^ 1]))
    elif damage == "truncate":
        copy.write_bytes(sound[:-8])
    elif damage == "remove":
        copy.unlink()
    else:
        copy.with_name("manifest.json").write_text("{")
    assert convert.converted("toy", [source], "converters:pickled")["x"].tolist() == list(range(1000))
    assert copies(tmp_path) == [copy]
    assert copy.read_bytes() == sound


def test_the_code_of_a_converter_covers_what_it_imports():
    converter = "pare_bench.builtin.suites.nas360.fsd50k_sound:convert_noises"
    closure = Code().closure([converter, "pare_bench.datasets.unpickle"])
    assert convert._code(converter) == closure.sha256
    assert {"pare_bench.simulators.mel", "pare_bench.datasets.unpickle", "pare_bench.builtin.suites.nas360.fsd50k_sound"} <= set(closure.code)


def test_what_a_killed_process_left_is_removed(tmp_path):
    source = put(tmp_path, {"x": np.arange(3)})
    convert.converted("toy", [source], "converters:pickled")
    (copy,) = copies(tmp_path)
    left_over = copy.parent.with_name(f".{copy.parent.name}.abcdef")
    copy.parent.rename(left_over)
    convert.converted("toy", [source], "converters:pickled")
    assert not left_over.exists()
    assert copies(tmp_path) == [copy]


def test_processes_take_turns(tmp_path):
    source = put(tmp_path, {"x": np.arange(1000)})
    call = f"converted('toy', [Path({str(source)!r})], 'converters:pickled')['x'].sum()"
    code = f"from pathlib import Path; from pare_bench.datasets.convert import converted; print({call})"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    workers = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, env=environment) for _ in range(3)]
    assert [worker.communicate(timeout=60)[0].split() for worker in workers] == [[b"499500"]] * 3
    assert len(copies(tmp_path)) == 1
    assert not [path for path in (tmp_path / "cache" / "converted" / "toy").iterdir() if path.name.startswith(".")]


def refused(tmp_path, converter, source, error=IntegrityError, **limits):
    """Convert, expect a refusal in one line that leaves nothing behind, and return the error."""
    with pytest.raises(error) as caught:
        convert.converted("toy", [source], f"converters:{converter}", **limits)
    assert "\n" not in str(caught.value)
    assert caught.value.hint
    assert not copies(tmp_path)
    assert not list(tmp_path.glob("*canary*"))
    return str(caught.value)


class Touch:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch '{self.path}'",)


def test_a_pickle_that_would_execute(tmp_path):
    message = refused(tmp_path, "pickled", put(tmp_path, {"x": Touch(tmp_path / "canary")}))
    assert "source.pkl" in message
    assert "'posix.system', which is not admitted" in message


@pytest.mark.parametrize(
    "bomb",
    [
        b"\x80\x04\x8e" + (10 * 2**30).to_bytes(8, "little") + b"few bytes.",
        b"\x80\x05\x96" + (10 * 2**30).to_bytes(8, "little") + b"few bytes.",
        b"\x80\x02]r\xff\xff\xff\xff.",
        b"\x80\x04\x95" + (10 * 2**30).to_bytes(8, "little") + b"few bytes.",
    ],
    ids=["BINBYTES8", "BYTEARRAY8", "LONG_BINPUT", "FRAME"],
)
def test_ten_gigabytes_hidden_in_a_small_pickle(tmp_path, bomb):
    message = refused(tmp_path, "pickled", put(tmp_path, bomb), memory_mb=1024)
    assert "more than 1024 MB of memory" in message or "truncated" in message or "exhausted" in message


def test_limits(tmp_path):
    source = put(tmp_path, b"anything")
    assert "takes more than 1024 MB of memory" in refused(tmp_path, "hungry", source, memory_mb=1024)
    assert "takes more than 1 s" in refused(tmp_path, "sleepy", source, seconds=1)
    assert "takes more than 1 s" in refused(tmp_path, "busy", source, seconds=1)
    assert "ended with code" in refused(tmp_path, "crashing", source)


def test_the_limit_of_processor_time_holds_by_itself(tmp_path):
    job = {"path": sys.path, "converter": "converters:busy", "sources": [], "output": str(tmp_path / "x"), "memory": 2**30, "seconds": 1}
    done = subprocess.run([sys.executable, "-I", "-c", sandbox._START], input=json.dumps(job).encode(), capture_output=True, timeout=30, check=False)
    assert done.returncode == -sandbox._OUT_OF_TIME


def test_a_zip_bomb(tmp_path):
    with (
        zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("x.npy", "w", force_zip64=True) as member,
    ):
        np.lib.format.write_array_header_1_0(member, {"descr": "|u1", "fortran_order": False, "shape": (2**29,)})
        for _ in range(2**29 >> 24):
            member.write(bytes(2**24))
    assert (tmp_path / "bomb.npz").stat().st_size < 2**23
    assert "more than 512 MB" in refused(tmp_path, "npz", tmp_path / "bomb.npz", memory_mb=512)


@pytest.mark.parametrize("cut", [1, 10, 200])
def test_a_truncated_pickle(tmp_path, cut):
    text = pickle.dumps({"x": np.arange(100)})
    assert "source.pkl" in refused(tmp_path, "pickled", put(tmp_path, text[:-cut]))


def test_a_web_page(tmp_path):
    refused(tmp_path, "pickled", put(tmp_path, b"<!DOCTYPE html><html>quota exceeded</html>"))


@pytest.mark.parametrize(("converter", "event"), [("starting", "subprocess.Popen"), ("forking", "os.system"), ("connecting", "socket.")])
def test_a_conversion_starts_and_reaches_nothing(tmp_path, converter, event):
    message = refused(tmp_path, converter, put(tmp_path, b"anything"))
    assert f"a conversion may not do '{event}" in message


def test_a_conversion_does_not_see_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("A_SECRET_TOKEN", "hunter2")
    got = convert.converted("toy", [put(tmp_path, b"anything")], "converters:environment")
    names = bytes(got["names"]).decode().split("\n")
    assert "A_SECRET_TOKEN" not in names
    assert "PYTHONPATH" not in names
    assert "HOME" not in names


def test_errors_of_a_converter(tmp_path):
    source = put(tmp_path, b"anything")
    assert refused(tmp_path, "own_error", source) == f"'{source.resolve()}' has 3 columns, 4 were expected"
    assert "package 'a_package_that_nobody_has'" in refused(tmp_path, "lacking", source, EnvironmentFault)
    assert "array 'words' has type '<U4'" in refused(tmp_path, "text", source)


def test_what_a_converter_prints_does_no_harm(tmp_path):
    got = convert.converted("toy", [put(tmp_path, b"12345"), put(tmp_path, b"123", "other")], "converters:noisy")
    assert got["sizes"].tolist() == [5, 3]


def test_a_cache_that_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "cache").write_text("a file stands where the folder should be")
    with pytest.raises(EnvironmentFault, match="cannot be used") as caught:
        convert.converted("toy", [put(tmp_path, b"anything")], "converters:noisy")
    assert "PARE_BENCH_CACHE" in caught.value.hint
