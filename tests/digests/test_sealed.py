"""Sealed JSON: whole or not believed."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pare_bench.digests.memory import Memory
from pare_bench.digests.sealed import UnsealedError, opened, remembered, sealed

DOCUMENT = {"reader": "1", "facts": {"key": [1, "caf\u00e9", None]}}
TEXT = sealed(DOCUMENT)


@pytest.mark.parametrize("options", [{}, {"indent": 1}, {"sort_keys": True, "ensure_ascii": False}])
def test_what_was_sealed_is_read_back_and_is_still_json(options):
    text = sealed(DOCUMENT, **options)
    assert opened(text) == opened(text + "\n") == DOCUMENT
    assert {name: value for name, value in json.loads(text).items() if name != "seal"} == DOCUMENT


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(TEXT) - 1), st.integers(1, 127))
def test_no_flipped_byte_is_believed(position, flip):
    content = bytearray(TEXT.encode())
    content[position] ^= flip
    try:
        opened(content.decode("utf-8", "replace"))
    except ValueError:
        return
    pytest.fail("a changed text was believed")


def test_what_has_no_seal_is_an_older_file_where_that_is_allowed():
    plain = json.dumps(DOCUMENT)
    assert opened(plain, needs_seal=False) == DOCUMENT
    with pytest.raises(UnsealedError):
        opened(plain)


def test_a_damaged_memory_is_named_and_found_out_again(tmp_path, monkeypatch):
    monkeypatch.setenv("PARE_BENCH_CACHE", str(tmp_path))
    memory = Memory("facts", "1")
    memory.put("key", "0.0005")
    memory.save()
    path = tmp_path / "facts.json"
    assert Memory("facts", "1").get("key") == "0.0005"
    # Still JSON, with another fact in it.
    path.write_text(path.read_text().replace("0.0005", "0.0007"))
    with pytest.warns(UserWarning, match=r"facts\.json' is damaged and made again"):
        assert Memory("facts", "1").get("key") is None
    assert remembered(tmp_path / "none.json") is None
