"""``pare-bench data build-source``: token files against the transformers library's own outputs, and as the source of a run."""

import json

import numpy as np
import pytest
import torch
from official_files import conll2003
from safetensors import safe_open
from transformers import AutoModel, BertConfig, BertModel, PreTrainedTokenizerFast

from pare_bench.builtin.backbones.language import NanoText
from pare_bench.builtin.sources.conll2003 import Conll2003
from pare_bench.builtin.sources.tokenization import bundled_tokenizer
from pare_bench.datasets.official import OfficialFiles


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A data root with the small CoNLL-2003 files."""
    conll2003.write(tmp_path / "data")
    monkeypatch.setenv("PARE_BENCH_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


def sentences(root, **params):
    return Conll2003(Conll2003.Params(**params)).official(OfficialFiles(root, "conll2003"), "clean").train


def arrays(path):
    with safe_open(path, framework="numpy") as opened:
        return opened.get_tensor("tokens"), opened.get_tensor("labels"), opened.metadata()


def test_embedding_layer_of_the_bundled_backbone(pare_bench, root):
    code, out, err = pare_bench("data", "build-source", "--batch-size", "7", "--format", "json")
    assert code == 0, err
    facts = json.loads(out)
    assert facts["path"] == str(root / "conll2003_features" / "conll2003-nano_text-embedding.safetensors")
    tokens, labels, metadata = arrays(facts["path"])
    train = sentences(root)
    assert np.array_equal(labels, train.targets)
    with torch.no_grad():
        assert np.allclose(tokens, NanoText().eval().embed_source(torch.from_numpy(train.inputs)).numpy(), atol=1e-6)
    assert metadata["sha256"] == facts["sha256"]
    assert (metadata["num_classes"], metadata["layer"], metadata["backbone"]) == ("8", "embedding", "nano_text")
    assert (facts["examples"], facts["tokens"], facts["width"]) == (len(train), 32, 128)
    assert f"source.path={facts['path']}" in err
    again = pare_bench("data", "build-source")
    assert again[0] == 2
    assert "is there already" in again[2]
    code, out, _ = pare_bench("data", "build-source", "--replace", "--batch-size", "7", "--format", "json")
    assert (code, json.loads(out)["sha256"]) == (0, facts["sha256"])


@pytest.mark.parametrize("layer", ["embedding", "last"])
def test_any_encoder_from_a_folder(pare_bench, root, tmp_path, layer):
    torch.manual_seed(0)
    sizes = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32, "max_position_embeddings": 40}
    folder = tmp_path / "encoder"
    BertModel(BertConfig(vocab_size=4096, **sizes), add_pooling_layer=False).save_pretrained(folder)
    special = {"cls_token": "<s>", "sep_token": "</s>", "pad_token": "<pad>"}
    PreTrainedTokenizerFast(tokenizer_object=bundled_tokenizer(), **special).save_pretrained(folder)
    out = tmp_path / "tokens.safetensors"
    command = ("data", "build-source", "--backbone", "hf_text", "-o", f"model={folder}", "--layer", layer, "--examples", "11", "--out", str(out))
    code, _, err = pare_bench(*command)
    assert code == 0, err
    tokens, labels, metadata = arrays(out)
    train = sentences(root, tokenizer=str(folder), max_samples=11)
    assert len(train) == 11
    assert np.array_equal(labels, train.targets)
    model = AutoModel.from_pretrained(folder).eval()
    with torch.no_grad():
        ids = torch.from_numpy(train.inputs)
        embedded = model.embeddings(input_ids=ids)
        expected = embedded if layer == "embedding" else model.encoder(embedded).last_hidden_state
    assert np.allclose(tokens, expected.numpy(), atol=1e-5)
    assert json.loads(metadata["backbone_params"])["model"] == str(folder)


@pytest.mark.parametrize("method", ["pare", "orca"])
def test_a_run_on_the_built_tokens(pare_bench, root, tmp_path, method):
    file = tmp_path / "tokens.safetensors"
    assert pare_bench("data", "build-source", "--out", str(file))[0] == 0
    options = ("size.train=16", "size.val=8", "size.test=8", "budget.max_steps=2", "source=conll2003_features", f"source.path={file}")
    flags = [flag for option in options for flag in ("-o", option)]
    command = ("run", "--method", method, "--task", "satellite", "--tier", "generated", "--preset", "smoke", "--device", "cpu", *flags)
    code, out, err = pare_bench(*command, "--format", "json", "--out", str(tmp_path / "records"))
    assert code == 0, err
    (record,) = json.loads(out)
    assert record["status"] == "ok"
    assert record["source"]["tier"] == "official"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--task", "cifar10"), 2, "task 'cifar10' is no text to embed"),
        (("--task", "conll2003_features"), 2, "task 'conll2003_features' is no text to embed"),
        (("--task", "satellite"), 2, "task 'satellite' is no text to embed"),
        (("--task", "conll2004"), 2, "did you mean 'conll2003'"),
        (("--backbone", "nano_swin"), 2, "backbone 'nano_swin' takes no text"),
        (("-o", "modl=3"), 2, "backbone 'nano_text' has no parameter 'modl'"),
        (("-o", "recipe.batch_size=3"), 2, "unknown path 'recipe.batch_size'"),
        (("--device", "tpu"), 2, "--device 'tpu' is not a device"),
        (("--examples", "0"), 2, "--examples"),
        (("--out", "/proc/nowhere/x.safetensors"), 5, "'/proc/nowhere/x.safetensors' cannot be written"),
        (("--backbone", "hf_text", "-o", "model=/nowhere"), 3, "no tokenizer '/nowhere'"),
    ],
)
def test_errors_are_one_line(pare_bench, root, arguments, code, message):
    found, out, err = pare_bench("data", "build-source", *arguments)
    assert found == code, err
    assert message in err
    assert out == ""
    assert sum(line.startswith("error: ") for line in err.splitlines()) == 1


def test_without_the_text(pare_bench, tmp_path, monkeypatch):
    monkeypatch.setenv("PARE_BENCH_DATA", str(tmp_path))
    code, _, err = pare_bench("data", "build-source")
    assert code == 3
    assert "task 'conll2003' needs official file 'eng.train'" in err
    assert "pare-bench data fetch conll2003" in err


def test_a_long_run_says_how_much_is_left(pare_bench, root, monkeypatch):
    from pare_bench.cli import progress

    monkeypatch.setattr(progress, "EVERY", 0.0)
    code, _, err = pare_bench("data", "build-source", "--batch-size", "20")
    assert code == 0
    assert "conll2003 with nano_text: 20 of " in err
    assert " s left" in err
