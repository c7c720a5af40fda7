"""Vision backbones: split where tokens are embedded, they still compute what the library's own network computes."""

from __future__ import annotations

import json
import shutil
from importlib.resources import files
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import load_file, save_file
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch.testing import assert_close
from transformers import BertConfig, SwinConfig, SwinModel

from pare_bench.builtin.backbones.swin import MEAN, STD, HuggingFaceSwin, NanoSwin, published_config
from pare_bench.builtin.backbones.vision_transformer import TimmVision
from pare_bench.builtin.backbones.weights import bundled_digest, file_digest, load_bundled
from pare_bench.builtin.suites.nas360.cifar100 import Cifar100
from pare_bench.contracts.backbone import Backbone
from pare_bench.contracts.task import TaskSize
from pare_bench.datasets.simulated import generate_splits
from pare_bench.errors import DataMissingError, IntegrityError, UnknownNameError, UsageError
from pare_bench.pretraining import vision
from pare_bench.pretraining.vision import Recipe
from pare_bench.pretraining.vision_scores import digits_probe

SMALL_SWIN = {"image_size": 32, "patch_size": 2, "embed_dim": 12, "depths": [1, 2], "num_heads": [2, 3], "window_size": 4}


def shaken(model: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    """Give every weight a random value, so that biases, norms and positions differ from their initial constants."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_(torch.randn(weight.shape, generator=generator) * 0.2)
    return model


@pytest.fixture
def hf_folder(tmp_path: Path) -> Path:
    model = shaken(SwinModel(SwinConfig(**SMALL_SWIN, use_absolute_embeddings=True), add_pooling_layer=False))
    model.save_pretrained(tmp_path / "swin")
    return tmp_path / "swin"


def tiny_backbone(name: str, hf_folder: Path) -> Backbone:
    match name:
        case "nano_last":
            return NanoSwin()
        case "nano_all":
            return NanoSwin(NanoSwin.Params(stages="all"))
        case "nano_112":
            return NanoSwin(NanoSwin.Params(image_size=112))
        case "hf":
            return HuggingFaceSwin(HuggingFaceSwin.Params(model=str(hf_folder)))
    model = {"vit": "test_vit", "vit_registers": "test_vit3", "swin": "swin_tiny_patch4_window7_224"}[name]
    return shaken(TimmVision(TimmVision.Params(model=model, image_size=64)))


def library_features(backbone: Backbone, images: torch.Tensor) -> torch.Tensor:
    """Run the library's own forward pass on images of the model's size."""
    if isinstance(backbone, NanoSwin):
        return backbone.swin.forward_features((images - MEAN) / STD).flatten(1, 2)
    normalised = (images - backbone.mean) / backbone.std
    if isinstance(backbone, HuggingFaceSwin):
        return backbone.model(normalised).last_hidden_state
    features = backbone.model.forward_features(normalised)
    return features.flatten(1, 2) if features.ndim == 4 else features[:, backbone.model.num_prefix_tokens :]


@pytest.mark.parametrize("name", ["nano_last", "nano_all", "nano_112", "hf", "vit", "vit_registers", "swin"])
def test_contract_of_every_backbone(name: str, hf_folder: Path) -> None:
    backbone = tiny_backbone(name, hf_folder).eval()
    size = backbone.image_size if isinstance(backbone.image_size, tuple) else (backbone.image_size,) * 2
    images = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(1))
    tokens = backbone.embed_source(images)
    assert tokens.shape == (2, backbone.grid[0] * backbone.grid[1], backbone.dim)
    features = backbone(tokens)
    assert features.shape == (2, backbone.out_grid[0] * backbone.out_grid[1], backbone.feats)

    # Embedding and body together are the library's network.
    if name == "nano_all":
        last = library_features(backbone, images).unflatten(1, (7, 7)).permute(0, 3, 1, 2)
        again = torch.nn.functional.interpolate(last, (14, 14), mode="bilinear").flatten(2).transpose(1, 2)
        assert_close(features[..., 64:], again, atol=1e-5, rtol=1e-5)
    else:
        assert_close(features, library_features(backbone, images), atol=1e-5, rtol=1e-5)

    # Other sizes are resized; the content decides, not the number of pixels.
    assert backbone.embed_source(images[..., :20, :31]).shape == tokens.shape
    assert_close(backbone.embed_source(torch.full((1, 3, 9, 13), 0.4)), backbone.embed_source(torch.full((1, 3, *size), 0.4)), atol=1e-4, rtol=1e-4)

    # The embedder's weights, applied by hand, embed alike, and are copies.
    weights = backbone.embedder_weights()
    mean = MEAN if isinstance(backbone, NanoSwin) else backbone.mean
    std = STD if isinstance(backbone, NanoSwin) else backbone.std
    patch = backbone.patch_size
    assert weights["weight"].shape == (backbone.dim, 3, patch, patch)
    by_hand = torch.nn.functional.conv2d((images - mean) / std, weights["weight"], weights["bias"], stride=patch).flatten(2).transpose(1, 2)
    if name.startswith("vit"):
        by_hand = by_hand + weights["position"]
    else:
        by_hand = torch.nn.functional.layer_norm(by_hand, (backbone.dim,), weights["norm_weight"], weights["norm_bias"]) + weights.get("position", 0)
    assert_close(by_hand, tokens, atol=1e-4, rtol=1e-4)
    for weight in weights.values():
        weight.add_(1.0)
    assert_close(backbone.embed_source(images), tokens)

    # A loss on the features reaches the first token.
    entering = tokens.detach().requires_grad_()
    backbone(entering).square().sum().backward()
    assert entering.grad[:, 0].abs().max() > 0

    # From scratch: every weight that is drawn at random is another one, and the seed decides which.
    before = {key: value.clone() for key, value in backbone.state_dict().items()}
    torch.manual_seed(7)
    backbone.reinitialise()
    first = {key: value.clone() for key, value in backbone.state_dict().items()}
    unchanged = [key for key in before if torch.equal(before[key], first[key])]
    assert unchanged == []
    assert first.keys() == before.keys()
    assert not torch.allclose(backbone.embed_source(images), tokens)
    assert not backbone.training
    torch.manual_seed(7)
    backbone.reinitialise()
    assert all(torch.equal(first[key], value) for key, value in backbone.state_dict().items())


def test_nano_swin_loads_its_bundle_without_touching_the_random_stream() -> None:
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    backbone = NanoSwin()
    assert torch.equal(torch.rand(1), expected)
    stored = load_file(files("pare_bench") / "data" / "weights" / "nano_swin.safetensors")
    assert {value.dtype for value in stored.values()} == {torch.float16}
    for name, value in backbone.state_dict().items():
        assert value.dtype == torch.float32
        assert torch.equal(value, stored[name].float())
    assert NanoSwin.weights_digest(NanoSwin.Params()) == bundled_digest("nano_swin")
    assert NanoSwin.weights_digest(NanoSwin.Params(pretrained=False)) == ""


def test_larger_images_have_more_windows_of_the_same_weights() -> None:
    """Four small images side by side: what no window spans is the same, which is what the first block sees."""
    small, large = NanoSwin().eval(), NanoSwin(NanoSwin.Params(image_size=112, stages="all")).eval()
    images = torch.rand(4, 3, 56, 56, generator=torch.Generator().manual_seed(1))
    joined = torch.cat([torch.cat(list(images[:2]), 2), torch.cat(list(images[2:]), 2)], 1)[None]
    assert (large.grid, large.out_grid, large.feats) == ((28, 28), (28, 28), 192)
    one, four = small.swin.layers[0].blocks[0], large.swin.layers[0].blocks[0]
    apart = one(small.embed_source(images).unflatten(1, (14, 14)))
    together = four(large.embed_source(joined).unflatten(1, (28, 28)))
    assert_close(together[0, :14, 14:], apart[1], atol=1e-5, rtol=1e-5)
    assert_close(together[0, 14:, :14], apart[2], atol=1e-5, rtol=1e-5)


def test_drop_path_acts_only_while_training() -> None:
    backbone = NanoSwin(NanoSwin.Params(drop_path=0.5))
    tokens = torch.randn(4, 196, 64)
    backbone.train()
    assert not torch.equal(backbone(tokens), backbone(tokens))
    backbone.eval()
    assert torch.equal(backbone(tokens), NanoSwin().eval()(tokens))


def test_changed_weights_and_missing_weights_are_named(tmp_path: Path) -> None:
    for suffix in ("json", "safetensors"):
        shutil.copy(files("pare_bench") / "data" / "weights" / f"nano_swin.{suffix}", tmp_path)
    assert load_bundled("nano_swin", tmp_path).keys() == NanoSwin().state_dict().keys()
    weights = tmp_path / "nano_swin.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(IntegrityError, match="sha256"):
        load_bundled("nano_swin", tmp_path)
    weights.unlink()
    with pytest.raises(DataMissingError, match=r"nano_swin\.safetensors"):
        load_bundled("nano_swin", tmp_path)
    (tmp_path / "nano_swin.json").write_text("{}")
    with pytest.raises(IntegrityError, match="sha256"):
        bundled_digest("nano_swin", tmp_path)


def test_card_tells_the_recipe_that_the_command_runs() -> None:
    card = json.loads((files("pare_bench") / "data" / "weights" / "nano_swin.json").read_text())
    recipe = {key: value for key, value in card["recipe"].items() if key != "command"}
    assert Recipe(**recipe) == Recipe()
    assert card["steps_done"] == Recipe().steps
    assert card["architecture"]["parameters"] == sum(weight.numel() for weight in NanoSwin().parameters())


def test_pretrained_features_beat_random_ones_on_digits() -> None:
    torch.manual_seed(0)
    random = NanoSwin(NanoSwin.Params(pretrained=False))
    assert digits_probe(NanoSwin(), 200, 0) >= digits_probe(random, 200, 0) + 0.1


def test_pretrained_features_beat_well_scaled_random_ones_on_cluttered_images() -> None:
    """Against the recipe's own initial distribution, so that the gain is what was learned and not how the weights are scaled."""
    data = generate_splits(Cifar100(), 0, TaskSize(300, 1, 300), workers=1)
    images, labels = ({part: getattr(getattr(data, part), what) for part in ("train", "test")} for what in ("inputs", "targets"))
    low, high = images["train"].min(), images["train"].max()

    @torch.no_grad()
    def score(backbone: NanoSwin) -> float:
        def features(part: str) -> torch.Tensor:
            scaled = torch.from_numpy((images[part] - low) / (high - low)).float()
            return backbone.eval()(backbone.embed_source(scaled)).mean(1)

        probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=300, C=0.1)).fit(features("train"), labels["train"] % 10)
        return probe.score(features("test"), labels["test"] % 10)

    untrained = NanoSwin(NanoSwin.Params(pretrained=False))
    untrained.load_state_dict(vision.build(Recipe())[0].backbone.state_dict())
    assert score(NanoSwin()) >= score(untrained) + 0.3


def test_hf_swin_refuses_what_it_cannot_load(hf_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    params = HuggingFaceSwin.Params(model=str(hf_folder))
    assert HuggingFaceSwin.weights_digest(params) == file_digest(hf_folder / "model.safetensors")
    with pytest.raises(DataMissingError, match="no configuration"):
        HuggingFaceSwin(HuggingFaceSwin.Params(model=str(tmp_path / "nowhere")))
    BertConfig(hidden_size=8, num_attention_heads=2).save_pretrained(tmp_path / "bert")
    with pytest.raises(UsageError, match="'bert'"):
        HuggingFaceSwin(HuggingFaceSwin.Params(model=str(tmp_path / "bert")))
    state = load_file(hf_folder / "model.safetensors")
    state.pop("layernorm.weight")
    save_file(state, hf_folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(IntegrityError, match=r"layernorm\.weight"):
        HuggingFaceSwin(params)
    # A pickle next to the configuration is never opened.
    (hf_folder / "model.safetensors").unlink()
    torch.save(state, hf_folder / "pytorch_model.bin")
    with pytest.raises(DataMissingError, match="safetensors"):
        HuggingFaceSwin(params)
    assert HuggingFaceSwin.weights_digest(HuggingFaceSwin.Params(pretrained=False)) == ""


def test_published_swin_base_is_known_without_network() -> None:
    config = published_config("microsoft/swin-base-patch4-window7-224-in22k")
    assert (config.embed_dim, config.depths, config.num_heads, config.hidden_size) == (128, [2, 2, 18, 2], [4, 8, 16, 32], 1024)
    with torch.device("meta"):
        model = SwinModel(config, add_pooling_layer=False)
    # Liu et al., Table 1: 88 M with the 1,000-class head (1.025 M).
    assert sum(weight.numel() for weight in model.parameters()) == pytest.approx(86.7e6, rel=0.01)
    assert published_config("someone/else") is None


def test_timm_loads_safetensors_files_and_folders_only(tmp_path: Path) -> None:
    donor = shaken(timm.create_model("test_vit", num_classes=5))
    save_file(donor.state_dict(), tmp_path / "model.safetensors")
    images = torch.rand(1, 3, 160, 160)
    for weights in (tmp_path, tmp_path / "model.safetensors"):
        params = TimmVision.Params(model="test_vit", weights=str(weights))
        backbone = TimmVision(params).eval()
        expected = donor.eval().forward_features((images - backbone.mean) / backbone.std)[:, 1:]
        assert_close(backbone(backbone.embed_source(images)), expected, atol=1e-5, rtol=1e-5)
        assert TimmVision.weights_digest(params) == file_digest(tmp_path / "model.safetensors")
    state = donor.state_dict()
    state.pop("blocks.0.attn.qkv.weight")
    save_file(state, tmp_path / "short.safetensors")
    with pytest.raises(IntegrityError, match=r"blocks\.0\.attn\.qkv\.weight"):
        TimmVision(TimmVision.Params(model="test_vit", weights=str(tmp_path / "short.safetensors")))
    torch.save(state, tmp_path / "pickle.pth")
    with pytest.raises(DataMissingError, match=r"pickle\.pth"):
        TimmVision(TimmVision.Params(model="test_vit", weights=str(tmp_path / "pickle.pth")))
    with pytest.raises(UnknownNameError, match="vit_base_patch16_224"):
        TimmVision(TimmVision.Params(model="vit_base_patch16_224x"))
    with pytest.raises(UsageError, match="ResNet"):
        TimmVision(TimmVision.Params(model="test_resnet"))
