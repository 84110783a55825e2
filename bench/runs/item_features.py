"""Features of items beside the data: which rows read them, and what a run says of what it read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from bench.files import JSONObject
from datasets.errors import UserError
from recmodels.compatibility import reads_features
from recmodels.models import MODELS

if TYPE_CHECKING:
    from bench.runs.spec import Cell, Data, RunSpec
    from datasets.features import Features
    from datasets.split import Split


def reads(cell: Cell) -> bool:
    """Whether its model reads features of the items."""
    return not cell.is_baseline and reads_features(cell.model.name)


def undescribed(cell: Cell, path: str | None) -> str | None:
    """Why a cell cannot be trained where no file describes the items, or None."""
    if path is not None or not reads(cell):
        return None
    return f"{cell.model.name} reads features of the items; give --item-features and a CSV or Parquet file of them"


def described(data: Data, path: str | None, cells: Sequence[Cell]) -> tuple[Data, str]:
    """The data with features of their items where a cell reads them; else the data, and a sentence that none does.

    Raises:
        UserError: there is no such file.
    """
    if path is None:
        return data, ""
    from datasets import features

    sha256, name = features.identity(path), features.file_of(path).name
    if any(map(reads, cells)):
        return replace(data, item_features=path, features_sha256=sha256), ""
    models = " and ".join(model for model in MODELS if reads_features(model))
    return data, f"No row reads the item features in {name}; those of the model {models} do."


def read_by(spec: RunSpec, split: Split) -> Features | None:
    """What the run reads of the features of a split.

    Raises:
        UserError: they are not those that the spec is of.
    """
    if not reads(spec.cell):
        return None
    found, wanted = split.features, spec.data.features_sha256
    if wanted and (found is None or found.sha256 != wanted):
        raise UserError("The file of item features has changed since the command began; give the command again.")
    return found


def recorded(found: Features | None) -> JSONObject:
    """What the record of a run says of the features that it read."""
    if found is None:
        return {}
    return {"features": {"sha256": found.sha256, "file": found.file, "read": found.told, **found.facts}}
