"""Text sources take the tokenizer of the run's backbone: ids of another one mean other words to it, and nothing would show that."""

from __future__ import annotations

import json

import numpy as np
import pytest
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from pare_bench.config.resolution import Request, changes_from_preset, resolve
from pare_bench.contracts.task import TaskSize
from pare_bench.datasets.run_data import source_data
from pare_bench.errors import PluginError, UsageError
from pare_bench.pretraining.text import train_tokenizer
from pare_bench.records.store import Store
from pare_bench.registry.names import Registry

WORDS = 280
SIZE = TaskSize(16, 8, 8)
TINY = ("size.train=16", "size.val=8", "size.test=8", "source_size.train=32", "source_size.val=8", "source_size.test=8", "budget.epochs=1")
PLUGIN = """
from pare_bench import BackboneSpec, hookimpl
from pare_bench.builtin.backbones.language import NanoText

@hookimpl
def pare_bench_backbones():
    yield BackboneSpec(name="mute", summary="a text body that names no tokenizer", target="plugin_of_mute:Mute", modality="sequence")

class Mute(NanoText):
    @classmethod
    def tokenizer(cls, params):
        return {answer}
"""


@pytest.fixture(scope="module")
def registry() -> Registry:
    return Registry.from_environment()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A small encoder with a tokenizer of its own, of far fewer words than ``nano_text``'s 4,096, and room for the latter's ids."""
    path = tmp_path_factory.mktemp("encoder")
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 24, "max_position_embeddings": 70}
    BertModel(BertConfig(vocab_size=5000, **sizes), add_pooling_layer=False).save_pretrained(path)
    own = train_tokenizer(["the reader reads the readable page"] * 20, vocabulary=WORDS)
    special = {"cls_token": "<s>", "sep_token": "</s>", "pad_token": "<pad>"}
    PreTrainedTokenizerFast(tokenizer_object=own, **special).save_pretrained(path)
    return path


def one(registry, *overrides, method="pare", task="ecg", **options):
    (config,) = resolve(registry, Request(method, "nas360", (task,), overrides=overrides, **options))
    return config


def test_a_run_with_another_body_gets_its_ids_and_its_record_says_so(pare_bench, registry, folder, tmp_path):
    words = [word for option in (*TINY, "backbone=hf_text", f"backbone.model={folder}") for word in ("-o", option)]
    code, _, err = pare_bench("run", "--method", "pare", "--task", "ecg", "--preset", "smoke", "--out", str(tmp_path), "--device", "cpu", *words)
    assert code == 0, err
    (record,) = Store(tmp_path).records()
    assert record.status == "ok"
    assert record.config.source.params["tokenizer"] == str(folder)
    ids = source_data(registry, record.config).data.splits.train.inputs
    assert ids.max() < WORDS
    bundled = source_data(registry, one(registry, *TINY, preset="smoke"))
    assert bundled.data.splits.train.inputs.max() > WORDS
    assert record.source.data_sha256 != bundled.data.sha256
    # The option that chose the body says it all.
    assert not any(change.startswith("source") for change in record.variant if not change.startswith("source_size"))


@pytest.mark.parametrize("source", ["docstrings", "conll2003"])
@pytest.mark.parametrize("method", ["pare", "orca"])
def test_the_tokenizer_is_resolved_with_the_run(registry, folder, method, source):
    chosen = ("source=" + source, "backbone=hf_text", f"backbone.model={folder}")
    ours, theirs = one(registry, "source=" + source, method=method), one(registry, *chosen, method=method)
    assert ours.source.params["tokenizer"] == "nano_text"
    assert theirs.source.params["tokenizer"] == str(folder)
    assert ours.digest() != theirs.digest()
    named = one(registry, *chosen, "source.tokenizer=nano_text", method=method)
    assert named.source.params["tokenizer"] == "nano_text"
    by_hub = one(registry, "source=" + source, "backbone=hf_text", "backbone.model=google/some-bert", method=method)
    assert by_hub.source.params["tokenizer"] == "google/some-bert"
    if source == "docstrings":
        assert "source.tokenizer=nano_text" in changes_from_preset(registry, named)
        assert not any(change.startswith("source") for change in changes_from_preset(registry, theirs))
        assert changes_from_preset(registry, ours) == ()


def test_data_without_a_run_are_those_of_the_bundled_tokenizer(registry):
    plain, named = (registry.build("task", "docstrings", values).generated(0, SIZE) for values in ({}, {"tokenizer": "nano_text"}))
    assert np.array_equal(plain.train.inputs, named.train.inputs)


def test_a_model_without_tokenizer_is_one_line(pare_bench, tmp_path):
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 24, "max_position_embeddings": 70}
    BertModel(BertConfig(vocab_size=5000, **sizes), add_pooling_layer=False).save_pretrained(tmp_path / "bare")
    words = [word for option in (*TINY, "backbone=hf_text", f"backbone.model={tmp_path / 'bare'}") for word in ("-o", option)]
    command = ("run", "--method", "pare", "--task", "ecg", "--preset", "smoke", "--out", str(tmp_path / "out"), "--format", "json", *words)
    code, out, err = pare_bench(*command)
    assert code == 3
    (record,) = json.loads(out)
    assert record["reason"].startswith(f"no tokenizer '{tmp_path / 'bare'}' on this machine or the hub: there is no tokenizer.json")
    assert "Traceback" not in err


def test_a_backbone_that_names_none_is_refused_before_anything_runs(pare_bench, install, tmp_path):
    install("mute", PLUGIN.format(answer=None))
    command = ("run", "--method", "pare", "--task", "ecg", "--preset", "smoke", "--out", str(tmp_path), "-o", "backbone=mute")
    code, out, err = pare_bench(*command)
    assert (code, out) == (2, "")
    assert "error: source 'docstrings' is text, and backbone 'mute' names no tokenizer for it\nhint: -o source.tokenizer=NAME, the hub id" in err
    assert not (tmp_path / "records").exists()
    options = [word for option in (*TINY, "source.tokenizer=nano_text") for word in ("-o", option)]
    assert pare_bench(*command, *options)[0] == 0
    # A method that reads no text asks nobody.
    assert pare_bench("run", "--method", "full_finetune", *command[3:], "--dry-run")[0] == 0
    code, _, err = pare_bench("data", "build-source", "--backbone", "mute", "--task", "docstrings", "--out", str(tmp_path / "tokens.safetensors"))
    assert code == 2
    assert "backbone 'mute' names no tokenizer" in err


@pytest.mark.parametrize("answer", ["3", "''", "params.nothing"])
def test_a_backbone_that_names_nonsense_is_at_fault(install, answer):
    install("mute", PLUGIN.format(answer=answer))
    with pytest.raises(PluginError, match=r"backbone 'mute' (names|cannot name)"):
        one(Registry.from_environment(), "backbone=mute")
    with pytest.raises(UsageError, match="has no parameter"):
        one(Registry.from_environment(), "backbone=mute", "source.tokeniser=nano_text")
