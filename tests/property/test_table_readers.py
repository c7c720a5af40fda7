"""Readers of tables under generated tables and damaged files: the right cells or one clear error, never another reading, never a crash.

``PARE_BENCH_FUZZ_EXAMPLES=10000`` makes it the long form (CONTRIBUTING.md has its figures); a test takes that many examples.
"""

from __future__ import annotations

import csv
import io
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import assume, event, given, settings

from pare_bench.builtin.suites.openml.catalogue import BY_ID
from pare_bench.builtin.suites.openml.published import published_table
from pare_bench.contracts.table import Column, Table
from pare_bench.datasets.arff import quoted
from pare_bench.datasets.official import OfficialFiles
from pare_bench.datasets.table import read_arff, read_csv, write_arff
from pare_bench.errors import PareBenchError

try:
    import arff as liac
except ImportError:
    liac = None

EXAMPLES = settings(deadline=None, max_examples=int(os.environ.get("PARE_BENCH_FUZZ_EXAMPLES", "300")))

NASTY = (
    *(
        "none",
        "None",
        "NA",
        "nan",
        "NaN",
        "null",
        "?",
        "'?'",
        "",
        " ",
        "true",
        "False",
        "0",
        "1",
        "1.0",
        "01",
        "1e5",
        "inf",
        "-",
        "it's",
        '"q"',
        "a,b",
    ),
    *("two words", " lead", "trail ", "{", "}", "{x}", "%", "10%", "% c", "\\", "\\n", "a\\'b", "\n", "\r\n", "\t", "\x00", "\x1a", "\x1f", "\x7f"),
    *("é", "日本", "\u3000", "\xa0", "\u2028", "\x85", "\ufeff", "@data", "@attribute a real", "'", "''", "#", ";", "=1+1"),
)
WORD = st.sampled_from(NASTY) | st.text(max_size=8)
NUMBER = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**6), 10**6).map(float)


@st.composite
def tables(draw, word=WORD, name=WORD):
    """Draw features and a class column: names, categories (None: numbers) and rows of cells, None where missing; the class is never missing."""
    count = draw(st.integers(1, 4))
    names = draw(st.lists(name, min_size=count + 1, max_size=count + 1, unique=True))
    kinds = [draw(st.none() | st.lists(word, min_size=1, max_size=5, unique=True)) for _ in range(count)]
    kinds.append(draw(st.lists(word, min_size=1, max_size=4, unique=True)))
    cells = [NUMBER if kind is None else st.sampled_from(kind) for kind in kinds]
    cells = [st.none() | cell if place < count else cell for place, cell in enumerate(cells)]
    return names, kinds, draw(st.lists(st.tuples(*cells), min_size=1, max_size=6))


def rows_of(table: Table) -> list[tuple]:
    columns = [
        [None if np.isnan(value) else value if column.categories is None else column.categories[int(value)] for value in column.values.tolist()]
        for column in table.columns
    ]
    return list(zip(*columns, [table.classes[label] for label in table.labels], strict=True))


def names_of(table: Table) -> list[str]:
    return [*(column.name for column in table.columns), table.target]


@EXAMPLES
@given(tables())
def test_what_is_written_is_read_back(drawn):
    names, kinds, rows = drawn
    columns = []
    for place, kind in enumerate(kinds[:-1]):
        cells = [row[place] for row in rows]
        if kind is None:
            columns.append(Column(names[place], np.array([np.nan if cell is None else cell for cell in cells], dtype=np.float64)))
        else:
            columns.append(
                Column(names[place], np.array([np.nan if cell is None else kind.index(cell) for cell in cells], dtype=np.float64), tuple(kind))
            )
    labels = np.array([kinds[-1].index(row[-1]) for row in rows])
    again = read_arff(write_arff(Table(tuple(columns), labels, tuple(kinds[-1]), names[-1]), names[0]))
    assert rows_of(again) == rows
    assert names_of(again) == names
    assert [column.categories is None for column in again.columns] == [kind is None for kind in kinds[:-1]]


def plain(word: str) -> bool:
    return re.fullmatch(r"""[^\s\x00-\x20'",{}%?\\]+""", word) is not None


@st.composite
def written_by_hand(draw, drawn):
    """Write a table as another program may: any quotes, spaces, case, comments, line ends, ranges, rows in braces."""
    names, kinds, rows = drawn
    space, gap = st.sampled_from(["", " ", "\t ", "  "]), st.sampled_from([" ", "\t", "  "])

    def value(word: str) -> str:
        if plain(word) and draw(st.booleans()):
            return word
        if draw(st.booleans()):
            return quoted(word) if quoted(word) != word else f"'{word}'"
        # All that has a meaning in double quotes is escaped, the rest stands as it is.
        return '"' + re.sub(r'[\\"\n\r]', lambda found: {"\n": "\\n", "\r": "\\r"}.get(found[0], "\\" + found[0]), word) + '"'

    def cell(place: int, content) -> str:
        return "?" if content is None else repr(content) if kinds[place] is None else value(content)

    comment = st.sampled_from(["", "", " % {a 'comment'", "\t%"])
    lines = [f"{draw(st.sampled_from(['@relation', '@RELATION', '@Relation']))} x{draw(comment)}"]
    for place, kind in enumerate(kinds):
        declared = draw(st.sampled_from(["numeric", "REAL", "Integer", "integer [1, 10]"]))
        if kind is not None:
            declared = "{" + ",".join(f"{draw(space)}{value(word)}{draw(space)}" for word in kind) + "}"
        lines.append(f"{draw(space)}@attribute{draw(gap)}{value(names[place])}{draw(gap)}{declared}{draw(comment)}")
        lines += draw(st.lists(st.sampled_from(["", "% a comment", "  % @data"]), max_size=1))
    lines.append(f"@data{draw(comment)}")
    for row in rows:
        if draw(st.booleans()):
            lines.append(",".join(f"{draw(space)}{cell(place, content)}{draw(space)}" for place, content in enumerate(row)) + draw(comment))
            continue
        zeros = [0.0 if kind is None else kind[0] for kind in kinds]
        given = [place for place, content in enumerate(row) if content != zeros[place] or draw(st.booleans())]
        pairs = [f"{draw(space)}{place}{draw(gap)}{cell(place, row[place])}{draw(space)}" for place in draw(st.permutations(given))]
        lines.append("{" + ",".join(pairs) + "}" + draw(comment))
    end = draw(st.sampled_from(["\n", "\r\n", "\r"]))
    return end.join(lines) + draw(st.sampled_from(["", end]))


@EXAMPLES
@given(st.data(), tables())
def test_what_another_program_writes_is_read(data, drawn):
    names, _, rows = drawn
    table = read_arff(data.draw(written_by_hand(drawn)))
    assert rows_of(table) == rows
    assert names_of(table) == names


def encoded(word: str) -> bool:
    """Whether liac-arff's encoder writes a word so that it is one: it forgets braces, two control characters, ``?`` and nothing at all."""
    quotes = re.search(r"""["'\\\s%,\000-\031]""", word) is not None
    return word not in ("?", "") and (quotes or not re.search(r"[{}\x1a\x1b]", word))


@pytest.mark.skipif(liac is None, reason="liac-arff is not installed (extra test)")
@EXAMPLES
@given(tables(name=st.from_regex(r"[a-zA-Z][\w.() -]{0,8}", fullmatch=True)))
def test_what_openmls_library_writes_is_read_or_refused(drawn):
    """What it writes unambiguously is read; what it cannot write (``?`` and an empty word become missing, braces stay bare) is no other word."""
    names, kinds, rows = drawn
    attributes = [(name, "REAL" if kind is None else kind) for name, kind in zip(names, kinds, strict=True)]
    text = liac.dumps({"relation": "r", "attributes": attributes, "data": rows})
    expected = [tuple(None if cell in ("?", "") else cell for cell in row) for row in rows]
    expected = [row for row in expected if row[-1] is not None]
    try:
        table = read_arff(text)
    except ValueError:
        event("refused")
        table = None
    if table is None:
        assert not all(encoded(word) for kind in kinds if kind is not None for word in kind)
        return
    assert rows_of(table) == expected
    assert names_of(table) == names


@EXAMPLES
@given(
    tables(word=WORD.filter(lambda word: word == word.strip() and word not in ("", "?", "'", "'?'") and not re.fullmatch("'.*'", word, re.DOTALL)))
)
def test_a_csv_is_read(drawn):
    names, kinds, rows = drawn
    assume(len({name.strip() for name in names}) == len(names))
    stream = io.StringIO()
    writer = csv.writer(stream)
    writer.writerow(names)
    writer.writerows([["" if cell is None else cell if isinstance(cell, str) else repr(cell) for cell in row] for row in rows])
    nominal = [place for place, kind in enumerate(kinds[:-1]) if kind is not None]
    table = read_csv(stream.getvalue(), nominal=nominal)
    assert rows_of(table) == [tuple(None if cell is None and kind is None else cell for cell, kind in zip(row, kinds, strict=True)) for row in rows]
    assert names_of(table) == [name.strip() for name in names]


IRIS = BY_ID[61]
ROWS = "\n".join(f"{5 + number / 10},{3 - number / 10},?,0.2,{('a', 'b c', 'None')[number % 3]}" for number in range(9))
HEAD = "% iris\n@relation iris\n" + "".join(f"@attribute 'f {place}' REAL\n" for place in range(4)) + "@attribute class {a,'b c',None}\n@data\n"
ARFF = (HEAD + ROWS.replace("b c", "'b c'") + "\n{0 5.1,4 'None'}\n").encode()
CSV = ("f 0,f 1,f 2,f 3,class\n" + ROWS.replace("?", "") + "\n").encode()
PIECES = (
    *(
        b"'",
        b'"',
        b"\\",
        b"%",
        b"{",
        b"}",
        b",",
        b"\n",
        b"\r",
        b" ",
        b"\t",
        b"?",
        b"\x00",
        b"\xff",
        b"\xe9",
        b"\xef\xbb\xbf",
        b"@data\n",
        b"@attribute x ",
    ),
    *(
        b"nan",
        b"None",
        b"1e999",
        b"1_0",
        b"-",
        b"9" * 400,
        b"'" * 300,
        b"{" * 300,
        b"{0 1}",
        b", {2}",
        b"\\u0000",
        b"\\777",
        b"date",
        b"string",
        b"relational",
    ),
)


@st.composite
def damaged(draw, content: bytes) -> bytes:
    """Draw a file with up to six changes: bytes replaced, pieces put in, parts left out, repeated or moved."""
    for _ in range(draw(st.integers(1, 6))):
        start = draw(st.integers(0, len(content)))
        end = min(len(content), start + draw(st.integers(0, 30)))
        piece = draw(st.sampled_from(PIECES) | st.binary(max_size=4) | st.just(content[start:end] * draw(st.integers(2, 40))) | st.just(b""))
        content = content[:start] + piece + content[end if draw(st.booleans()) else start :]
    assume(len(content) < 100_000)
    return content


def read_file(content: bytes, name: str) -> Table | None:
    """Read a published file; None where it is refused, which must be said in one line that a terminal can show."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / IRIS.name / name
        path.parent.mkdir()
        path.write_bytes(content)
        try:
            table = published_table(IRIS, OfficialFiles(Path(folder), IRIS.name))
        except PareBenchError as error:
            refusal = error
        else:
            event("read")
            return table
    assert str(refusal).isprintable()
    assert len(str(refusal)) < 1000
    assert refusal.hint
    assert refusal.exit_code == 4
    return None


@EXAMPLES
@given(damaged(ARFF))
def test_a_damaged_arff_is_read_as_openmls_library_does_or_refused(content):
    table = read_file(content, "dataset.arff")
    if table is None:
        return
    assert (len(table.columns), len(table.classes)) == (4, 3)
    if liac is None:
        return
    try:
        theirs = liac.loads(content.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n"))
    except Exception:  # noqa: BLE001 - it refuses comments after rows and more, each in its own way
        return
    assert rows_of(table) == [tuple(row) for row in theirs["data"] if row[-1] is not None]


@EXAMPLES
@given(damaged(CSV))
def test_a_damaged_csv_is_read_as_its_own_words_or_refused(content):
    table = read_file(content, "dataset.csv")
    if table is None:
        return
    assert (len(table.columns), len(table.classes)) == (4, 3)
    lines = [line for line in csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")) if line]
    assert len(table) <= len(lines) - 1
    words = {word.strip().strip("'") for line in lines for word in line}
    for cell in (cell for row in rows_of(table) for cell in row):
        assert cell is None or cell in words or any(re.fullmatch(r"[-+.0-9eE]+", word) and float(word) == cell for word in words)


@EXAMPLES
@given(st.binary(max_size=400), st.sampled_from(["dataset.arff", "dataset.csv"]))
def test_any_bytes_are_refused(content, name):
    assert read_file(content, name) is None


#: Files of about the largest size that is read at all, each made to grow when it is read, and what is said of them; made when they are needed.
HOSTILE = {
    "rows in braces.arff": (
        lambda: "".join(f"@attribute a{place} real\n" for place in range(10_000)) + "@data\n" + "{}\n" * 5_000_000,
        "line 10402: it has more than 4,000,000 cells",
    ),
    "columns.arff": (lambda: "".join(f"@attribute a{place} real\n" for place in range(600_000)), "line 10001: it has more than 10,000 columns"),
    "categories.arff": (
        lambda: "".join(f"@attribute a{place} {{{','.join(map(str, range(99_000)))}}}\n" for place in range(28)) + "@data\n",
        "line 3: it declares more than 200,000 categories",
    ),
    "rows.arff": (
        lambda: "@attribute a real\n@attribute b {x}\n@data\n" + "1,x\n" * 4_000_000,
        "line 2000004: it has more than 4,000,000 cells",
    ),
    "numbers.arff": (
        lambda: "@attribute a real\n@attribute b real\n@data\n" + "".join(f"{number},{number}\n" for number in range(1_000_000)),
        "read: 1000000 rows, 1 features, 1000000 classes",
    ),
    "empty lines.arff": (lambda: "\n" * 16_000_000, "it ends before its rows begin"),
    "a long line.arff": (lambda: "@attribute a {" + "a," * 8_000_000, "line 1 has more than 1,048,576 characters"),
    "signs of four bytes.arff": (lambda: ("% " + "\U0001f600" * 100_000 + "\n") * 39, "it ends before its rows begin"),
    "quotes.arff": (lambda: "@attribute a {x}\n@attribute b real\n@data\n'" + "\\'" * 500_000, "line 4: "),
    "columns.csv": (lambda: ",".join(map(str, range(2_000_000))), "line 1 has more than 1,048,576 characters"),
    "rows.csv": (lambda: "a,b\n" + "1,x\n" * 4_000_000, "it has more than 4,000,000 cells"),
    "words.csv": (
        lambda: "a,b\n" + "".join(f"v{number},w{number}\n" for number in range(950_000)),
        "read: 950000 rows, 1 features, 950000 classes",
    ),
    "cells of a quoted row.csv": (lambda: "a,b\n" + '"\n",' * 3_000_000, "row 2 has 3000001 values"),
    "empty lines.csv": (lambda: "a,b\n" + "\n" * 16_000_000, "it has no rows"),
}
CHILD = """
import re, sys, time
from pathlib import Path
from pare_bench.datasets.table import read_arff, read_csv
from pare_bench.datasets.table_text import read_text

def read(path):
    try:
        table = (read_arff if path.suffix == ".arff" else read_csv)(read_text(path))
    except ValueError as error:
        return str(error)
    return f"read: {len(table)} rows, {len(table.columns)} features, {len(table.classes)} classes"

def watch(event, values):
    if re.match("exec|compile|import|os.system|subprocess|socket|ctypes|pickle", event):
        done.append(event)

path, done = Path(sys.argv[1]), []
read(path.with_stem("plain"))  # what reading imports is imported
sys.addaudithook(watch)
start = time.perf_counter()
message = read(path)
print(time.perf_counter() - start)
print(re.search("VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())[1])
print(done)
print(message)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of memory is read from /proc")
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_takes_little_memory_and_time_and_runs_nothing(tmp_path, name):
    make, says = HOSTILE[name]
    content = make().encode()
    assert len(content) <= 16 << 20
    path = tmp_path / name
    path.write_bytes(content)
    path.with_stem("plain").write_bytes(ARFF if path.suffix == ".arff" else CSV)
    child = subprocess.run([sys.executable, "-c", CHILD, str(path)], capture_output=True, text=True, check=True, timeout=300)
    seconds, peak, done, message = child.stdout.splitlines()
    print(f"{name}: {float(seconds):.1f} s, {int(peak) / 1024:.0f} MB, {message[:120]}")
    assert int(peak) < 1_000_000
    assert float(seconds) < 60
    assert done == "[]"
    assert message.startswith(says)


def test_a_file_that_is_too_large_is_not_read(tmp_path):
    path = tmp_path / IRIS.name / "dataset.arff"
    path.parent.mkdir()
    with path.open("wb") as stream:
        stream.write(ARFF)
        stream.truncate(17 << 20)
    with pytest.raises(PareBenchError, match="it is larger than 16,777,216 bytes"):
        published_table(IRIS, OfficialFiles(tmp_path, IRIS.name))
