"""Registers the bundled backbones and the adapters to timm and transformers."""

from __future__ import annotations

from pare_bench.registry.specs import BackboneSpec

_HERE = "pare_bench.builtin.backbones"
BACKBONES = (
    BackboneSpec(
        name="nano_swin", summary="bundled Swin of 0.5 M weights, pretrained on drawn images", target=f"{_HERE}.swin:NanoSwin", modality="image"
    ),
    BackboneSpec(
        name="hf_swin",
        summary="Swin from transformers (hub id or folder)",
        target=f"{_HERE}.swin:HuggingFaceSwin",
        modality="image",
        learning_rate=f"{_HERE}.rates:of_swin",
    ),
    BackboneSpec(
        name="timm",
        summary="any Swin or ViT of timm",
        target=f"{_HERE}.vision_transformer:TimmVision",
        modality="image",
        learning_rate=f"{_HERE}.rates:of_timm",
    ),
    BackboneSpec(
        name="nano_text",
        summary="bundled RoBERTa-like encoder, pretrained on documentation prose",
        target=f"{_HERE}.language:NanoText",
        modality="sequence",
    ),
    BackboneSpec(
        name="hf_text",
        summary="BERT- or RoBERTa-like encoder from transformers (short name, hub id or folder)",
        target=f"{_HERE}.language:HuggingFaceText",
        modality="sequence",
        learning_rate=f"{_HERE}.rates:of_text",
        models="pare_bench.builtin.fetching:MODELS",
    ),
)
