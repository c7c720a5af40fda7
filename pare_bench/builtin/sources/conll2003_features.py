"""Text that has already been embedded: the source features published with ORCA, or a file of ``pare-bench data build-source``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from pare_bench.builtin.sources.proxy import PublishedProxy
from pare_bench.contracts.files import OfficialFile
from pare_bench.contracts.task import Classes, InputShape, Split, Splits, Track
from pare_bench.datasets import unpickle
from pare_bench.datasets.token_file import read_tokens
from pare_bench.errors import DataMissingError, IntegrityError

if TYPE_CHECKING:
    from pare_bench.contracts.files import Files

#: Names in the released loader, then those in the README that it does not find.
TOKENS = ("text_xs_32.npy", "text_xs.npy")
LABELS = ("text_ys_32.npy", "text_ys.npy")
LENGTH, WIDTH, CLASSES = 32, 768, 8
#: Rows after the training examples that become the validation and the test part.
HELD_OUT = 500


class Conll2003Features(PublishedProxy):
    """32 tokens of width 768, as RoBERTa-base takes them, with 8 classes; ``embedded``, so they enter the body as they are.

    By default the published arrays ``text_xs_32.npy`` float ``[n 32 768]`` and ``text_ys_32.npy`` integer ``[n]``, which fit 768-wide
    backbones alone. Training uses the first ``max_samples`` rows, in file order, as the released loader does; the next 500 are the validation
    and the 500 after them the test part, as far as there are any. With ``path`` the tokens come from a file that
    ``pare-bench data build-source`` made with any text backbone; its width is that backbone's. ``subset`` has no effect.
    """

    class Params(PublishedProxy.Params):
        """Parameters of ``conll2003_features``."""

        path: str | None = Field(None, description="file of pare-bench data build-source, absolute or below the data root; default: published arrays")

    params: Conll2003Features.Params
    name = "conll2003_features"
    version = 1
    inputs = InputShape(WIDTH, (LENGTH,))
    target = Classes(CLASSES)
    embedded = True
    official_files = (
        OfficialFile(TOKENS[0], urls=("https://www.dropbox.com/s/yhlf25n8rzmdrtp/text_xs.npy?dl=1",)),
        OfficialFile(LABELS[0], urls=("https://www.dropbox.com/s/16lj1vprg1pzckt/text_ys.npy?dl=1",)),
    )
    real: ClassVar[str | None] = "features of Reuters news of 1996"
    stand_in = "docstrings"

    def official(self, files: Files, track: Track) -> Splits:  # noqa: ARG002 - a proxy is the same for both
        """Read the tokens as memory maps.

        Raises:
            DataMissingError: the files are not there.
            IntegrityError: shapes, types or labels are not as promised, or a training token is not finite.

        """
        if self.params.path is None:
            tokens_path, labels_path = (files.path((files.find(*names) or Path(names[0])).name) for names in (TOKENS, LABELS))
            tokens, labels = self._array(files, tokens_path), np.asarray(self._array(files, labels_path))
            _check_published(tokens_path, tokens, labels_path, labels)
        else:
            if files.find(self.params.path) is None:
                hint = "pare-bench data build-source --backbone NAME --out FILE"
                raise DataMissingError(f"there is no file of source tokens '{self.params.path}' (looked below '{files.root}')", hint=hint)
            tokens_path = labels_path = files.path(self.params.path)
            content = read_tokens(tokens_path)
            tokens, labels = content.tokens, np.asarray(content.labels)
        labels = labels.astype(np.int64)
        if labels.min() < 0 or labels.max() >= CLASSES:
            raise IntegrityError(f"'{labels_path}' has labels from {labels.min()} to {labels.max()}, 0 to {CLASSES - 1} were expected")
        ends = np.minimum(np.cumsum([self.params.max_samples, HELD_OUT, HELD_OUT]), len(tokens))
        if not np.isfinite(tokens[: ends[0]]).all():
            raise IntegrityError(f"'{tokens_path}' has tokens that are not finite")
        parts = [slice(start, end) for start, end in zip([0, *ends[:-1]], ends, strict=True)]
        return Splits(*(Split(tokens[part], labels[part]) for part in parts))

    def _array(self, files: Files, path: Path) -> NDArray[Any]:
        try:
            return np.load(path, mmap_mode="r", allow_pickle=False)
        except (ValueError, EOFError, OSError):
            # An array of objects, or damaged: the separate process tells which.
            return files.converted(path.name, f"{__name__}:convert_objects")["array"]


def convert_objects(sources: Sequence[Path]) -> dict[str, NDArray[Any]]:
    """Return the one array of an ``.npy`` file whose elements are objects as ``array``: float32, or int64 where all are integers.

    Raises:
        IntegrityError: the elements are not numbers or arrays of one shape.

    """
    (path,) = sources
    loaded = unpickle.load_npy(path)
    try:
        array = np.array(loaded.tolist())
    except ValueError as error:
        raise IntegrityError(f"'{path}' holds arrays of different shapes") from error
    if array.dtype.kind not in "iuf":
        raise IntegrityError(f"'{path}' holds {array.dtype} elements, numbers were expected")
    return {"array": array.astype(np.int64 if array.dtype.kind in "iu" else np.float32)}


def _check_published(tokens_path: Path, tokens: NDArray[Any], labels_path: Path, labels: NDArray[Any]) -> None:
    if tokens.dtype.kind != "f" or tokens.ndim != 3 or tokens.shape[1:] != (LENGTH, WIDTH) or not len(tokens):
        raise IntegrityError(f"'{tokens_path}' has type {tokens.dtype} and shape {tokens.shape}, floats (n, {LENGTH}, {WIDTH}) were expected")
    whole = labels.dtype.kind in "iu" or (labels.dtype.kind == "f" and bool(np.equal(labels, np.round(labels)).all()))
    if not whole or labels.shape != (len(tokens),):
        raise IntegrityError(f"'{labels_path}' has type {labels.dtype} and shape {labels.shape}, integers ({len(tokens)},) were expected")
