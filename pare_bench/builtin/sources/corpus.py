"""English technical prose that every installation already holds: docstrings of the standard library and of installed dependencies.

Sources are read as text and parsed with :mod:`ast`; nothing is imported or executed. The result depends on the installed versions only,
never on file-system order.
"""

from __future__ import annotations

import ast
import importlib.util
import inspect
import re
import sysconfig
import textwrap
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pare_bench.errors import DataMissingError

PACKAGES = ("numpy", "scipy", "sklearn", "torch")
"""Import names of the dependencies whose documentation joins the standard library's."""

CHAPTERS = (
    "text and binary data",
    "data types",
    "numeric, mathematical and functional",
    "file and directory access",
    "data persistence, compression and formats",
    "operating system and concurrency",
    "networking and interprocess communication",
    "internet protocols, data handling and markup",
)
"""Chapters of The Python Standard Library reference, neighbouring ones joined so that each holds enough prose."""

_MODULES_BY_CHAPTER = (
    "string re sre_compile sre_constants sre_parse difflib textwrap unicodedata stringprep rlcompleter struct codecs encodings",
    "datetime _pydatetime _strptime zoneinfo calendar collections _collections_abc heapq bisect weakref _weakrefset types "
    "copy pprint reprlib enum graphlib",
    "numbers decimal _pydecimal fractions random statistics functools operator",
    "pathlib posixpath ntpath genericpath fileinput stat filecmp tempfile glob fnmatch linecache shutil",
    "pickle pickletools copyreg shelve dbm sqlite3 gzip bz2 lzma _compression zipfile tarfile csv configparser tomllib netrc xdrlib plistlib",
    "os io _pyio logging platform ctypes getpass curses argparse optparse getopt threading _threading_local multiprocessing "
    "concurrent subprocess sched queue",
    "asyncio socket ssl selectors signal asyncore asynchat",
    "email json mailbox mailcap mimetypes base64 quopri uu html xml webbrowser cgi cgitb wsgiref urllib http ftplib poplib imaplib nntplib "
    "smtplib smtpd telnetlib uuid socketserver xmlrpc ipaddress",
)
CHAPTER_OF = {module: chapter for chapter, modules in enumerate(_MODULES_BY_CHAPTER) for module in modules.split()}
"""Index into ``CHAPTERS`` of each top-level module that its reference treats in one of them."""

_SKIPPED_FOLDERS = {"test", "tests", "testing", "idle_test", "idlelib", "turtledemo", "lib2to3", "site-packages"}
_SKIPPED_FOLDERS |= {"_vendor", "externals", "__pycache__"}
_DOC_CALLS = {"add_newdoc", "add_docstr", "_add_docstr", "add_docstr_all", "add_newdoc_for_scalar_type"}
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True)
class Document:
    """Prose of one docstring: ``module`` is the dotted module that holds it, ``sentences`` are clean and in order."""

    module: str
    sentences: tuple[str, ...]

    @property
    def text(self) -> str:
        """The sentences joined by single blanks."""
        return " ".join(self.sentences)


def standard_library_root() -> Path:
    """Return the folder of the running interpreter's standard library.

    Raises:
        DataMissingError: this interpreter keeps no source files there (a zipped or byte-compiled distribution).

    """
    root = Path(sysconfig.get_paths()["stdlib"])
    if not (root / "argparse.py").is_file():
        raise DataMissingError(f"no standard-library sources in '{root}'", hint="use a Python distribution that ships its .py files")
    return root


def package_root(name: str) -> Path:
    """Return the folder of the installed package ``name`` without importing it.

    Raises:
        DataMissingError: the package is not installed.

    """
    found = importlib.util.find_spec(name)
    if found is None or not found.submodule_search_locations:
        raise DataMissingError(f"package '{name}' is not installed", hint=f"pip install {name}")
    return Path(next(iter(found.submodule_search_locations)))


@cache
def standard_library_documents(*, chapters_only: bool = False) -> tuple[Document, ...]:
    """Return the standard library's docstrings, in path order; with ``chapters_only`` those of modules in ``CHAPTER_OF``.

    Parsing takes seconds and the files do not change under a running interpreter, so the result is kept for the process.
    """
    return tuple(_documents(standard_library_root(), prefix="", only=CHAPTER_OF if chapters_only else None))


def topic_documents() -> list[Document]:
    """Return pydoc's topic help (the language reference that ``help()`` shows)."""
    path = standard_library_root() / "pydoc_data" / "topics.py"
    if not path.is_file():
        return []
    documents = []
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant) and isinstance(key.value, str) and isinstance(value, ast.Constant) and isinstance(value.value, str):
                    documents.append(Document(f"topics.{key.value}", sentences(value.value)))
    return [document for document in documents if document.sentences]


def corpus(packages: tuple[str, ...] = PACKAGES) -> list[Document]:
    """Return the whole corpus in a fixed order, every sentence once.

    Raises:
        DataMissingError: a package or the standard library's sources are missing.

    """
    documents = [*standard_library_documents(), *topic_documents()]
    for name in packages:
        documents += _documents(package_root(name), prefix=f"{name}.", only=None)
    return without_repeats(documents)


def without_repeats(documents: Iterable[Document]) -> list[Document]:
    """Keep the first occurrence of each sentence and drop documents that become empty."""
    seen: set[str] = set()
    kept = []
    for document in documents:
        fresh = [sentence for sentence in dict.fromkeys(document.sentences) if sentence not in seen]
        seen.update(fresh)
        if fresh:
            kept.append(Document(document.module, tuple(fresh)))
    return kept


def sentences(docstring: str) -> tuple[str, ...]:
    """Return the prose sentences of ``docstring``: markup removed, code, tables, headings and doctests left out."""
    found = []
    for paragraph in _paragraphs(inspect.cleandoc(docstring)):
        plain = _plain(paragraph)
        found += [sentence for sentence in re.split(r"(?<=[.!?]) +(?=[A-Z])", plain) if _is_prose(sentence)]
    return tuple(found)


def _documents(root: Path, prefix: str, only: dict[str, int] | None) -> Iterator[Document]:
    for path in sorted(root.rglob("*.py"), key=lambda path: path.relative_to(root).as_posix()):
        parts = path.relative_to(root).with_suffix("").parts
        if _SKIPPED_FOLDERS.intersection(parts) or (only is not None and parts[0] not in only):
            continue
        module = (prefix + ".".join(part for part in parts if part != "__init__")).rstrip(".")
        for docstring in docstrings(path.read_bytes()):
            prose = sentences(docstring)
            if prose:
                yield Document(module, prose)


def docstrings(source: bytes) -> list[str]:
    """Return the docstrings of Python ``source`` in order of appearance; none if it cannot be parsed.

    Texts handed to registering calls such as ``add_newdoc`` count too: that is how compiled modules are documented.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return []
    found: list[tuple[int, str]] = []
    for node in ast.walk(tree):
        if isinstance(node, _DOCUMENTED):
            text = ast.get_docstring(node, clean=False)
            if text:
                found.append((node.body[0].lineno, text))
        elif isinstance(node, ast.Call) and (getattr(node.func, "id", None) or getattr(node.func, "attr", None)) in _DOC_CALLS:
            texts = [part for part in ast.walk(node) if isinstance(part, ast.Constant) and isinstance(part.value, str) and len(part.value) > 40]
            found += [(part.lineno, str(part.value)) for part in texts]
    return [text for _, text in sorted(found, key=lambda item: item[0])]


def _paragraphs(text: str) -> Iterator[str]:
    """Yield blocks of prose lines joined by blanks; an indented description under ``name : type`` is a block of its own."""
    for block in re.split(r"\n\s*\n", textwrap.dedent(text)):
        lines: list[str] = []
        for line in block.splitlines():
            if _is_layout(line):
                yield " ".join(lines)
                lines = []
                if line.lstrip().startswith((">>>", "$ ")):
                    break  # the rest of the block is a session and its output
            else:
                lines.append(re.sub(r"^\s*(?:[-*+]|\d+[.)]|[a-z]\))\s+", "", line).strip())
        yield " ".join(lines)


def _is_layout(line: str) -> bool:
    """Tell lines that carry no sentence: rules, doctests, directives, ``name : type`` heads, tables."""
    stripped = line.strip()
    return (
        not any(character.isalpha() for character in stripped)
        or stripped.startswith((">>>", "...", ".. ", "$ ", "|", "+-", "#", "@", ":param", ":type"))
        or re.match(r"^[*\w, .`]+ : ", stripped) is not None
    )


def _plain(text: str) -> str:
    text = re.sub(r":[\w:-]+:`~?([^`<]*?)(?:\s*<[^`]*>)?`", r"\1", text)
    text = re.sub(r"`+([^`<]*?)(?:\s*<[^`]*>)?`+_?_?", r"\1", text)
    text = re.sub(r"\*{1,2}(\S(?:[^*]*\S)?)\*{1,2}", r"\1", text)
    text = re.sub(r"\[\d+\]_|\[\w+\]_", "", text)
    return re.sub(r"\s+", " ", text).strip()


def _is_prose(sentence: str) -> bool:
    """At least four words, nine tenths letters and blanks or common punctuation, plain ASCII, an ordinary end."""
    words = re.findall(r"[A-Za-z]{2,}", sentence)
    if len(words) < 4 or len(sentence) > 1000 or not sentence.isascii() or sentence[-1] not in ".!?:":
        return False
    letters = sum(character.isalpha() or character == " " for character in sentence)
    return letters >= 0.85 * len(sentence)
