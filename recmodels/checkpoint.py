"""A training between two epochs in a file, from which it goes on to the same bits."""

from __future__ import annotations

import hashlib
import io
import os
import platform
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from recmodels.apart import OwnUpdates
from recmodels.diagnostics import Diagnostics
from recmodels.objective import LossState
from recmodels.sampling import Sampler
from recmodels.updates import Updates

FORMAT = b"contrarec checkpoint 1\n"


class Checkpoint:
    """A file that holds the state of a training, as of the end of an epoch; whole or not there.

    Args:
        path: of the file; its folder is made.
        every: seconds that go by at least between two times that it is written, so that short runs never are.
    """

    def __init__(self, path: Path, every: float = 60.0) -> None:
        self._path, self._every, self._last = path, every, time.monotonic()

    @property
    def due(self) -> bool:
        """Whether enough time has gone by."""
        return time.monotonic() - self._last >= self._every

    def write(self, moving: Moving, rest: tuple[Any, ...]) -> None:
        """Put this state in place of the one before; what cannot be written is left, and training goes on.

        It reaches the disk under another name before it takes the place, so that a crash leaves one or the other.
        """
        content = io.BytesIO()
        torch.save(packed({"made with": _made_with(), "moving": moving.state(), "rest": rest}), content)
        data = content.getvalue()
        temporary = self._path.with_name(f"{self._path.name}.{os.getpid()}.writing")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with temporary.open("wb") as file:
                file.write(FORMAT + hashlib.sha256(data).hexdigest().encode() + b"\n" + data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self._path)
        except OSError:
            with suppress(OSError):
                temporary.unlink()
        self._last = time.monotonic()

    def resume(self, moving: Moving) -> tuple[Any, ...] | None:
        """Make `moving` what it was, and give the rest, in which tuples have lost their names.

        None where there is no such file, or one that was changed, or made with another torch or kind of processor.
        """
        try:
            with self._path.open("rb") as file:
                first, digest, data = file.readline(), file.readline().strip(), file.read()
        except OSError:
            return None
        if first != FORMAT or digest != hashlib.sha256(data).hexdigest().encode():
            return None
        state: dict[str, Any] = unpacked(torch.load(io.BytesIO(data), weights_only=True))
        if state["made with"] != _made_with():
            return None
        moving.restore(state["moving"])
        rest: tuple[Any, ...] = state["rest"]
        return rest


@dataclass(frozen=True)
class Moving:
    """All that a training changes from step to step.

    Attributes:
        module: the model.
        loss: what the loss keeps.
        sampler: has a state of its own.
        updates: the optimisers.
        streams: the random streams by name; torch's own generator goes with them.
        observer: what watches.
    """

    module: nn.Module
    loss: LossState
    sampler: Sampler
    updates: Sequence[Updates | OwnUpdates]
    streams: Mapping[str, np.random.Generator]
    observer: Diagnostics | None

    @property
    def _device(self) -> torch.device:
        return next(self.module.parameters()).device

    def state(self) -> dict[str, Any]:
        """As it is now; not a copy."""
        return {
            "module": dict(self.module.state_dict()),
            "loss": {name: tensor.detach() for name, tensor in self.loss.tensors.items()},
            "sampler": dict(self.sampler.state),
            "updates": [tensor for each in self.updates for tensor in each.memory],
            "streams": {name: stream.bit_generator.state for name, stream in self.streams.items()},
            "torch": torch.get_rng_state(),
            "cuda": torch.cuda.get_rng_state(self._device) if self._device.type == "cuda" else None,
            "observer": None if self.observer is None else self.observer.tallies(),
        }

    @torch.no_grad()
    def restore(self, state: Mapping[str, Any]) -> None:
        """Make it what it was."""
        self.module.load_state_dict(state["module"])
        for name, tensor in state["loss"].items():
            known = self.loss.tensors.get(name)
            if known is not None and known.shape == tensor.shape:
                known.copy_(tensor)  # in place, for hooks and optimisers hold it
            else:
                self.loss.tensors[name] = tensor
        self.sampler.state.update(state["sampler"])
        memory = [tensor for each in self.updates for tensor in each.memory]
        for known, tensor in zip(memory, state["updates"], strict=True):
            known.copy_(tensor)
        for name, stream in self.streams.items():
            stream.bit_generator.state = state["streams"][name]
        torch.set_rng_state(state["torch"])
        if state["cuda"] is not None:
            torch.cuda.set_rng_state(state["cuda"], self._device)
        if self.observer is not None and state["observer"] is not None:
            self.observer.recall(state["observer"])


def packed(value: Any) -> Any:
    """The same of what torch reads without running code: arrays become tensors, tuples lists, each with its kind."""
    match value:
        case np.ndarray():
            if value.dtype == np.uint64:
                return ["uint64", value.tolist()]
            return ["array", torch.from_numpy(np.ascontiguousarray(value)).reshape(value.shape)]
        case np.generic():
            return ["number", torch.from_numpy(np.array(value))]
        case tuple():
            return ["tuple", [packed(each) for each in value]]
        case list():
            return ["list", [packed(each) for each in value]]
        case dict():
            return ["dict", {key: packed(each) for key, each in value.items()}]
        case Tensor():
            return ["tensor", (value.detach().cpu(), str(value.device))]
    return ["plain", value]


def unpacked(value: Any) -> Any:
    """What was packed."""
    kind, content = value
    match kind:
        case "uint64":
            return np.array(content, np.uint64)
        case "array":
            return content.numpy()
        case "tensor":
            return content[0].to(content[1])
        case "number":
            return content.numpy()[()]
        case "tuple":
            return tuple(unpacked(each) for each in content)
        case "list":
            return [unpacked(each) for each in content]
        case "dict":
            return {key: unpacked(each) for key, each in content.items()}
    return content


def _made_with() -> str:
    return " ".join((torch.__version__, np.__version__, platform.machine(), torch.backends.cpu.get_cpu_capability()))
