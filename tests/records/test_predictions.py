"""Stored predictions: compact without moving a metric, refused when damaged, free of pickle."""

from __future__ import annotations

import hashlib
import io
import zipfile

import numpy as np
import pytest
from factories import make_record

from pare_bench.errors import DataMissingError, IntegrityError
from pare_bench.leaderboard.evidence import is_whole
from pare_bench.records import predictions
from pare_bench.records.predictions import PredictionsFolder, outputs_digest

OUTPUTS = np.random.default_rng(0).normal(size=(50, 7)).astype(np.float32)


def save(folder, outputs=OUTPUTS, same=lambda rounded: True, record=None):
    record = record or make_record()
    kept = folder.save(record.run_id, outputs, same)
    return record.model_copy(update={"predictions": kept, "predictions_sha256": outputs_digest(outputs)})


def test_the_digest_is_that_of_the_float32_bytes():
    assert outputs_digest(OUTPUTS) == hashlib.sha256(OUTPUTS.tobytes()).hexdigest()
    assert outputs_digest(OUTPUTS.T) == hashlib.sha256(OUTPUTS.T.tobytes()).hexdigest()


def test_compact_rounds_where_no_metric_moves(tmp_path):
    folder = PredictionsFolder(tmp_path)
    record = save(folder)
    assert (record.predictions.kept, record.predictions.shape) == ("float16", (50, 7))
    assert np.array_equal(folder.load(record), OUTPUTS.astype(np.float16).astype(np.float32))
    with np.load(folder.path(record.run_id), allow_pickle=False) as archive:
        assert archive.files == ["outputs"]
        assert archive["outputs"].dtype == np.float16
    assert record.predictions.file_bytes == folder.path(record.run_id).stat().st_size < OUTPUTS.nbytes


@pytest.mark.parametrize("outputs", [OUTPUTS, OUTPUTS * np.float32(1e30)], ids=["a metric moves", "beyond float16"])
def test_compact_keeps_float32_otherwise(tmp_path, outputs):
    folder = PredictionsFolder(tmp_path)
    record = save(folder, outputs, lambda rounded: outputs is not OUTPUTS)
    assert record.predictions.kept == "float32"
    assert np.array_equal(folder.load(record), outputs)


def test_full_and_none_and_too_many(tmp_path, monkeypatch):
    record = save(PredictionsFolder(tmp_path, "full"))
    assert record.predictions.kept == "float32"
    none = save(PredictionsFolder(tmp_path / "none", "none"))
    assert (none.predictions.kept, none.predictions.file_sha256) == ("no", None)
    monkeypatch.setattr(predictions, "COMPACT_LIMIT", 1000)
    many = save(PredictionsFolder(tmp_path / "many"))
    assert many.predictions.kept == "no"
    assert "--predictions full" in many.predictions.reason
    assert save(PredictionsFolder(tmp_path / "full", "full")).predictions.kept == "float32"
    with pytest.raises(DataMissingError, match="no stored predictions: --predictions none"):
        PredictionsFolder(tmp_path / "none").load(none)


def test_the_same_outputs_give_the_same_bytes(tmp_path):
    first, second = PredictionsFolder(tmp_path / "a"), PredictionsFolder(tmp_path / "b")
    record = save(first)
    save(second)
    assert first.path(record.run_id).read_bytes() == second.path(record.run_id).read_bytes()


def test_a_flipped_byte_anywhere_is_refused(tmp_path):
    folder = PredictionsFolder(tmp_path)
    record = save(folder)
    path = folder.path(record.run_id)
    content = path.read_bytes()
    for position in range(0, len(content), 37):
        path.write_bytes(content[:position] + bytes([content[position] ^ 1]) + content[position + 1 :])
        with pytest.raises(IntegrityError, match="SHA-256 differs"):
            folder.load(record)
    path.unlink()
    with pytest.raises(DataMissingError, match="cannot be read"):
        folder.load(record)


def archive(**entries):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in entries.items():
            file.writestr(f"{name}.npy", data)
    return content.getvalue()


def as_npy(array):
    content = io.BytesIO()
    np.save(content, array, allow_pickle=True)
    return content.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        b"no archive",
        archive(other=b""),
        archive(outputs=as_npy(np.array([{"a": 1}], dtype=object))),
        archive(outputs=as_npy(np.zeros((50, 8), np.float16))),
        archive(outputs=as_npy(np.zeros((50, 7), np.float64))),
        archive(outputs=as_npy(np.zeros(10_000_000, np.float16))),
        archive(outputs=as_npy(np.zeros((50, 7), np.float16))[:100]),
    ],
    ids=["not zip", "other name", "pickle", "shape", "type", "bomb", "truncated"],
)
def test_hostile_archives_are_refused_even_with_the_right_digest(tmp_path, content):
    folder = PredictionsFolder(tmp_path)
    record = save(folder)
    folder.path(record.run_id).write_bytes(content)
    forged = record.predictions.model_copy(update={"file_sha256": hashlib.sha256(content).hexdigest()})
    with pytest.raises(IntegrityError, match="cannot be read"):
        folder.load(record.model_copy(update={"predictions": forged}))


def test_damage_in_an_archive_of_a_rare_method(tmp_path):
    """A submission may hold one: its digest fits the record."""
    folder = PredictionsFolder(tmp_path, "full")
    record = save(folder)
    path = folder.path(record.run_id)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("outputs.npy", bytes(range(256)) * 5)
    content = bytearray(path.read_bytes())
    content[60:80] = bytes(byte ^ 0xFF for byte in content[60:80])
    path.write_bytes(content)
    kept = record.predictions.model_copy(update={"file_sha256": hashlib.sha256(content).hexdigest()})
    with pytest.raises(IntegrityError, match="cannot be read: Corrupt input data"):
        folder.load(record.model_copy(update={"predictions": kept}))
    assert not is_whole(path)
