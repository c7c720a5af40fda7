"""Reader of the published Darcy files: MATLAB files of the Fourier neural operator, of which every fifth point is kept."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pare_bench.errors import IntegrityError

FIELDS = ("coeff", "sol")
SIDE = 421
EVERY = 5


def subsampled(sources: Sequence[Path]) -> dict[str, NDArray[np.generic]]:
    """Return ``coeff`` and ``sol`` float32 ``[n 85 85]`` of one file, every fifth point of both axes; a converter.

    MATLAB 5 files (scipy) and MATLAB 7.3 files (HDF5, where MATLAB stores the axes in reverse order) are read. One field is in memory at a
    time (1.45 GB of a MATLAB 5 file with 1,024 samples in double precision); of HDF5 only the points that are kept.

    Raises:
        IntegrityError: not a MATLAB file, truncated, a field is missing, has another shape or type, or values that are not finite.
    """
    import h5py

    (path,) = sources
    read = _matlab_73 if h5py.is_hdf5(path) else _matlab_5
    fields: dict[str, NDArray[np.generic]] = {name: _checked(path, name, read(path, name)) for name in FIELDS}
    if len(fields["coeff"]) != len(fields["sol"]):
        raise IntegrityError(f"'{path.name}' has {len(fields['coeff'])} samples of 'coeff' and {len(fields['sol'])} of 'sol'")
    return fields


def _matlab_5(path: Path, name: str) -> NDArray[np.generic]:
    from scipy.io import loadmat, whosmat
    from scipy.io.matlab import MatReadError

    try:
        # The header alone, so that a wrong file is not read whole first.
        shapes = {found: shape for found, shape, _ in whosmat(path)}
        _check_shape(path, name, shapes)
        values = loadmat(path, variable_names=[name])[name]
    except (MatReadError, OSError, ValueError, TypeError, KeyError, EOFError, NotImplementedError, MemoryError, zlib.error) as error:
        raise IntegrityError(f"'{path.name}' cannot be read as a MATLAB file, it may be truncated: {error}") from error
    return np.array(values[:, ::EVERY, ::EVERY])


def _matlab_73(path: Path, name: str) -> NDArray[np.generic]:
    import h5py

    try:
        with h5py.File(path, "r") as file:
            shapes = {found: item.shape[::-1] for found, item in file.items() if isinstance(item, h5py.Dataset)}
            _check_shape(path, name, shapes)
            # MATLAB's (sample, row, column) is (column, row, sample) in the file.
            return np.asarray(file[name][::EVERY, ::EVERY, :]).T
    except (OSError, ValueError, TypeError, KeyError, RuntimeError) as error:
        raise IntegrityError(f"'{path.name}' cannot be read as a MATLAB 7.3 (HDF5) file, it may be truncated: {error}") from error


def _check_shape(path: Path, name: str, shapes: dict[str, tuple[int, ...]]) -> None:
    if name not in shapes:
        raise IntegrityError(f"'{path.name}' has no field '{name}'; it has {', '.join(sorted(shapes)) or 'none'}")
    if len(shapes[name]) != 3 or shapes[name][1:] != (SIDE, SIDE):
        raise IntegrityError(f"field '{name}' of '{path.name}' has shape {shapes[name]}, expected (samples, {SIDE}, {SIDE})")


def _checked(path: Path, name: str, values: NDArray[np.generic]) -> NDArray[np.float32]:
    if values.dtype.kind not in "fiu":
        raise IntegrityError(f"field '{name}' of '{path.name}' is {values.dtype}, expected real numbers")
    result = np.ascontiguousarray(values, dtype=np.float32)
    if not np.isfinite(result).all():
        raise IntegrityError(f"field '{name}' of '{path.name}' has values that are not finite")
    return result
