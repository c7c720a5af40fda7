import ast
import platform

import numpy as np
import pytest

from pare_bench.builtin.sources import corpus
from pare_bench.builtin.sources.docstrings import Docstrings, split_of
from pare_bench.builtin.sources.tokenization import bundled_tokenizer
from pare_bench.contracts.task import SPLIT_NAMES, TaskSize
from pare_bench.errors import DataMissingError

SIZE = TaskSize(400, 80, 80)


@pytest.fixture(scope="module")
def documents():
    return corpus.standard_library_documents(chapters_only=True)


@pytest.fixture(scope="module")
def splits():
    return Docstrings().generated(0, SIZE)


def test_shapes_types_and_balance(splits):
    for name in SPLIT_NAMES:
        part = getattr(splits, name)
        count = getattr(SIZE, name)
        assert part.inputs.shape == (count, 32)
        assert part.inputs.dtype == part.targets.dtype == np.int64
        assert np.bincount(part.targets, minlength=8).tolist() == [count // 8] * 8
        assert (part.inputs[:, 0] == 0).all()
        assert (part.inputs[:, -1] == 2).all()
        assert part.inputs[:, 1:-1].min() >= 4
        assert part.inputs.max() < 4096
        assert len(np.unique(part.inputs, axis=0)) == count


def test_windows_are_text_of_their_own_chapter_and_split(splits, documents):
    """Every drawn window is found, letter by letter, in the docstrings of its chapter and split, read by another route."""
    tokenizer = bundled_tokenizer()
    texts = {}
    for document in corpus.without_repeats(documents):
        key = split_of(document), corpus.CHAPTER_OF[document.module.split(".")[0]]
        texts[key] = texts.get(key, "") + " " + document.text
    for name in SPLIT_NAMES:
        part = getattr(splits, name)
        for row, chapter in zip(part.inputs, part.targets, strict=True):
            assert tokenizer.decode(row[1:-1].tolist()).strip() in texts[name, chapter]


def test_splits_share_no_sentence(documents):
    owner = {}
    for document in corpus.without_repeats(documents):
        for sentence in document.sentences:
            assert owner.setdefault(sentence, split_of(document)) == split_of(document)
    shares = [list(owner.values()).count(name) / len(owner) for name in SPLIT_NAMES]
    assert shares == pytest.approx([0.6, 0.2, 0.2], abs=0.07)


def test_same_seed_same_bytes_and_larger_extends_smaller(splits):
    again, larger, other = (Docstrings().generated(seed, TaskSize(size, 80, 80)) for seed, size in ((0, 400), (0, 500), (1, 400)))
    assert np.array_equal(again.train.inputs, splits.train.inputs)
    assert np.array_equal(larger.train.inputs[:400], splits.train.inputs)
    assert not np.array_equal(other.train.inputs, splits.train.inputs)


def test_declared_sizes_can_be_had_and_too_large_ones_say_so():
    task = Docstrings()
    cpu = task.generated(0, task.sizes["cpu"])
    assert np.bincount(cpu.test.targets).tolist() == [25] * 8
    assert np.bincount(cpu.train.targets).min() >= 150
    with pytest.raises(DataMissingError, match=platform.python_version()):
        task.generated(0, TaskSize(10, 10, 10**7))


def test_metric_and_source_note(splits):
    metric = Docstrings.metrics[0]
    right = np.eye(8)[splits.test.targets]
    assert metric.compute(right, splits.test) == 0.0
    assert metric.compute(np.roll(right, 1, axis=1), splits.test) == 1.0
    assert platform.python_version() in Docstrings().source_note


def test_another_tokenizer_gives_its_own_ids(tmp_path, splits):
    from transformers import PreTrainedTokenizerFast

    wrapped = PreTrainedTokenizerFast(tokenizer_object=bundled_tokenizer(), cls_token="<s>", sep_token="</s>", pad_token="<pad>")  # noqa: S106
    wrapped.save_pretrained(tmp_path)
    same = Docstrings(Docstrings.Params(tokenizer=str(tmp_path))).generated(0, SIZE)
    assert np.array_equal(same.train.inputs, splits.train.inputs)
    with pytest.raises(DataMissingError, match="nowhere"):
        Docstrings(Docstrings.Params(tokenizer=str(tmp_path / "nowhere"))).generated(0, SIZE)


def test_sentences_keep_prose_and_drop_the_rest():
    text = """Return the :class:`Foo` of *bar*.

    Parameters
    ----------
    name : str, optional
        The name under which it is kept.  It may be empty.

    >>> this is not(prose)
    This output of the session is not prose.

    - See also ``baz`` for a shorter way of doing it.
    | a | table |
    """
    assert corpus.sentences(text) == (
        "Return the Foo of bar.",
        "The name under which it is kept.",
        "It may be empty.",
        "See also baz for a shorter way of doing it.",
    )


def test_docstrings_are_the_compilers():
    source = '"""Module."""\nadd_newdoc("a", "' + "b" * 50 + '")\nclass A:\n    """Class."""\n    def f(self):\n        "Method."\n'
    assert corpus.docstrings(source.encode()) == ["Module.", "b" * 50, "Class.", "Method."]
    assert ast.get_docstring(ast.parse(source)) == "Module."
    assert corpus.docstrings(b"def broken(:") == []


def test_corpus_order_and_chapters(documents):
    modules = list(dict.fromkeys(document.module for document in documents))
    assert [modules.index(document.module) for document in documents] == sorted(modules.index(document.module) for document in documents)
    assert modules.index("argparse") < modules.index("csv") < modules.index("json") < modules.index("zipfile")
    assert set(corpus.CHAPTER_OF.values()) == set(range(8)) == set(range(len(corpus.CHAPTERS)))
    assert {corpus.CHAPTER_OF[document.module.split(".")[0]] for document in documents} == set(range(8))
    once = corpus.without_repeats(documents)
    every = [sentence for document in once for sentence in document.sentences]
    assert len(every) == len(set(every))
    assert set(every) == {sentence for document in documents for sentence in document.sentences}
    with pytest.raises(DataMissingError, match="no_such_package"):
        corpus.package_root("no_such_package")
