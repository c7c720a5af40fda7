"""Tokenizers of text proxies: any backbone's own, reduced to what windows of token ids need."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from tokenizers import Tokenizer

from pare_bench.builtin.hub_files import check_content, find_all, folder_of
from pare_bench.errors import DataMissingError, IntegrityError, UsageError


@dataclass(frozen=True)
class Encoder:
    """``encode`` gives the ids of each text without special tokens; the other fields are ids: before, after and behind a text."""

    encode: Callable[[list[str]], list[list[int]]]
    opening: int
    closing: int
    padding: int


#: What the parameter ``tokenizer`` of a text source means.
TOKENIZER = "nano_text, or hub id or folder of a tokenizer; null: that of the run's backbone, and nano_text where no backbone is at work"
#: Endings of the files in a model's folder that may belong to its tokenizer, and their names on a hub: first those of which one must be there.
_TOKENIZER = frozenset({".json", ".txt", ".model"})
_VOCABULARIES = ("tokenizer.json", "vocab.json", "vocab.txt", "sentencepiece.bpe.model", "spiece.model")
_HUB_TOKENIZER = (*_VOCABULARIES, "tokenizer_config.json", "merges.txt", "special_tokens_map.json", "added_tokens.json", "config.json")
#: A vocabulary of a million words is smaller.
_LARGEST_FILE = 1 << 28


def bundled_tokenizer() -> Tokenizer:
    """Return the tokenizer of ``nano_text``.

    Raises:
        DataMissingError: it is not in this installation.
        IntegrityError: its digest is not the one on the model card.

    """
    folder = files("pare_bench") / "data" / "weights"
    try:
        text = (folder / "nano_text_tokenizer.json").read_bytes()
        card = json.loads((folder / "nano_text.json").read_bytes())
    except FileNotFoundError as error:
        raise DataMissingError(f"bundled file '{error.filename}' is missing", hint="reinstall pare-bench") from error
    if hashlib.sha256(text).hexdigest() != card["tokenizer_sha256"]:
        raise IntegrityError("bundled file 'nano_text_tokenizer.json' does not have the digest on its card", hint="reinstall pare-bench")
    return Tokenizer.from_str(text.decode())


def tokenizer_files(name: str | None) -> tuple[Path, ...]:
    """Return the files of a tokenizer: ``"nano_text"`` or None, a folder, or what of a hub id is on this machine."""
    if name in (None, "nano_text"):
        folder = Path(str(files("pare_bench") / "data" / "weights"))
        return folder / "nano_text_tokenizer.json", folder / "nano_text.json"
    if (own := folder_of(name)) is not None:
        return tuple(sorted(path for path in own.iterdir() if path.suffix in _TOKENIZER and path.is_file()))
    from huggingface_hub import try_to_load_from_cache

    found = (try_to_load_from_cache(name, file) for file in _HUB_TOKENIZER)
    return tuple(Path(path) for path in found if isinstance(path, str))


def text_encoder(name: str | None) -> Encoder:
    """Return the encoder of a tokenizer: ``"nano_text"`` or None, a hub id or a local folder.

    Raises:
        DataMissingError: the tokenizer is not on this machine and not to be had.
        IntegrityError: its files are damaged, or it needs code of its own, which is never run.
        UsageError: it has no tokens that open and close a text, or ``name`` is no name that a hub can have.

    """
    if name in (None, "nano_text"):
        bundled = bundled_tokenizer()
        ids = bundled.get_vocab()
        return Encoder(lambda texts: [encoding.ids for encoding in bundled.encode_batch(texts)], ids["<s>"], ids["</s>"], ids["<pad>"])
    folder = _folder(name)
    from transformers import AutoTokenizer

    try:
        loaded = AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    # Transformers and tokenizers raise errors of many types, Exception itself among them, for what is one fact here.
    except Exception as error:
        reason = " ".join(str(error).split())[:300] or "it is none of transformers' own"
        message = f"tokenizer '{name}' cannot be loaded: {type(error).__name__}: {reason}"
        raise IntegrityError(message, hint=f"fetch {', '.join(_HUB_TOKENIZER[:2])} and the like again, or choose another tokenizer") from error
    if loaded.cls_token_id is None or loaded.sep_token_id is None:
        raise UsageError(f"tokenizer '{name}' has no opening and closing token", hint="choose the tokenizer of a BERT- or RoBERTa-like encoder")
    # Whoever needs padding and has no token for it repeats the closing one.
    padding = loaded.sep_token_id if loaded.pad_token_id is None else loaded.pad_token_id
    return Encoder(lambda texts: loaded(texts, add_special_tokens=False)["input_ids"], loaded.cls_token_id, loaded.sep_token_id, padding)


def _folder(name: str) -> Path:
    """Return the folder on this machine that holds the files of a tokenizer.

    Raises:
        DataMissingError: it is not on this machine and not to be had.
        IntegrityError: a file is no vocabulary, but what stands for one or a web page, or far too large.

    """
    found = find_all(name, _HUB_TOKENIZER, what="tokenizer")
    if not {path.name for path in found} & set(_VOCABULARIES):
        raise DataMissingError(
            f"no tokenizer '{name}' on this machine or the hub: there is no {' or '.join(_VOCABULARIES)}",
            hint="give the folder of a model that was saved with its tokenizer (tokenizer.save_pretrained(FOLDER))",
        )
    for path in found:
        check_content(path, largest=_LARGEST_FILE)
    return found[0].parent
