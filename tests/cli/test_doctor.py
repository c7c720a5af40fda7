"""``pare-bench doctor``: what it tells of a sound machine, and of each thing that can be wrong with one."""

from __future__ import annotations

import json
import shutil
from importlib.resources import files
from pathlib import Path

import pytest

from pare_bench.cli import doctor_facts


def told(pare_bench, *words):
    code, out, _ = pare_bench("doctor", *words, "--format", "json")
    document = json.loads(out)
    assert document["problems"] == sum(fact["state"] == "problem" for fact in document["facts"])
    return code, {(fact["topic"], fact["name"]): fact for fact in document["facts"]}


@pytest.fixture
def places(tmp_path, monkeypatch):
    """Folders of one's own for data and cache."""
    monkeypatch.setenv("PARE_BENCH_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("PARE_BENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path


def test_a_sound_machine_has_no_problems_and_ends_with_0(pare_bench, places):
    code, facts = told(pare_bench, "--out", str(places / "out"))
    assert code == 0, [fact for fact in facts.values() if fact["state"] == "problem"]
    import torch

    assert facts["torch", "build"]["value"].startswith(torch.__version__)
    assert facts["versions", "numpy"]["state"] == "ok"
    assert facts["plugins", "builtin"]["value"].startswith("pare-bench ")
    assert "can be made" in facts["folders", "--out"]["value"]
    assert facts["weights", "nano_swin"]["value"].endswith("as its card says")
    assert {"platform", "processor", "memory"} <= {name for topic, name in facts if topic == "machine"}
    # It looks and leaves no trace.
    assert not (places / "out").exists()
    assert not (places / "data").exists()


def test_it_can_be_pasted(pare_bench, places):
    code, out, err = pare_bench("doctor", "--out", str(places))
    assert code == 0
    assert err == ""
    assert out.startswith("| topic | what | value | state |\n| --- |")
    assert out.rstrip().endswith("no problems")
    assert "\x1b" not in out


def test_no_secrets_are_told(pare_bench, places, monkeypatch):
    home = places / "home" / "jane"
    home.mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("PARE_BENCH_DATA", str(home / "data"))
    monkeypatch.setenv("HF_TOKEN", "hf_geheim")
    monkeypatch.setenv("PIP_INDEX_URL", "https://jane:geheim@index.example/simple")
    monkeypatch.setenv("https_proxy", "http://jane:geheim@proxy.example:3128")
    _, out, _ = pare_bench("doctor", "--out", str(home / "out"))
    assert "geheim" not in out
    assert "jane" not in out
    assert "~/data" in out
    assert "~/out" in out
    assert "https://***@index.example/simple" in out
    assert "| HTTPS_PROXY | http://***@proxy.example:3128 |" in out
    assert "| HF_TOKEN | set |" in out


def test_a_broken_plugin_is_a_problem_with_a_hint(pare_bench, places, install):
    install("torn", "import nothing_of_that_name\n", version="3.1")
    code, facts = told(pare_bench, "--out", str(places))
    assert code == 5
    fact = facts["plugins", "torn"]
    assert fact["state"] == "problem"
    assert "pare-bench-torn 3.1" in fact["value"]
    assert "nothing_of_that_name" in fact["value"]
    assert "PARE_BENCH_PLUGINS=none" in fact["hint"]
    out = pare_bench("doctor", "--out", str(places))[1]
    assert "\nproblem: plugins, torn: pip install --upgrade pare-bench-torn" in out
    assert out.rstrip().endswith("1 problem")


def test_two_plugins_with_one_name_are_a_problem(pare_bench, places, install):
    source = (
        "from pare_bench import SelectorSpec, hookimpl\n\n@hookimpl\ndef pare_bench_selectors():\n"
        '    yield SelectorSpec(name="random", summary="another", target="x:Y")\n'
    )
    install("twice", source)
    code, facts = told(pare_bench, "--out", str(places))
    assert code == 5
    assert "is registered by two plugins" in facts["plugins", "looking"]["value"]
    assert ("weights", "nano_swin") in facts


@pytest.mark.parametrize(("name", "state", "expected"), [("cache", "problem", 5), ("--out", "problem", 5), ("data", "note", 0)])
def test_a_folder_that_cannot_be_written(name, state, expected, pare_bench, places, monkeypatch):
    """A file in its place: nobody can write below that, root neither."""
    (places / "file").write_text("")
    place = str(places / "file" / "below")
    variable = {"cache": "PARE_BENCH_CACHE", "data": "PARE_BENCH_DATA"}.get(name)
    if variable:
        monkeypatch.setenv(variable, place)
    code, facts = told(pare_bench, "--out", place if name == "--out" else str(places))
    assert code == expected
    assert facts["folders", name]["state"] == state
    assert "cannot be written" in facts["folders", name]["value"]
    assert "ls -ld" in facts["folders", name]["hint"]


def test_a_full_disk(pare_bench, places, monkeypatch):
    usage = shutil.disk_usage(places)
    monkeypatch.setattr(doctor_facts.shutil, "disk_usage", lambda path: usage._replace(free=1_000_000))
    code, facts = told(pare_bench, "--out", str(places))
    assert code == 5
    assert "0.0 GB free" in facts["folders", "--out"]["value"]


def test_damaged_weights(pare_bench, places, monkeypatch):
    root = Path(str(files("pare_bench")))
    copy = places / "package"
    shutil.copytree(root / "data" / "weights", copy / "data" / "weights")
    with (copy / "data/weights/nano_swin.safetensors").open("r+b") as stream:
        stream.seek(-1, 2)
        stream.write(b"\xff" if stream.read(1) != b"\xff" else b"\x00")
    monkeypatch.setattr(doctor_facts, "files", lambda package: copy)
    code, facts = told(pare_bench, "--out", str(places))
    assert code == 5
    assert facts["weights", "nano_swin"]["state"] == "problem"
    assert facts["weights", "nano_text"]["state"] == "ok"


def test_a_variable_that_lowers_the_precision(pare_bench, places, monkeypatch):
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "1")
    code, facts = told(pare_bench, "--out", str(places))
    assert code == 5
    assert "NVIDIA_TF32_OVERRIDE=1" in facts["torch", "float32"]["value"]


def test_a_library_that_is_missing_or_too_old(pare_bench, places, monkeypatch):
    monkeypatch.setattr(doctor_facts.importlib.metadata, "requires", lambda name: ["numpy>=99", "nothing-of-that-name>=1", "x ; extra == 'y'"])
    code, facts = told(pare_bench, "--out", str(places))
    assert code == 5
    assert facts["versions", "numpy"]["hint"] == "pip install 'numpy>=99'"
    assert facts["versions", "nothing-of-that-name"]["value"] == "not installed"
    assert ("versions", "x") not in facts


def test_offline_is_told(pare_bench, places, monkeypatch):
    monkeypatch.setenv("PARE_BENCH_OFFLINE", "1")
    _, facts = told(pare_bench, "--out", str(places))
    assert facts["network", "connections"]["value"] == "none is opened (PARE_BENCH_OFFLINE)"
    assert facts["network", "PARE_BENCH_OFFLINE"]["value"] == "1"
