"""Fixtures that several integration tests share."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session")
def shallow(tmp_path_factory):
    """Folders with configurations of the published families and widths at one layer a stage."""
    from transformers import RobertaConfig, SwinConfig

    folder = tmp_path_factory.mktemp("architectures")
    SwinConfig(embed_dim=96, depths=[1, 1, 1, 1]).save_pretrained(folder / "swin")
    RobertaConfig(num_hidden_layers=1, max_position_embeddings=514, type_vocab_size=1, layer_norm_eps=1e-5).save_pretrained(folder / "roberta")
    return folder
