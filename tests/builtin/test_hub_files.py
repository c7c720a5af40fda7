"""A hub is asked in one place: what cannot be reached is said within seconds, what comes slowly is waited for, what is here is taken."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
import time

import huggingface_hub
import numpy as np
import pytest
from hub_server import COMMIT, hub_server, point
from huggingface_hub import constants
from safetensors.numpy import save_file
from transformers import PreTrainedTokenizerFast, SwinConfig, SwinModel

from pare_bench.builtin import hub_files
from pare_bench.builtin.backbones.swin import HuggingFaceSwin
from pare_bench.builtin.backbones.vision_transformer import TimmVision
from pare_bench.builtin.sources.tokenization import bundled_tokenizer, text_encoder
from pare_bench.errors import DataMissingError, EnvironmentFault, IntegrityError, OfflineError

WEIGHTS = "model.safetensors"


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A hub with a small Swin, asked with an empty cache; it must answer within 1 s and come forward within 2 s."""
    SwinModel(
        SwinConfig(image_size=32, patch_size=2, embed_dim=12, depths=[1, 2], num_heads=[2, 3], window_size=4), add_pooling_layer=False
    ).save_pretrained(tmp_path / "hub")
    for name in ("HF_HUB_OFFLINE", "PARE_BENCH_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HUB_ETAG_TIMEOUT", "1")
    monkeypatch.setenv("HF_HUB_DOWNLOAD_TIMEOUT", "2")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(hub_files, "_HUBS", {})
    with hub_server(tmp_path / "hub") as server:
        point(monkeypatch, server.address)
        yield server
    huggingface_hub.close_session()


def fetch(*names, **options):
    return hub_files.find("some/name", names or (WEIGHTS,), what="weights of backbone", **options)


def seconds(act):
    began = time.monotonic()
    act()
    return time.monotonic() - began


@pytest.fixture
def patient(monkeypatch):
    """Limits that a busy machine keeps, where it is not them that is tested."""
    monkeypatch.setenv("HF_HUB_ETAG_TIMEOUT", "20")
    monkeypatch.setenv("HF_HUB_DOWNLOAD_TIMEOUT", "20")


def test_a_model_of_a_hub_is_the_model_of_its_folder(hub, patient):
    of_hub, of_folder = (HuggingFaceSwin.Params(model=model) for model in ("some/name", str(hub.folder)))
    assert HuggingFaceSwin.weights_digest(of_hub) == HuggingFaceSwin.weights_digest(of_folder)
    assert HuggingFaceSwin.architecture_digest(of_hub) == HuggingFaceSwin.architecture_digest(of_folder)
    states = [HuggingFaceSwin(params).state_dict() for params in (of_hub, of_folder)]
    assert all((states[0][name] == states[1][name]).all() for name in states[1])
    # It asks for the files it needs and for nothing else.
    assert {path for _, path in hub.log} == {f"/some/name/resolve/main/{name}" for name in (WEIGHTS, "config.json")}
    assert sum(method == "GET" for method, _ in hub.log) == 2


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        ("never answers", "no answer for 1 s"),
        ("drips its answer", "no answer for 1 s"),
        ("503", "it answers 503"),
        ("429", "it answers 429"),
        ("is no hub", "what answers is no hub"),
        ("never sends", "no answer for 2 s"),
        ("drips", "no answer for 2 s"),
        ("stalls", "no answer for 2 s"),
    ],
)
def test_a_hub_that_cannot_be_reached_is_given_up_in_time(hub, capfd, behaviour, reason):
    hub.behaviour = behaviour

    def act():
        with pytest.raises(DataMissingError) as caught:
            fetch()
        assert str(caught.value).endswith(f"on this machine, and hub '{hub.address}' cannot be reached: {reason}")
        assert "hf download some/name" in caught.value.hint

    assert seconds(act) < 4
    # The next file of the same model does not wait again.
    asked = len(hub.log)
    assert seconds(act) < 0.2
    assert len(hub.log) == asked
    assert "Retrying" not in capfd.readouterr().err


@pytest.mark.parametrize(("address", "reason"), [("http://127.0.0.1:1", "refused"), ("http://no-such-host.invalid", "")])
def test_no_hub_at_all(hub, monkeypatch, address, reason):
    point(monkeypatch, address)

    def act():
        with pytest.raises(DataMissingError, match=f"cannot be reached: .*{reason}"):
            fetch()

    assert seconds(act) < 4


def test_a_name_that_is_looked_up_for_ever(hub, monkeypatch):
    """No timeout of a transport counts that."""
    point(monkeypatch, "http://slow-to-look-up.invalid")
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: time.sleep(8))

    def act():
        with pytest.raises(DataMissingError, match="no answer for 1 s"):
            fetch()

    assert seconds(act) < 4


def test_a_slow_download_is_waited_for(hub):
    """Three times the limit in all, and never that long without a step."""
    save_file({"weight": np.random.default_rng(0).random(50_000)}, hub.folder / WEIGHTS)
    hub.behaviour = "is slow"
    assert seconds(fetch) > 5
    assert fetch().read_bytes() == (hub.folder / WEIGHTS).read_bytes()


def test_what_is_on_this_machine_is_taken_when_the_hub_is_silent(hub):
    there = fetch()
    hub.behaviour = "never answers"
    with pytest.warns(UserWarning, match=r"cannot be reached \(no answer for 1 s\): its files on this machine are taken"):
        assert fetch() == there
    # A commit does not change: nobody need be asked.
    asked = len(hub.log)
    assert fetch(revision=COMMIT) == there
    assert len(hub.log) == asked


@pytest.mark.parametrize("variable", ["HF_HUB_OFFLINE", "PARE_BENCH_OFFLINE"])
def test_offline_asks_nobody(hub, patient, monkeypatch, variable):
    monkeypatch.setenv(variable, "1")
    with pytest.raises(OfflineError, match="and no hub is asked"):
        fetch()
    monkeypatch.delenv(variable)
    there, asked = fetch(), len(hub.log)
    monkeypatch.setenv(variable, "1")
    assert fetch() == there
    assert len(hub.log) == asked


def test_a_file_of_another_size_is_not_asked_for(hub, patient):
    size = (hub.folder / WEIGHTS).stat().st_size
    with pytest.raises(IntegrityError, match=f"announces {size} bytes for {WEIGHTS} of 'some/name', published are 7"):
        fetch(size=7)
    assert {method for method, _ in hub.log} == {"HEAD"}
    assert fetch(size=size).stat().st_size == size


def test_a_full_disk_is_no_silent_hub(hub, patient, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", full)
    with pytest.raises(EnvironmentFault, match="cannot be written: No space left on device"):
        fetch()
    assert not hub_files._HUBS[hub.address].reason


def test_a_download_goes_on_where_it_broke_off_and_tells_how_far_it_is(hub, patient):
    save_file({"weight": np.random.default_rng(0).random(200_000)}, hub.folder / WEIGHTS)
    whole = (hub.folder / WEIGHTS).read_bytes()

    class Told:
        def __init__(self):
            self.begun, self.count, self.ended = [], 0, 0

        def begin(self, name, total, done):
            self.begun.append((name, total, done))
            self.count = done

        def advance(self, count):
            self.count += count

        def end(self):
            self.ended += 1

    told = Told()
    hub.behaviour = "breaks off once"
    assert fetch(progress=told).read_bytes() == whole
    assert len(whole) // 3 < hub.begun[-1] <= len(whole) // 2
    assert told.begun == [(WEIGHTS, len(whole), 0)]
    assert (told.count, told.ended) == (len(whole), 1)


def test_what_the_hub_has_not(hub, patient):
    with pytest.raises(DataMissingError, match=r"on this machine or the hub: it has no other\.bin"):
        fetch("other.bin")
    assert fetch("other.bin", WEIGHTS).name == WEIGHTS
    with pytest.raises(DataMissingError, match="gives none: the name is mistyped, or the model private or gated"):
        hub_files.find("other/name", (WEIGHTS,), what="weights")
    assert not hub_files._HUBS[hub.address].reason


def test_tokenizers_and_weights_for_timm_come_the_same_way(hub):
    special = {"cls_token": "<s>", "sep_token": "</s>", "pad_token": "<pad>"}
    PreTrainedTokenizerFast(tokenizer_object=bundled_tokenizer(), **special).save_pretrained(hub.folder)
    assert text_encoder("some/name").encode(["one two"]) == text_encoder(str(hub.folder)).encode(["one two"])
    params = TimmVision.Params(model="test_vit", weights="some/name")
    assert len(TimmVision.weights_digest(params)) == 64
    hub.behaviour = "never answers"
    hub_files._HUBS.clear()
    for act in (
        lambda: text_encoder("some/other"),
        lambda: TimmVision.weights_digest(TimmVision.Params(model="test_vit", weights="some/other")),
    ):
        with pytest.raises(DataMissingError, match="cannot be reached: no answer for 1 s"):
            act()


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.parametrize("command", ["run", "build-source"])
def test_a_command_fails_in_time_with_one_line(hub, tmp_path, command):
    """In a process of its own, with the limits as they are; imports and data are timed by the same command on a hub that refuses at once."""
    hub.behaviour = "never answers"
    small = ("--preset", "smoke", "-o", "size.train=8", "-o", "size.val=4", "-o", "size.test=4", "--out", str(tmp_path / "out"))
    argv = {
        "run": (
            "run",
            "--method",
            "full_finetune",
            "--task",
            "cifar100",
            "--fail-fast",
            "-o",
            "backbone=hf_swin",
            "-o",
            "backbone.model=some/name",
            *small,
        ),
        "build-source": ("data", "build-source", "--task", "docstrings", "--backbone", "hf_text", "-o", "model=some/name"),
    }[command]
    left = ("HF_HUB_OFFLINE", "HF_HUB_ETAG_TIMEOUT", "HF_HUB_DOWNLOAD_TIMEOUT")
    variables = {name: value for name, value in os.environ.items() if name not in left}
    variables |= {"HF_HOME": str(tmp_path / "home"), "PYTHONPATH": os.pathsep.join(sys.path)}
    took = {}
    for address in ("http://127.0.0.1:1", "http://127.0.0.1:1", hub.address):  # the first call makes the data
        began = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-m", "pare_bench", *argv], env={**variables, "HF_ENDPOINT": address}, capture_output=True, text=True, check=False
        )
        took[address] = time.monotonic() - began
        assert done.returncode == 3, done.stderr
        assert sum(line.startswith("error: ") for line in done.stderr.splitlines()) == 1
        assert "Retrying" not in done.stderr
        assert "Traceback" not in done.stderr
    assert took[hub.address] - took["http://127.0.0.1:1"] < 10
    assert not list((tmp_path / "out").glob("records/*/*/*/*.json"))
