"""Datasets of an HDF5 file that nobody vouches for: hard links, real numbers, values stored in the file itself, all of them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pare_bench.errors import IntegrityError

if TYPE_CHECKING:
    import h5py

#: Filters that are part of every h5py: deflate, shuffle, checksum, LZF. Others would be loaded from a plugin folder.
_FILTERS = (1, 2, 3, 32000)
#: Bytes of values per byte in the file beyond which a compressed dataset is a bomb; deflate cannot exceed 1032.
_LARGEST_RATIO = 200
_ALWAYS_ALLOWED = 64 << 20
_LARGEST_CHUNK = 1 << 30
_SHOWN = 8


def subgroup(parent: h5py.Group, name: str, path: Path) -> h5py.Group:
    """Return the group ``name`` of ``parent``.

    Raises:
        IntegrityError: it is not there, is a link or is no group.
    """
    import h5py

    item = _item(parent, name, path, "group")
    if not isinstance(item, h5py.Group):
        raise IntegrityError(f"'{path}': '{_full(parent, name)}' is a dataset, expected a group")
    return item


def dataset(parent: h5py.Group, name: str, path: Path, axes: tuple[str, ...]) -> h5py.Dataset:
    """Return the dataset ``name`` of ``parent`` with one axis for each name in ``axes``; none of its values are read.

    Raises:
        IntegrityError: it is not there, is a link, is no array of real numbers with these axes, has its values elsewhere or not at all.
    """
    import h5py

    item, shown = _item(parent, name, path, "dataset"), f"'{path}': dataset '{_full(parent, name)}'"
    if not isinstance(item, h5py.Dataset):
        raise IntegrityError(f"'{path}': '{_full(parent, name)}' is no dataset, expected numbers ({', '.join(axes)})")
    if item.is_virtual or item.external:
        raise IntegrityError(f"{shown} has its values in other files, expected them here")
    if item.dtype.kind != "f":
        raise IntegrityError(f"{shown} is {item.dtype}, expected real numbers")
    if item.shape is None or len(item.shape) != len(axes) or 0 in item.shape:
        raise IntegrityError(f"{shown} has shape {item.shape}, expected ({', '.join(axes)})")
    _check_storage(item, shown)
    return item


def values(item: h5py.Dataset, where: Any, path: Path) -> NDArray[np.float32]:
    """Return ``item[where]`` as float32.

    Raises:
        IntegrityError: a value is not finite.
    """
    with np.errstate(over="ignore"):
        result = np.asarray(item[where]).astype(np.float32)
    if not np.isfinite(result).all():
        place = tuple(int(index) for index in np.argwhere(~np.isfinite(result))[0])
        raise IntegrityError(f"'{path}': dataset '{on_one_line(item.name)}' has values that are not finite (at {place} of [{_selection(where)}])")
    return result


def _selection(where: Any) -> str:
    parts = where if isinstance(where, tuple) else (where,)
    return ", ".join(f"{part.start or 0}:{part.stop or ''}" if isinstance(part, slice) else str(part) for part in parts)


def _item(parent: h5py.Group, name: str, path: Path, kind: str) -> h5py.Group | h5py.Dataset:
    import h5py

    if not parent.id.links.exists(name.encode()):
        names = [on_one_line(found) for found, _ in zip(parent, range(_SHOWN + 1), strict=False)]
        has = ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
        raise IntegrityError(f"'{path}' has no {kind} '{_full(parent, name)}'; it has {has or 'none'}")
    if parent.id.links.get_info(name.encode()).type != h5py.h5l.TYPE_HARD:
        raise IntegrityError(f"'{path}': '{_full(parent, name)}' is a link to another place, expected the {kind} itself")
    return parent[name]


def _check_storage(item: h5py.Dataset, shown: str) -> None:
    plan = item.id.get_create_plist()
    strange = [plan.get_filter(index)[0] for index in range(plan.get_nfilters()) if plan.get_filter(index)[0] not in _FILTERS]
    if strange:
        raise IntegrityError(f"{shown} is compressed with HDF5 filter {strange[0]}, expected none or deflate, shuffle, fletcher32, lzf")
    size, stored = item.size * item.dtype.itemsize, item.id.get_storage_size()
    if item.chunks is not None:
        if math.prod(item.chunks) * item.dtype.itemsize > _LARGEST_CHUNK:
            raise IntegrityError(f"{shown} has chunks of shape {item.chunks}, more than 1 GB each")
        needed = math.prod(-(-length // chunk) for length, chunk in zip(item.shape, item.chunks, strict=True))
        if item.id.get_num_chunks() != needed:
            raise IntegrityError(f"{shown} has {item.id.get_num_chunks()} of its {needed} chunks, the others were never written")
        if size > max(_LARGEST_RATIO * stored, _ALWAYS_ALLOWED):
            raise IntegrityError(f"{shown} announces {size} bytes of values in {stored} bytes of file")
    elif stored < size:
        raise IntegrityError(f"{shown} announces {size} bytes of values, {stored} are in the file")


def _full(parent: h5py.Group, name: str) -> str:
    return on_one_line(f"{parent.name}/{name}")


def on_one_line(name: str | None) -> str:
    """Return a name from the file on one line, not too long."""
    plain = "".join(character if character.isprintable() else "?" for character in (name or "").lstrip("/"))
    return plain if len(plain) <= 80 else f"{plain[:77]}..."
