"""The grammar of ARFF, case by case: read right, or refused with one line; and what the libraries make of the same text."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest

from pare_bench.datasets.arff import parse_arff
from pare_bench.datasets.table import read_arff, read_csv, write_arff
from pare_bench.datasets.table_text import Limits, read_text

HEADER = "@relation r\n@attribute f {declaration}\n@attribute n numeric\n@attribute class {{p,q}}\n@data\n"


def cells(table):
    """Rows of the features as words, numbers and None."""
    columns = [
        [None if np.isnan(value) else column.categories[int(value)] if column.categories is not None else value for value in column.values]
        for column in table.columns
    ]
    return [list(row) for row in zip(*columns, strict=True)]


def read(declaration, *rows):
    return cells(read_arff(HEADER.format(declaration=declaration) + "\n".join(rows) + "\n"))


WORDS = ["none", "None", "NA", "na", "nan", "NaN", "null", "NULL", "n/a", "-", "missing"]


def test_only_an_unquoted_question_mark_is_missing():
    listed = ",".join(WORDS)
    rows = [f"{word},1,p" for word in WORDS]
    assert read(f"{{{listed},'?'}}", *rows, "?,?,q", "'?',2,p") == [*([word, 1.0] for word in WORDS), [None, None], ["?", 2.0]]


@pytest.mark.parametrize("word", WORDS)
def test_a_class_may_have_any_name(word):
    table = read_arff(f"@relation r\n@attribute n real\n@attribute c {{{word},other}}\n@data\n1,{word}\n2,other\n3,?\n")
    assert [table.classes[label] for label in table.labels] == [word, "other"]
    assert table.target == "c"
    np.testing.assert_array_equal(table.columns[0].values, [1, 2])


def test_the_order_of_the_declaration_means_nothing():
    first, second = (read_arff(HEADER.format(declaration=order) + "b,1,q\na,2,p\nc,3,q\n") for order in ("{a,b,c,never}", "{c,never,b,a}"))
    assert first.columns[0].categories == second.columns[0].categories == ("a", "b", "c")
    np.testing.assert_array_equal(first.columns[0].values, [1, 0, 2])
    np.testing.assert_array_equal(first.columns[0].values, second.columns[0].values)


@pytest.mark.parametrize(
    ("declaration", "row", "value"),
    [
        ("{x,'two words'}", "'two words',1,p", "two words"),
        ('{x,"two words"}', "'two words',1,p", "two words"),
        ("{ 'a' , 'b,c' }", ' "b,c" , 1 , p ', "b,c"),
        (r"{'it\'s',b}", '"it\'s",1,p', "it's"),
        (r"{'a\\b',x}", r'"a\\b",1,p', "a\\b"),
        (r"{'a\tb\n\u00e9\101',x}", r"'a\tb\n\u00E9A',1,p", "a\tb\néA"),
        (r"{'10\%',x}", "'10%',1,p", "10%"),
        (r"{'\b\f\r\t\n\\\'\"\%\7\037\u000b',x}", r"""'\b\f\r\t\n\\\'\"\%\007\37\u000B',1,p""", "\b\f\r\t\n\\'\"%\x07\x1f\x0b"),
        ("{é,x}", "é,1,p", "é"),
        ("{'a\u3000b',x}", "'a\u3000b',1,p", "a\u3000b"),
        ("{'',x}", "'',1,p", ""),
        ("{'{x}',b}", "'{x}',1,p", "{x}"),
        ("{x,y} % the first", "x,1,p", "x"),
        ("{x,'% y'}% the first", "x,1,p % {a comment}", "x"),
        ("{?,FEMALE,MALE}", "MALE,1,p", "MALE"),
        ("{?,FEMALE,MALE}", "?,1,p", None),
        ("{1,2,10}", "10,1,p", "10"),
        ("{1.0,1}", "1.0,1,p", "1.0"),
        ("{true,false}", "true,1,p", "true"),
        ("{a b\\c,x}".replace("a ", ""), "b\\c,1,p", "b\\c"),
        ("NUMERIC", "-1.5e-3,1,p", -1.5e-3),
        ("real % any", ".5,1,p", 0.5),
        ("integer [1,10]", "7,1,p", 7.0),
        ("INTEGER [1, 10] % range", "2.7,1,p", 2.7),
        ("real", "'4.5',1,p", 4.5),
        ("real", "+7.,1,p", 7.0),
        ("real", "?,1,p", None),
        ("real", "9007199254740993,1,p", 9007199254740992.0),
        # Braces: what is left out is 0 or the first category.
        ("{x,y}", "{2 q}", "x"),
        ("{x,y}", "{ }", "x"),
        ("{'a b',y}", "{}", "a b"),
        ("real", "{}", 0.0),
        ("{x,'y z'}", "{0 'y z', 1 3}", "y z"),
        ("{x,y}", "{0 ?,2 q} % sparse", None),
        ("{x,y}", "{2 q,0\ty}", "y"),
    ],
)
def test_it_is_read(declaration, row, value):
    assert read(declaration, row)[0][0] == value


@pytest.mark.parametrize(
    ("declaration", "row", "says"),
    [
        ("{x,y}", "X,1,p", r"line 6: 'X' in column 'f' is none of the 2 declared categories"),
        ("{x,y}", ",1,p", "value 1 is empty; a missing one is ?"),
        ("{x,y}", "x , , p", "value 2 in a row is empty"),
        ("{x,y}", "x,1,p,", "value 4 is empty"),
        ("{x,y}", "x,1", "the row has 2 values, 3 columns are declared"),
        ("{x,y}", "x 1 p", "'1 p' after a row is not understood; quote a value with spaces"),
        ("{x,y}", "x\t1\tp", "is not understood"),
        ("{x,y}", "'x,1,p", "a quote is not closed"),
        ("{x,y}", "'x'y,1,p", "'y,1,p' after a row is not understood"),
        ("{x,y}", r"'\q',1,p", r"the escape '\\q' is unknown"),
        ("{x,y}", r"'\400',1,p", r"the escape '\\400' is unknown"),
        ("{x,y}", r"'\8',1,p", r"the escape '\\8' is unknown"),
        ("{x,y}", "x,1,p, {5}", "weights are not read"),
        ("{x,y}", "{0 x, 1 2}, {5}", "weights are not read"),
        ("{x,y}", "x,1,p%comment", "quote a value with %, or put a space before a comment"),
        ("{x,10%}", "x,1,p", "quote a value with %"),
        ("{x,y}", "x,1_000,p", "'1_000' in column 'n' is not a number"),
        ("{x,y}", "x,\u0661,p", "is not a number"),
        ("{x,y}", "x,nan,p", "'nan' in column 'n' is not a number"),
        ("{x,y}", "x,none,p", "'none' in column 'n' is not a number"),
        ("{x,y}", "x,'?',p", "is not a number"),
        ("{x,y}", "x,inf,p", "is not a number"),
        ("{x,y}", "x,1e999,p", "'1e999' in column 'n' is too large"),
        ("{x,y}", "x,0x10,p", "is not a number"),
        ("{x,y}", "{0 x,0 y}", "column 0 is given twice"),
        ("{x,y}", "{3 p}", r"column 3 does not exist, 3 are declared \(the first is 0\)"),
        ("{x,y}", "{99999999999999999999 p}", "does not begin with the position"),
        ("{x,y}", "{0 x", "does not end with }"),
        ("{x,y}", "{0 x,}", "does not begin with the position"),
        ("{x,y}", "{x,1,p}", "does not begin with the position"),
        ("{}", "{}", "column 'f' is left out and has no categories"),
        ("{x,x}", "x,1,p", "line 2: column 'f' declares category 'x' twice"),
        ("{x,y", "x,1,p", "do not end with } in the same line"),
        ("{no checking,x}", "x,1,p", "do not end with } in the same line; quote one with spaces"),
        ("{x,,y}", "x,1,p", "value 2 in the categories of column 'f' is empty"),
        ("{x,y} {0.5}", "x,1,p", "weights are not read"),
        ("numeric {0.5}", "1,1,p", "weights are not read"),
        ("string", "x,1,p", "line 2: column 'f' holds text; a table here has numbers and categories"),
        ("date 'yyyy-MM-dd'", "'2001-01-01',1,p", "column 'f' holds dates"),
        ("relational", "x,1,p", "column 'f' holds tables"),
        ("nominal", "x,1,p", "unknown type 'nominal'; known are numeric, real, integer and {categories}"),
        ("numeric\n@attribute f real", "1,1,1,p", "line 3: column 'f' is declared twice"),
        ("numeric\nx real", "1,1,1,p", "line 3: 'x real' stands before @data and is no declaration"),
        ("numeric\n@attributes g real", "1,1,1,p", "line 3: '@attributes g real' is no declaration"),
        ("numeric\n@attribute two words real", "1,1,1,p", "unknown type 'words real'"),
        ("numeric\n@attribute g", "1,1,1,p", "does not begin with the name of a column and its type"),
        ("numeric\n@data", "1", "line 4: 'n numeric' after a row is not understood"),
    ],
)
def test_it_is_refused_with_one_line(declaration, row, says):
    with pytest.raises(ValueError, match=says) as caught:
        read(declaration, row)
    assert "\n" not in str(caught.value)


def test_what_the_data_hold_is_not_printed_to_the_terminal():
    with pytest.raises(ValueError, match="is none of") as caught:
        read("{x}", "'\\u001b[31m\\n" + "y" * 100 + "',1,p")
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 140


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", r"it ends before its rows begin \(no @data\)"),
        ("@data\n1,2\n", "line 1: no columns are declared"),
        ("@attribute a real\n@attribute b {p}\n@data\n", "it has no rows"),
        ("@attribute a {p}\n@data\np\n", "it has a single column"),
        ("@relation x\n@attribute a real\n@data 1\n", "line 3: '1' after @data is not understood"),
    ],
)
def test_what_is_no_table_is_refused(text, says):
    with pytest.raises(ValueError, match=says):
        read_arff(text)


def test_keywords_spaces_comments_and_line_ends_do_not_matter():
    text = "% c\r\n@Relation\ta b\r\r@ATTRIBUTE\t'a b'\tREAL%x\r\n  @attribute v(g)\tReal\n@attribute it's {p , q}\n\n"
    text += "@DATA % rows\n\n% c\n 1 ,\t2, q\n3,4,p"
    table = read_arff(text)
    assert [column.name for column in table.columns] == ["a b", "v(g)"]
    assert cells(table) == [[1.0, 2.0], [3.0, 4.0]]
    assert [table.classes[label] for label in table.labels] == ["q", "p"]


def test_the_class_is_taken_where_it_is_asked_for():
    text = "@attribute class {1,2}\n@attribute a real\n@attribute b real\n@data\n1,2,3\n2,4,5\n"
    table = read_arff(text, target="class")
    assert (table.target, table.classes, cells(table)) == ("class", ("1", "2"), [[2.0, 3.0], [4.0, 5.0]])
    for reader, form in ((read_arff, text), (read_csv, "class,a,b\n1,2,3\n")):
        with pytest.raises(ValueError, match="it has no column 'label'; its columns: 'class', 'a', 'b'"):
            reader(form, target="label")


def test_classes_that_are_numbers_keep_all_their_digits():
    """Six digits make one class of these two."""
    table = read_arff("@attribute a real\n@attribute c integer\n@data\n1,1234567\n2,1234568\n3,10\n4,?\n")
    assert table.classes == ("10", "1234567", "1234568")
    assert table.labels.tolist() == [1, 2, 0]


NASTY = [
    "none",
    "?",
    "it's",
    'say "x"',
    "a,b",
    "{x}",
    "10%",
    "back\\slash",
    "new\nline",
    "tab\t",
    "é",
    "\u3000",
    "",
    " ",
    "\x00",
    "\u2028",
    "\x85",
    "@data",
    "%",
]


def test_every_word_survives_being_written():
    from pare_bench.contracts.table import Column, Table

    categories = tuple(sorted(NASTY))
    count = len(categories)
    numbers = np.array([0.1 + 0.2, -1e-300, 1e300, np.nan, *range(count - 4)], dtype=np.float64)
    codes = np.arange(count, dtype=np.float64)
    table = Table((Column("it's 10% {x}\n", numbers), Column("?", codes, categories)), np.arange(count), categories, "the class")
    again = read_arff(write_arff(table, "any\nname"))
    assert (again.classes, again.target) == (categories, "the class")
    np.testing.assert_array_equal(again.labels, table.labels)
    for one, two in zip(again.columns, table.columns, strict=True):
        assert (one.name, one.categories) == (two.name, two.categories)
        np.testing.assert_array_equal(one.values, two.values)


@pytest.mark.parametrize(
    ("limits", "text", "says"),
    [
        (Limits(cells=6), HEADER.format(declaration="real") + "1,1,p\n" * 3, "line 8: it has more than 6 cells: 3 rows of 3 columns"),
        (Limits(columns=2), HEADER.format(declaration="real"), "line 4: it has more than 2 columns"),
        (Limits(categories=3), HEADER.format(declaration="{a,b}"), "line 4: it declares more than 3 categories"),
        (Limits(line=40), HEADER.format(declaration="{" + "a" * 40 + "}"), "line 2 has more than 40 characters"),
    ],
)
def test_limits_hold_before_anything_is_kept(limits, text, says):
    with pytest.raises(ValueError, match=says):
        parse_arff(text, limits)


@pytest.mark.parametrize(
    ("limits", "text", "says"),
    [
        (Limits(cells=6), "a,b\n" + "1,p\n" * 4, "more than 6 cells"),
        (Limits(columns=2), "a,b,c\n", "more than 2 columns"),
        (Limits(line=10), "a,b\n" + "1" * 20 + ",p\n", "line 2 has more than 10 characters"),
    ],
)
def test_limits_of_a_csv_hold_before_anything_is_kept(limits, text, says):
    with pytest.raises(ValueError, match=says):
        read_csv(text, limits=limits)


def test_a_text_that_is_not_utf8_is_refused_and_a_byte_order_mark_is_nothing(tmp_path):
    path = tmp_path / "t.arff"
    path.write_bytes("@relation r\n@attribute a {é,è}\n".encode("latin1"))
    with pytest.raises(ValueError, match=re.escape("line 2: it is not UTF-8 (byte 0xe9); iconv -f latin1 -t utf-8 makes it so")):
        read_text(path)
    path.write_bytes("\ufeff@relation é\n".encode())
    assert read_text(path) == "@relation é\n"
    with pytest.raises(ValueError, match="larger than 5 bytes"):
        read_text(path, Limits(size=5))


def test_a_long_line_takes_no_longer_than_its_length():
    """A library's pattern for {a,b,...} takes twice as long for every category more as soon as a comment follows."""
    many = ",".join(f"c{number}" for number in range(50_000))
    assert len(parse_arff(f"@attribute a {{{many}}} % comment\n@data\n")[0].categories) == 50_000
    for hostile in ("'" + "\\'" * 200_000, "{" * 400_000, "'" + "\\" * 400_000, "," * 400_000, "{" + "a, " * 150_000):
        with pytest.raises(ValueError, match="line"):
            parse_arff(f"@attribute a {hostile}\n@data\n")
        with pytest.raises(ValueError, match="line"):
            parse_arff(f"@attribute a {{x}}\n@attribute b real\n@data\n{hostile}\n")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("n,class\n1,a\nNA,b\n", "column 'n' holds numbers and 'NA'; leave a missing cell empty, or take the ARFF file"),
        ("n,class\n1,a\nnan,b\n", "holds numbers and 'nan'"),
        ("n,class\n1,a\n-inf,b\n", "column 'n' holds an infinite number, '-inf'"),
        ('n,class\n1,"a\n', "line 2: unexpected end of data"),
        ("n,n,class\n1,2,a\n", "the first line names column 'n' twice"),
        ("n,class\n1," + "a" * 200_000 + "\n", "field larger than field limit"),
    ],
)
def test_a_csv_that_could_be_read_two_ways_is_refused(text, says):
    with pytest.raises(ValueError, match=says):
        read_csv(text)


def test_a_csv_has_words_too_and_misses_empty_cells():
    table = read_csv("n,w,d,class\n1_000,none,1,None\n,?,2,nan\n3,NA,,\n2,'two words',2,NA\n", nominal=("d",))
    assert cells(table) == [["1_000", "none", "1"], [None, None, "2"], ["2", "two words", "2"]]
    assert [table.classes[label] for label in table.labels] == ["None", "nan", "NA"]


@pytest.mark.parametrize(
    ("declaration", "row", "theirs"),
    [("{plain,'two words'}", "plain,1,p\n'two words',2,q", ValueError), ("{plain,é}", "é,1,p", UnicodeEncodeError)],
)
def test_what_scipy_makes_of_it_is_known(declaration, row, theirs):
    """It takes the quotes of the first row for those of all, and knows ASCII alone."""
    from scipy.io import arff

    text = HEADER.format(declaration=declaration) + row + "\n"
    with pytest.raises(theirs):
        arff.loadarff(io.StringIO(text))
    assert cells(read_arff(text))[-1][0] in ("two words", "é")


def liac():
    return pytest.importorskip("arff", reason="liac-arff is not installed (extra test)")


@pytest.mark.parametrize(
    ("declaration", "row", "theirs", "ours"),
    [
        ("integer", "2.7,1,p", [2, 1.0, "p"], 2.7),
        ("integer", "nan,1,p", ["nan", "1", "p"], "is not a number"),
        ("real", "1_000,1,p", [1000.0, 1.0, "p"], "is not a number"),
        ("real", ",1,p", [None, 1.0, "p"], "value 1 is empty"),
        ("real", "{0 1,0 2}", [2.0, 0.0, "p"], "given twice"),
        ("integer", "inf,1,p", OverflowError, "is not a number"),
        ("integer [1,10]", "7,1,p", "BadAttributeType", 7.0),
        ("{x,y} % comment", "x,1,p", "BadAttributeType", "x"),
        ("{ 'x' , 'y' }", "x,1,p", [["x", 1.0, "p"]], "x"),
        ("real", "7,1,p % comment", "BadLayout", 7.0),
    ],
)
def test_what_openmls_library_makes_of_it_is_known(declaration, row, theirs, ours):
    """Why it does not read for us (docs/suites/openml.md): if one of these changes, the reasons there are to be written anew."""
    arff = liac()
    text = HEADER.format(declaration=declaration) + row + "\n"
    if isinstance(theirs, list):
        assert arff.loads(text)["data"] in ([theirs], theirs)
    else:
        with pytest.raises(theirs if isinstance(theirs, type) else getattr(arff, theirs)):
            arff.loads(text)
    if isinstance(ours, str) and len(ours) > 1:
        with pytest.raises(ValueError, match=ours):
            read(declaration, row)
    else:
        assert read(declaration, row)[0][0] == ours
