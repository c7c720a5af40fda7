"""Predictions beside the records, ``<out>/predictions/<run id>.npz``: small, free of pickle, and enough to compute every metric again.

The file is a compressed NumPy archive with one array, ``outputs``. In ``compact`` mode its values are float16 where every metric comes out the same
to the last bit, float32 otherwise, and sets beyond :data:`COMPACT_LIMIT` are left out; ``full`` keeps float32 whatever the size.
"""

from __future__ import annotations

import hashlib
import io
import lzma
import math
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pare_bench.datasets.npy import read_npy
from pare_bench.errors import DataMissingError, IntegrityError
from pare_bench.records.record import PredictionsRecord, RunRecord
from pare_bench.records.store import write_atomically

Mode = Literal["none", "compact", "full"]
#: Bytes of float32 outputs beyond which compact mode keeps none.
COMPACT_LIMIT = 256 * 2**20
_ENTRY = "outputs"


def outputs_digest(outputs: NDArray[np.floating]) -> str:
    """Return the SHA-256 over float32 outputs: equal for equal predictions, whatever is kept of them."""
    return hashlib.sha256(np.ascontiguousarray(outputs, dtype=np.float32).data).hexdigest()


@dataclass(frozen=True)
class PredictionsFolder:
    """Where the predictions of a store are kept, and how much of them."""

    root: Path
    mode: Mode = "compact"

    def path(self, run_id: str) -> Path:
        """Return where the predictions of a run stand."""
        return self.root / f"{run_id}.npz"

    def save(self, run_id: str, outputs: NDArray[np.float32], same_scores: Callable[[NDArray[np.float32]], bool]) -> PredictionsRecord:
        """Keep ``outputs`` ``[n ...]`` as the mode says; ``same_scores`` tells whether rounded ones lead to the same metrics.

        Raises:
            EnvironmentFault: the folder cannot be written.
        """
        if self.mode == "none":
            return PredictionsRecord(kept="no", reason="--predictions none", shape=outputs.shape)
        if self.mode == "compact" and outputs.nbytes > COMPACT_LIMIT:
            reason = f"{outputs.nbytes / 2**20:.0f} MiB are more than the {COMPACT_LIMIT // 2**20} MiB that are kept without --predictions full"
            return PredictionsRecord(kept="no", reason=reason, shape=outputs.shape)
        kept: NDArray[np.floating] = outputs
        if self.mode == "compact":
            with np.errstate(over="ignore"):
                rounded = outputs.astype(np.float16)
            if np.isfinite(rounded).all() and same_scores(rounded.astype(np.float32)):
                kept = rounded
        content = _packed(kept)
        write_atomically(self.path(run_id), content)
        digest = hashlib.sha256(content).hexdigest()
        name: Literal["float16", "float32"] = "float16" if kept.dtype == np.float16 else "float32"
        return PredictionsRecord(kept=name, shape=outputs.shape, file_sha256=digest, file_bytes=len(content))

    def load(self, record: RunRecord) -> NDArray[np.float32]:
        """Return the stored outputs of a run as float32.

        Raises:
            DataMissingError: none were kept, or the file is not there.
            IntegrityError: the file is not the one that the record speaks of.
        """
        kept, path = record.predictions, self.path(record.run_id)
        if kept is None or kept.kept == "no":
            why = kept.reason if kept else "the record knows of none"
            raise DataMissingError(f"run '{record.run_id}' has no stored predictions: {why}", hint="run it again with --predictions full")
        try:
            content = path.read_bytes()
        except OSError as error:
            raise DataMissingError(
                f"predictions '{path}' cannot be read: {error.strerror}", hint="copy the folder 'predictions' along with the records"
            ) from error
        if hashlib.sha256(content).hexdigest() != kept.file_sha256:
            raise IntegrityError(f"predictions '{path}' are not those of run '{record.run_id}': their SHA-256 differs", hint="run it again")
        return _unpacked(path, content, kept)


def _packed(outputs: NDArray[np.floating]) -> bytes:
    """Return the archive; the same outputs give the same bytes."""
    array, archive = io.BytesIO(), io.BytesIO()
    np.lib.format.write_array(array, np.ascontiguousarray(outputs), allow_pickle=False)
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as file:
        # A ZipInfo of its own has a fixed date.
        file.writestr(zipfile.ZipInfo(f"{_ENTRY}.npy"), array.getvalue(), zipfile.ZIP_DEFLATED)
    return archive.getvalue()


def _unpacked(path: Path, content: bytes, kept: PredictionsRecord) -> NDArray[np.float32]:
    expected = math.prod(kept.shape) * (2 if kept.kept == "float16" else 4)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as file:
            entry = file.getinfo(f"{_ENTRY}.npy")
            if entry.file_size > expected + 4096:
                raise ValueError(f"{entry.file_size} bytes instead of {expected}")
            array = file.read(entry)
        outputs = read_npy(io.BytesIO(array), len(array))
        if outputs.shape != kept.shape or outputs.dtype != np.dtype(kept.kept):
            raise ValueError(f"{outputs.dtype} {outputs.shape} instead of {kept.kept} {kept.shape}")
    except (ValueError, KeyError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError, RuntimeError, OSError) as error:
        raise IntegrityError(f"predictions '{path}' cannot be read: {error}", hint="run it again") from error
    return outputs.astype(np.float32)
