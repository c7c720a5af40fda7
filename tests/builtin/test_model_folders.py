"""Folders of models from outside: what is broken in them is said in one line with exit code 4, and nothing large is allocated to find out."""

from __future__ import annotations

import json
import pickle
import resource
import shutil
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast, SwinConfig, SwinModel

from pare_bench.builtin.backbones.language import HuggingFaceText
from pare_bench.builtin.backbones.swin import HuggingFaceSwin
from pare_bench.builtin.backbones.vision_transformer import TimmVision
from pare_bench.builtin.sources.tokenization import bundled_tokenizer, text_encoder
from pare_bench.errors import DataMissingError, EnvironmentFault, ExitCode, IntegrityError, UsageError

SWIN = {"image_size": 32, "patch_size": 2, "embed_dim": 12, "depths": [1, 2], "num_heads": [2, 3], "window_size": 4}
BERT = {"vocab_size": 60, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24, "max_position_embeddings": 20}
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n"
PAGE = b"<!DOCTYPE html><html><body>Please log in</body></html>"


@pytest.fixture(scope="session")
def originals(tmp_path_factory):
    folder = tmp_path_factory.mktemp("originals")
    SwinModel(SwinConfig(**SWIN), add_pooling_layer=False).save_pretrained(folder / "swin")
    BertModel(BertConfig(**BERT), add_pooling_layer=False).save_pretrained(folder / "bert")
    return folder


@pytest.fixture
def folder(originals, tmp_path):
    """Return ``folder(kind, **changes of config.json)``: a copy of a small model."""

    def make(kind="swin", **changes):
        copy = tmp_path / kind
        shutil.copytree(originals / kind, copy)
        configuration = copy / "config.json"
        configuration.write_text(json.dumps(json.loads(configuration.read_text()) | changes))
        return copy

    return make


def build(path, pretrained=True):
    kind = HuggingFaceText if Path(path).name == "bert" else HuggingFaceSwin
    return kind(kind.Params(model=str(path), pretrained=pretrained)).eval()


def one_line(error, *words):
    assert error.exit_code == ExitCode.INTEGRITY
    assert "\n" not in str(error)
    assert error.hint
    for word in words:
        assert word in str(error)


@pytest.mark.parametrize("kind", ["swin", "bert"])
@pytest.mark.parametrize(
    ("content", "word"),
    [
        (lambda whole: whole[: len(whole) // 2], "is not whole safetensors"),
        (lambda whole: whole + b"more", "is not whole safetensors"),
        (lambda whole: b"", "is empty"),
        (lambda whole: POINTER, "is a Git LFS pointer"),
        (lambda whole: PAGE, "is a web page"),
        (lambda whole: pickle.dumps({"weight": [1.0] * 99}), "is a pickle"),
        (lambda whole: b"\xff" * 64, "is not whole safetensors"),
    ],
)
def test_weights_that_are_none(folder, kind, content, word):
    path = folder(kind)
    weights = path / "model.safetensors"
    weights.write_bytes(content(weights.read_bytes()))
    with pytest.raises(IntegrityError) as caught:
        build(path)
    one_line(caught.value, word, "model.safetensors")
    if kind == "swin":
        with pytest.raises(IntegrityError) as caught:
            TimmVision(TimmVision.Params(model="test_vit", weights=str(path)))
        one_line(caught.value, word, "model.safetensors")


@pytest.mark.parametrize("pretrained", [True, False])
@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"{", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"\xff\xfe", "is not JSON"),
        (b"[]", "holds a list"),
        (b"", "is empty"),
        (POINTER, "is a Git LFS pointer"),
        (PAGE, "is a web page"),
        (b'{"model_type": "swinx"}', "model_type 'swinx'"),
        (b'{"model_type": ["swin"]}', "model_type"),
        (b'{"model_type": "foo", "auto_map": {"AutoConfig": "x.Y"}}', "code of its own"),
    ],
)
def test_configurations_that_are_none(folder, content, word, pretrained):
    path = folder()
    (path / "config.json").write_bytes(content)
    with pytest.raises(IntegrityError) as caught:
        build(path, pretrained)
    one_line(caught.value, word, "config.json")


@pytest.mark.parametrize("pretrained", [True, False])
@pytest.mark.parametrize(
    ("kind", "change", "word"),
    [
        ("swin", {"embed_dim": 10**9}, "embed_dim = 1000000000"),
        ("swin", {"depths": [1, 10**9]}, "depths = 1000000000"),
        ("swin", {"depths": [1] * 2000}, "depths = 2000"),
        ("swin", {"depths": [-1, 2]}, "depths = -1"),
        ("swin", {"patch_size": 0}, "patch_size = 0"),
        ("swin", {"image_size": 33}, "no multiple of patch_size"),
        ("swin", {"image_size": [32, 24, 8]}, "image_size = [32, 24, 8]"),
        ("swin", {"patch_size": [2, 4]}, "square patches"),
        ("swin", {"num_channels": 1}, "num_channels = 1"),
        ("swin", {"num_heads": [5, 7]}, "describes no network that can be computed"),
        ("swin", {"num_heads": [2]}, "describes no network that can be computed"),
        ("swin", {"embed_dim": "twelve"}, "embed_dim"),
        ("swin", {"image_size": float("nan")}, "image_size"),
        ("swin", {"layer_norm_eps": "x"}, "layer_norm_eps"),
        ("swin", {"hidden_act": "nonsense"}, "nonsense"),
        ("swin", {"dtype": "float99"}, "float99"),
        ("swin", {"attn_implementation": "someone/kernel"}, "'someone/kernel', code that is not part of torch"),
        ("swin", {"_attn_implementation": "flash_attention_2"}, "flash_attention_2"),
        ("swin", {"transformers_weights": "other.safetensors"}, "other.safetensors"),
        ("swin", {"quantization_config": {"quant_method": "bitsandbytes", "load_in_8bit": True}}, "quantized"),
        ("bert", {"hidden_size": 10**9}, "hidden_size = 1000000000"),
        ("bert", {"vocab_size": 10**10}, "vocab_size = 10000000000"),
        ("bert", {"num_hidden_layers": 10**8}, "num_hidden_layers = 100000000"),
        ("bert", {"max_position_embeddings": 0}, "max_position_embeddings = 0"),
        ("bert", {"num_attention_heads": 3}, "attention heads"),
        ("bert", {"pad_token_id": 10**8}, "describes no network"),
        ("bert", {"position_embedding_type": "relative_key"}, "relative_key"),
    ],
)
def test_configurations_of_no_network(folder, kind, change, word, pretrained):
    path, began, before = folder(kind, **change), time.monotonic(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(IntegrityError) as caught:
        build(path, pretrained)
    one_line(caught.value, word)
    assert time.monotonic() - began < 10
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000  # kB


def test_a_network_larger_than_the_memory_is_not_begun(folder, monkeypatch):
    import psutil

    path = folder("bert", hidden_size=1 << 18, num_attention_heads=2, intermediate_size=1 << 19)
    with pytest.raises(EnvironmentFault, match=r"describes a network of 4398 GB, and this machine has"):
        build(path, pretrained=False)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: type("Memory", (), {"total": 1 << 60}))
    with pytest.raises(IntegrityError, match=r"lack a part: they hold \d+ numbers"):
        build(path)


@pytest.mark.parametrize(
    ("change", "grid", "out_grid"),
    [
        ({"image_size": [32, 32], "patch_size": [2, 2]}, (16, 16), (8, 8)),
        ({"image_size": [32, 24]}, (16, 12), (8, 6)),
        ({"dtype": "float16"}, (16, 16), (8, 8)),
    ],
)
def test_images_may_be_rectangles(folder, change, grid, out_grid):
    backbone = build(folder(**change))
    assert (backbone.grid, backbone.out_grid, backbone.patch_size) == (grid, out_grid, 2)
    images = torch.rand(2, 3, *backbone.image_size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = backbone.model((images - backbone.mean) / backbone.std).last_hidden_state
        torch.testing.assert_close(backbone(backbone.embed_source(images)), expected)
    assert expected.shape[1] == out_grid[0] * out_grid[1]


@pytest.mark.parametrize(
    ("kind", "change", "word"),
    [
        ("swin", {"depths": [1, 3]}, "lack 17 tensors, first 'encoder.layers.1.blocks.2."),
        ("swin", {"depths": [1, 1]}, "hold a layer that the architecture lacks: tensor 'encoder.layers.1.blocks.1."),
        ("swin", {"embed_dim": 24}, "lack a part"),
        ("swin", {"window_size": 3}, "has [49, 2], its configuration says [25, 2]"),
        ("bert", {"num_hidden_layers": 1}, "hold a layer that the architecture lacks: tensor 'encoder.layer.1."),
        ("bert", {"vocab_size": 61}, "has [60, 16], its configuration says [61, 16]"),
    ],
)
def test_weights_of_another_network(folder, kind, change, word):
    """Seen: with fewer layers in the configuration than in the weights, the network was cut short without a word."""
    with pytest.raises(IntegrityError) as caught:
        build(folder(kind, **change))
    one_line(caught.value, word)


def test_heads_and_poolers_beside_the_body_are_left_alone(folder):
    path = folder("bert")
    state = {name: value.clone() for name, value in load_file(path / "model.safetensors").items()}  # the file is written anew
    extra = {"bert.pooler.dense.weight": torch.ones(16, 16), "cls.predictions.bias": torch.ones(60), "bert.embeddings.position_ids": torch.arange(20)}
    save_file({f"bert.{name}": value for name, value in state.items()} | extra, path / "model.safetensors", metadata={"format": "pt"})
    assert torch.equal(build(path).model.state_dict()["embeddings.LayerNorm.weight"], state["embeddings.LayerNorm.weight"])


def test_tensors_under_other_names_or_without_values(folder):
    path = folder()
    state = {name: value.clone() for name, value in load_file(path / "model.safetensors").items()}
    save_file({f"other.{name}": value for name, value in state.items()}, path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(IntegrityError, match="lack 60 tensors"):
        build(path)
    state["layernorm.bias"][0] = float("nan")
    save_file(state, path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(IntegrityError, match=r"'layernorm\.bias' holds values that are not finite"):
        build(path)


def test_an_adapter_is_not_applied(folder):
    path = folder()
    (path / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "someone/else", "peft_type": "LORA"}))
    with pytest.raises(IntegrityError, match="is an adapter"):
        build(path)


def test_code_beside_a_model_never_runs_and_that_is_said(folder, tmp_path):
    path = folder(auto_map={"AutoConfig": "configuration_swin.Own", "AutoModel": "modeling_swin.Own"})
    for name in ("configuration_swin.py", "modeling_swin.py"):
        (path / name).write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    with pytest.warns(UserWarning, match="names code of its own"):
        build(path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("index", "error", "word"),
    [
        ("[]", IntegrityError, "holds a list"),
        ("{", IntegrityError, "is not JSON"),
        ("{}", IntegrityError, "no 'weight_map'"),
        ('{"weight_map": {"a": 3}}', IntegrityError, "no 'weight_map'"),
        ('{"weight_map": {"a": "../swin/model.safetensors"}}', IntegrityError, "which is no safetensors file beside it"),
        ('{"weight_map": {"a": "pytorch_model.bin"}}', IntegrityError, "which is no safetensors file beside it"),
        ('{"weight_map": {"a": "model-1.safetensors"}}', DataMissingError, "has no model-1.safetensors"),
    ],
)
def test_models_in_several_files(folder, index, error, word):
    path = folder()
    (path / "model.safetensors").unlink()
    (path / "model.safetensors.index.json").write_text(index)
    params = HuggingFaceSwin.Params(model=str(path))
    for act in (lambda: HuggingFaceSwin(params), lambda: HuggingFaceSwin.weights_digest(params)):
        with pytest.raises(error, match=word):
            act()


@pytest.mark.parametrize(
    ("model", "error", "word"),
    [
        ("a b", UsageError, "neither a folder nor a name that a hub can have"),
        ("", UsageError, "neither a folder"),
        ("hf_hub:timm/x", UsageError, "neither a folder"),
        ("x" * 5000, UsageError, "neither a folder"),
        ("./nowhere", DataMissingError, "there is no such folder"),
        ("~/nowhere", DataMissingError, "there is no such folder"),
        ("a/b/c", DataMissingError, "there is no such folder"),
        ("some/name", DataMissingError, "no hub is asked"),
    ],
)
def test_names_that_lead_nowhere(model, error, word, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    for act in (
        lambda: HuggingFaceSwin(HuggingFaceSwin.Params(model=model)),
        lambda: HuggingFaceText.weights_digest(HuggingFaceText.Params(model=model)),
        lambda: TimmVision(TimmVision.Params(model="test_vit", weights=model)),
        lambda: text_encoder(model),
    ):
        with pytest.raises(error, match=word):
            act()


@pytest.mark.parametrize(("model", "size"), [("test_vit", 1), ("test_vit", 65), ("swin_tiny_patch4_window7_224", 3), ("swinv2_tiny_window8_256", 1)])
def test_sizes_that_timm_cannot_compute(model, size):
    with pytest.raises(UsageError, match=f"timm model '{model}' cannot be .* image size {size}: "):
        TimmVision(TimmVision.Params(model=model, image_size=size))


def test_unknown_tags_and_foreign_checkpoints_of_timm(folder):
    with pytest.raises(UsageError, match="tag"):
        TimmVision(TimmVision.Params(model="vit_base_patch16_224.augreg"))
    with pytest.raises(IntegrityError, match="do not fit the architecture"):
        TimmVision(TimmVision.Params(model="swin_tiny_patch4_window7_224", weights=str(folder())))


@pytest.fixture(scope="session")
def tokenizer(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokenizer")
    special = {"cls_token": "<s>", "sep_token": "</s>", "pad_token": "<pad>"}
    PreTrainedTokenizerFast(tokenizer_object=bundled_tokenizer(), **special).save_pretrained(folder)
    return folder


@pytest.mark.parametrize(
    ("file", "content", "word"),
    [
        ("tokenizer.json", b"", "is empty"),
        ("tokenizer.json", b"[]", "cannot be loaded"),
        ("tokenizer.json", b'{"version": "1.0",', "cannot be loaded"),
        ("tokenizer.json", POINTER, "Git LFS pointer"),
        ("tokenizer.json", PAGE, "is a web page"),
        ("tokenizer_config.json", b"{", "cannot be loaded"),
        ("tokenizer_config.json", b"[]", "cannot be loaded"),
        ("tokenizer_config.json", b'{"tokenizer_class": "Own", "auto_map": {"AutoTokenizer": ["own.Own", null]}}', "cannot be loaded"),
        ("config.json", POINTER, "Git LFS pointer"),
    ],
)
def test_tokenizers_that_are_none(tokenizer, tmp_path, file, content, word):
    shutil.copytree(tokenizer, tmp_path / "copy")
    assert text_encoder(str(tmp_path / "copy")).encode(["a b"])[0]
    (tmp_path / "copy" / file).write_bytes(content)
    with pytest.raises(IntegrityError) as caught:
        text_encoder(str(tmp_path / "copy"))
    one_line(caught.value, word)


def test_a_folder_without_tokenizer(folder):
    with pytest.raises(DataMissingError, match=r"there is no tokenizer\.json or vocab\.json"):
        text_encoder(str(folder("bert")))


def test_a_broken_folder_ends_a_run_with_four(pare_bench, folder, tmp_path):
    path = folder()
    (path / "model.safetensors").write_bytes(POINTER)
    small = (
        "-o",
        "size.train=8",
        "-o",
        "size.val=4",
        "-o",
        "size.test=4",
        "-o",
        "budget.epochs=1",
        "--preset",
        "smoke",
        "--out",
        str(tmp_path / "out"),
    )
    chosen = ("-o", "backbone=hf_swin", "-o", f"backbone.model={path}")
    code, _, err = pare_bench("run", "--method", "full_finetune", "--task", "cifar100", "--fail-fast", *small, *chosen)
    lines = [line for line in err.splitlines() if line.startswith(("error:", "hint:", "Traceback"))]
    assert (code, lines) == (
        4,
        [f"error: '{path}/model.safetensors' is a Git LFS pointer, not the file itself", "hint: run in its folder: git lfs pull"],
    )
