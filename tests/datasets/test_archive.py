"""Archives from outside: what leads out of the folder, what is no file, what is damaged and what explodes is refused, and nothing is left behind."""

from __future__ import annotations

import gzip
import io
import os
import stat
import tarfile
import zipfile

import h5py
import numpy as np
import pytest
import scipy.io

from pare_bench.datasets.archive import unpack
from pare_bench.datasets.content import whole_problem
from pare_bench.errors import IntegrityError


def tar(path, *members, mode="w"):
    """Write a tar file of (name, content) or ready headers."""
    with tarfile.open(path, mode) as archive:
        for member in members:
            header, content = (member, b"") if isinstance(member, tarfile.TarInfo) else (tarfile.TarInfo(member[0]), member[1])
            header.size = len(content)
            archive.addfile(header, io.BytesIO(content))
    return path


def special(name, kind, target=""):
    header = tarfile.TarInfo(name)
    header.type, header.linkname = kind, target
    return header


def files_in(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz"])
def test_tar(tmp_path, mode):
    inner = special("a/again.txt", tarfile.SYMTYPE, "b.txt")
    archive = tar(tmp_path / "x.tar", ("a/b.txt", b"b"), ("c.txt", b"c"), inner, mode=mode)
    assert unpack(archive, tmp_path / "out") == ["a/again.txt", "a/b.txt", "c.txt"]
    assert files_in(tmp_path / "out") == {"a/again.txt": b"b", "a/b.txt": b"b", "c.txt": b"c"}


def test_zip(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.mkdir("empty")
        archive.writestr("a/b.txt", "b" * 1000)
    assert unpack(tmp_path / "x.zip", tmp_path / "out") == ["a/b.txt"]
    assert files_in(tmp_path / "out") == {"a/b.txt": b"b" * 1000}
    assert (tmp_path / "out" / "empty").is_dir()


def test_a_top_folder_around_what_is_expected_is_taken_off(tmp_path):
    archive = tar(tmp_path / "x.tar", ("top/list.txt", b"l"), ("top/things/1", b"1"), ("__MACOSX/junk", b"j"))
    assert unpack(archive, tmp_path / "out", ["list.txt", "things"]) == ["list.txt", "things/1"]
    assert files_in(tmp_path / "out") == {"list.txt": b"l", "things/1": b"1"}
    unpack(archive, tmp_path / "as it is", ["top/list.txt"])
    assert "top/things/1" in files_in(tmp_path / "as it is")
    unpack(archive, tmp_path / "other", ["nowhere"])
    assert "top/things/1" in files_in(tmp_path / "other")


TARS = {
    "parent": [("good.txt", b"g"), ("../escaped.txt", b"x")],
    "parent inside": [("good.txt", b"g"), ("a/../../escaped.txt", b"x")],
    "absolute": [("good.txt", b"g"), ("{tmp}/escaped.txt", b"x")],
    "backslashes": [("good.txt", b"g"), ("..\\escaped.txt", b"x")],
    "link out": [("good.txt", b"g"), special("link", tarfile.SYMTYPE, "../escaped.txt")],
    "absolute link": [("good.txt", b"g"), special("link", tarfile.SYMTYPE, "/etc/passwd")],
    "hard link out": [("good.txt", b"g"), special("link", tarfile.LNKTYPE, "../secret.txt")],
    "through a link": [("good.txt", b"g"), special("dir", tarfile.SYMTYPE, ".."), ("dir/escaped.txt", b"x")],
    "device": [("good.txt", b"g"), special("null", tarfile.CHRTYPE)],
    "block device": [("good.txt", b"g"), special("disk", tarfile.BLKTYPE)],
    "fifo": [("good.txt", b"g"), special("pipe", tarfile.FIFOTYPE)],
}


@pytest.mark.parametrize("name", TARS)
def test_a_tar_that_leads_out(tmp_path, name):
    (tmp_path / "secret.txt").write_text("secret")
    members = [member if isinstance(member, tarfile.TarInfo) else (member[0].replace("{tmp}", str(tmp_path)), member[1]) for member in TARS[name]]
    archive = tar(tmp_path / "x.tar", *members)
    before = files_in(tmp_path)
    with pytest.raises(IntegrityError, match="is not unpacked") as caught:
        unpack(archive, tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert files_in(tmp_path) == before
    assert not list((tmp_path / "out").iterdir())


def test_set_user_bits_do_not_survive(tmp_path):
    header = tarfile.TarInfo("tool")
    header.mode = 0o6777
    unpack(tar(tmp_path / "x.tar", header), tmp_path / "out")
    assert not (tmp_path / "out" / "tool").stat().st_mode & (stat.S_ISUID | stat.S_ISGID | stat.S_IWOTH)


@pytest.mark.parametrize("name", ["../escaped.txt", "a/../../escaped.txt", "/escaped.txt", "..\\escaped.txt", "C:\\escaped.txt"])
def test_a_zip_that_leads_out(tmp_path, name):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("good.txt", "g")
        archive.writestr(name, "x")
    before = files_in(tmp_path)
    with pytest.raises(IntegrityError, match="leads out of the folder"):
        unpack(tmp_path / "x.zip", tmp_path / "out")
    assert files_in(tmp_path) == before


def test_a_zip_with_a_link(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        link = zipfile.ZipInfo("link")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(IntegrityError, match="a link or a special file"):
        unpack(tmp_path / "x.zip", tmp_path / "out")


def test_a_zip_with_one_name_twice(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("a", "1")
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("a", "2")
    with pytest.raises(IntegrityError):
        unpack(tmp_path / "x.zip", tmp_path / "out")


def test_bombs(tmp_path):
    zeros = bytes(100 << 20)
    with zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("zeros", zeros)
    tar(tmp_path / "x.tar.gz", ("zeros", zeros), mode="w:gz")
    for name in ("x.zip", "x.tar.gz"):
        with pytest.raises(IntegrityError, match="more than 200 times its size"):
            unpack(tmp_path / name, tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize("name", ["x.zip", "x.tar.gz", "x.tar"])
def test_damaged_archives(tmp_path, name):
    noise = os.urandom(20_000)
    if name == "x.zip":
        with zipfile.ZipFile(tmp_path / name, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("noise", noise)
    else:
        tar(tmp_path / name, ("noise", noise), mode="w:gz" if name.endswith("gz") else "w")
    assert whole_problem(tmp_path / name) is None
    sound = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(sound[: len(sound) // 2])
    with pytest.raises(IntegrityError, match="is not unpacked"):
        unpack(tmp_path / name, tmp_path / "out")
    assert "truncated" in whole_problem(tmp_path / name)
    assert not list((tmp_path / "out").iterdir())
    (tmp_path / name).write_bytes(b"<html>not found</html>")
    with pytest.raises(IntegrityError, match="is not unpacked"):
        unpack(tmp_path / name, tmp_path / "out")
    assert "is a web page" in whole_problem(tmp_path / name)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_damage_in_a_zip_of_a_rare_method(tmp_path, method):
    """Seen: what LZMA calls damage was no error of the list, and ended the command with a traceback."""
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("a", bytes(range(256)) * 50)
    assert whole_problem(path) is None
    content = bytearray(path.read_bytes())
    content[40:60] = bytes(byte ^ 0xFF for byte in content[40:60])
    path.write_bytes(content)
    with pytest.raises(IntegrityError, match="is not unpacked"):
        unpack(path, tmp_path / "out")
    assert "is damaged" in whole_problem(path)


def test_a_zip_that_lost_its_first_bytes_is_damaged_and_not_the_disk(tmp_path):
    """Its directory leads to places before the begin of the file, which the operating system calls an invalid argument."""
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a", b"x")
    path.write_bytes(path.read_bytes()[1:])
    with pytest.raises(IntegrityError, match="is not unpacked"):
        unpack(path, tmp_path / "out")


def whole_files(folder):
    """Write a sound file of each format that has a length or a checksum."""
    numbers = np.random.default_rng(0).random((50, 40))
    np.save(folder / "a.npy", numbers)
    np.savez(folder / "a.npz", x=numbers)
    np.savez_compressed(folder / "b.npz", x=numbers)
    scipy.io.savemat(folder / "v5.mat", {"x": numbers, "y": [1, 2]})
    scipy.io.savemat(folder / "compressed.mat", {"x": numbers, "y": [1, 2]}, do_compression=True)
    with h5py.File(folder / "v73.mat", "w", userblock_size=512) as file:
        file["x"] = numbers
    with h5py.File(folder / "plain.mat", "w") as file:
        file["x"] = numbers
    (folder / "a.gz").write_bytes(gzip.compress(numbers.tobytes()))
    tar(folder / "a.tar", ("x", numbers.tobytes()))
    tar(folder / "a.tgz", ("x", numbers.tobytes()), mode="w:gz")
    (folder / "a.csv").write_text("1,2\n")
    return sorted(folder.iterdir())


def test_whole_files_are_whole(tmp_path):
    assert [whole_problem(path) for path in whole_files(tmp_path)] == [None] * 11


@pytest.mark.parametrize("cut", [1, 100, 5000])
def test_cut_files_are_not(tmp_path, cut):
    for path in whole_files(tmp_path):
        if path.suffix == ".csv" or (path.suffix == ".tar" and cut < 9000):
            continue  # no length; a tar ends in up to 10 kB of zeros
        path.write_bytes(path.read_bytes()[:-cut])
        assert whole_problem(path), path.name


def test_one_changed_byte_in_what_has_a_checksum(tmp_path):
    for path in whole_files(tmp_path):
        if path.suffix in (".npz", ".gz", ".tgz"):
            content = bytearray(path.read_bytes())
            content[len(content) // 2] ^= 1
            path.write_bytes(content)
            assert whole_problem(path), path.name


def test_a_member_without_a_name_is_refused(tmp_path):
    """Seen, by fuzzing: zipfile looks at the last letter of the name."""
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("x", b"content")
    path = tmp_path / "a.zip"
    # The name's length is 0 in the list of files and in the member's own header.
    content = path.read_bytes().replace(b"x" + b"PK\x05\x06", b"PK\x05\x06")
    start = content.index(b"PK\x01\x02")
    content = content[: start + 28] + b"\0\0" + content[start + 30 :]
    size = content.index(b"PK\x05\x06")
    path.write_bytes(content[: size + 12] + (size - start).to_bytes(4, "little") + content[size + 16 :])
    with pytest.raises(IntegrityError, match="a member has no name"):
        unpack(path, tmp_path / "out")


def test_a_long_name_that_announces_terabytes_is_refused(tmp_path):
    """Seen, by fuzzing: tarfile asks for as many bytes as the header of a long name says."""
    header = special("././@LongLink", tarfile.GNUTYPE_LONGNAME)
    header.size = 10**13
    (tmp_path / "a.tar").write_bytes(header.tobuf(tarfile.GNU_FORMAT) + bytes(1024))
    with pytest.raises(IntegrityError, match="is not unpacked"):
        unpack(tmp_path / "a.tar", tmp_path / "out")
