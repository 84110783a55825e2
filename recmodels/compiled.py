"""Machine code for the loops of `recmodels.kernels`: compiled once, kept on disk, and run from there.

What is kept loads in a twentieth of a second, because numba, which compiles, is imported only where nothing is kept:
at the first run, and when the loops, the compiler or the processor are other ones.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from ctypes import CFUNCTYPE, c_float, c_int64, c_void_p
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

SIGNATURES = {
    "pair_dots": "FIFIFwww",
    "add_pairs": "FIFIFFIFIrrwww",
    "add_lists": "FIIFFww",
    "add_rows": "FIFww",
    "adam": "FFFFrrrrrrw",
    "add_count": "IrFw",
    "add_shares": "FFFww",
    "count_rivals": "FIFIIww",
    "find_outside": "IwwI",
    "find_seen": "BwIIwIIBww",
    "draw_unseen": "IwwDIwBwIIwIIIww",
}
"""What each loop takes: arrays of [F]loats, [D]oubles, [I]ds and [B]ytes; a [w]hole or a [r]eal number."""
_GIVEN = {"F": c_void_p, "D": c_void_p, "I": c_void_p, "B": c_void_p, "w": c_int64, "r": c_float}


def compiles(numbers: Tensor) -> bool:
    """Whether loops take these numbers: float32 on the CPU."""
    return numbers.is_cpu and numbers.dtype == torch.float32


def run(name: str, *given: Tensor | NDArray[Any] | int | float) -> None:
    """Run a loop of `recmodels.kernels` on these arrays, which are contiguous, and numbers."""
    _loops()[name](*map(_argument, given))


def inside(ids: Tensor, limit: int) -> Tensor:
    """The same ids, contiguous, for a loop to use.

    Raises:
        IndexError: some are no rows of a table of this length.
    """
    ids, outside = ids.contiguous(), np.empty(1, np.int64)
    run("find_outside", ids, ids.numel(), limit, outside)
    if outside[0]:
        raise IndexError(f"{outside[0]} ids are negative, or not below {limit}, the length of their table")
    return ids


def _argument(value: Tensor | NDArray[Any] | int | float) -> int | float:
    if isinstance(value, Tensor):
        assert value.is_contiguous()
        return value.data_ptr()
    if isinstance(value, np.ndarray):
        assert value.flags.c_contiguous
        return value.ctypes.data
    return value


_engines: list[Any] = []  # code lives as long as its engine


@cache
def _loops() -> dict[str, Callable[..., None]]:
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    features = llvm.get_host_cpu_features().flatten()
    triple, cpu = llvm.get_process_triple(), llvm.get_host_cpu_name()
    machine = llvm.Target.from_triple(triple).create_target_machine(cpu, features, opt=3, jit=True)
    source = Path(__file__).with_name("kernels.py").read_text(encoding="utf-8")
    about = source, SIGNATURES, triple, cpu, features, version("numba"), version("llvmlite")
    name = f"{hashlib.sha256(repr(about).encode()).hexdigest()[:32]}.o"
    code = _kept(name) or _keep(name, _compiled(llvm, machine))
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    _engines.append(engine)
    return {
        name: CFUNCTYPE(None, *(_GIVEN[letter] for letter in signature))(engine.get_function_address(name))
        for name, signature in SIGNATURES.items()
    }


def _compiled(llvm: Any, machine: Any) -> bytes:
    """An object file with all loops under their names, each by numba."""
    import numba

    from recmodels.kernels import LOOPS, TYPES

    whole = llvm.parse_assembly("")
    for name, signature in SIGNATURES.items():
        takes = numba.types.void(*(TYPES[letter] for letter in signature))
        made = numba.cfunc(takes, error_model="numpy")(LOOPS[name])
        whole.link_in(llvm.parse_assembly(made.inspect_llvm().replace(made.native_name, name)))
    code: bytes = machine.emit_object(whole)
    return code


def _folders() -> Iterator[Path]:
    """Where code may be kept, the usual place first: the user's alone, so that nobody else can put code there."""
    from platformdirs import user_cache_path

    yield user_cache_path("contrarec") / "compiled"
    yield Path(tempfile.gettempdir()) / f"contrarec-{os.getuid() if hasattr(os, 'getuid') else 'user'}"


def _private(folder: Path) -> bool:
    found = folder.lstat()
    mine = not hasattr(os, "getuid") or (found.st_uid == os.getuid() and not found.st_mode & 0o022)
    return mine and stat.S_ISDIR(found.st_mode)


def _kept(name: str) -> bytes | None:
    """What `_keep` wrote, whole; None where there is none."""
    for folder in _folders():
        try:
            digest, code = (folder / name).read_bytes().split(b"\n", 1)
            if _private(folder) and digest.decode() == hashlib.sha256(code).hexdigest():
                return code
        except (OSError, ValueError):
            continue
    return None


def _keep(name: str, code: bytes) -> bytes:
    """The same code, after writing it to the first folder that takes it; without one, each process compiles."""
    for folder in _folders():
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not _private(folder):
                continue
            handle, path = tempfile.mkstemp(dir=folder)
            with os.fdopen(handle, "wb") as file:
                file.write(hashlib.sha256(code).hexdigest().encode() + b"\n" + code)
            os.replace(path, folder / name)
            return code
        except OSError:
            continue
    return code
