"""What is searched for a cell: the parameters of its parts and trainer settings that say where to look."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from bench.runs.spec import REGISTRIES, Cell, Part, incompatibility, same_training
from datasets.errors import UserError, unknown
from recmodels.entries import Parameter, Value
from recmodels.search import Search
from recmodels.settings import setting_parameters

TRAINER = "trainer"
SEARCHED = ("learning_rate", "l2")
"""Trainer settings that every cell searches; others where a part of the cell says so, or where they are freed."""
SHARED = ("negatives", "batch_size")
"""The same for all rows, whatever a part recommends or declares, unless they are freed for all."""
FIXED = ("epochs", "patience", "embedding_size", "select_on", "valid_users")
"""What makes runs comparable or trials cheap, and is no setting of a method."""

Values = Mapping[str, Value]  # key of a dimension → value


@dataclass(frozen=True)
class Dimension:
    """One searched value.

    Attributes:
        kind: `sampler`, `loss`, `model` or `baseline`, whose own parameter it is, or `trainer`.
        parameter: its name, type and bounds.
        search: what is tried.
    """

    kind: str
    parameter: Parameter
    search: Search

    @property
    def key(self) -> str:
        """`loss.temperature`, or `l2` for a setting of the trainer."""
        return self.parameter.name if self.kind == TRAINER else f"{self.kind}.{self.parameter.name}"

    def used(self, cell: Cell) -> bool:
        """Whether anything reads the value, as the cell's other values are: its search may have a condition."""
        if not self.search.when:
            return True
        key, symbol, wanted = self.search.when.split()
        values = cell.settings if self.kind == TRAINER else _part(cell, self.kind).parameters
        return (str(values[key]) == wanted) == (symbol == "==")


def space(cell: Cell, asked: Mapping[str, Search | None] | None = None) -> tuple[Dimension, ...]:
    """The dimensions of a cell by key: what its parts and the trainer declare, but for what the row itself gives.

    Args:
        cell: as parsed; `cell.given` names what its text or `--set` fixed.
        asked: trainer settings and parameters that are searched in any case, or elsewhere; None is the declared range.

    Raises:
        UserError: something is freed that no range is declared for, or that is fixed for all.
    """
    asked = asked or {}
    declared = {dimension.key: dimension for dimension in _declared(cell)}
    by_part = {name for part in _parts(cell) for name in _searched_with(*part)}
    found: dict[str, Dimension] = {}
    for key, dimension in declared.items():
        wanted = dimension.kind != TRAINER or key in {*SEARCHED, *by_part} - {*SHARED} or key in asked
        if wanted and key not in cell.given:
            found[key] = replace(dimension, search=asked.get(key) or dimension.search)
    for key, elsewhere in asked.items():
        if key not in found and key not in cell.given and not cell.is_baseline and key in setting_parameters():
            found[key] = _freed(key, elsewhere)
    read = [dimension for dimension in found.values() if dimension.search.when or _is_read(cell, dimension)]
    return tuple(sorted(read, key=lambda dimension: dimension.key))


def shared(cell: Cell, other: Cell) -> Cell:
    """The cell with the settings of another that all rows share, unless its row gives them itself."""
    return with_values(cell, {key: other.settings[key] for key in SHARED if key in other.settings})


def _is_read(cell: Cell, dimension: Dimension) -> bool:
    """Whether any value makes another training of the cell, as `negatives` does not beside `full`."""
    search = dimension.search
    ends = () if search.low is None else search.range
    values = [*search.among, *(int(end) if dimension.parameter.kind == "int" else end for end in ends)]
    cells = [with_values(cell, {dimension.key: value}) for value in values]
    return len({same_training(one) for one in cells if incompatibility(one) is None}) > 1


def freed(texts: Iterable[str], cells: Sequence[Cell]) -> dict[str, Search | None]:
    """What `KEY`, `KEY=0.1..10`, `KEY=1..64:log` and `KEY=a,b` ask to search; None is the declared range.

    What all rows share is searched in one range, which holds what each of the `cells` declares.

    Raises:
        UserError: a key that no cell has or that is the same for all trials, or values that it cannot take.
    """
    known = {name: parameter for name, parameter in setting_parameters().items() if name not in FIXED}
    known |= {
        f"{kind}.{name}": p for cell in cells for kind, part in _parts(cell) for name, p in _entry(kind, part).items()
    }
    found: dict[str, Search | None] = {}
    for text in texts:
        key, equals, values = text.partition("=")
        if key in FIXED:
            raise UserError(f"--space {key}: {', '.join(FIXED)} are the same for all trials; give one with --set.")
        if key not in known:
            raise unknown("parameter to search", key, sorted(known))
        found[key] = _search(text, known[key], values) if equals else _for_all(key, cells) if key in SHARED else None
    return found


def _for_all(key: str, cells: Iterable[Cell]) -> Search | None:
    """One range for a setting of the trainer, so that no row is searched where another is not."""
    free = (cell for cell in cells if key not in cell.given)
    found = [one.search for cell in free for one in _declared(cell) if one.key == key and one.search.low is not None]
    lows, highs = zip(*(one.range for one in found), strict=True) if found else ((), ())
    return Search(min(lows), max(highs), log=True) if found else None


def _search(text: str, parameter: Parameter, values: str) -> Search:
    words, _, scale = values.partition(":")
    among, ends = [word for word in words.split(",") if ".." not in word], [w for w in words.split(",") if ".." in w]
    try:
        if scale not in ("", "log") or len(ends) > 1:
            raise ValueError(text)
        low, high = map(float, ends[0].split("..")) if ends else (None, None)
        for end in (low, high):
            if end is not None:
                parameter.parse(f"{int(end) if parameter.kind == 'int' else end}")
        return Search(low, high, log=scale == "log", among=tuple(map(parameter.parse, among)))
    except (ValueError, KeyError) as error:
        raise UserError(
            f"--space {text} says no values that {parameter.name} can take ({parameter.allowed}); "
            "write it as in l2=1e-6..0.1:log, dropout=0..0.5 or init=normal,xavier."
        ) from error


def with_values(cell: Cell, values: Values) -> Cell:
    """The cell with these values in place of its own."""
    changed = {kind: dict(part.parameters) for kind, part in _parts(cell)}
    settings = dict(cell.settings)
    for key, value in values.items():
        kind, dot, name = key.rpartition(".")
        (changed[kind] if dot else settings)[name] = value
    if cell.sampler is None or cell.loss is None:
        return replace(cell, model=Part(cell.model.name, changed["baseline"]))
    return replace(
        cell,
        sampler=Part(cell.sampler.name, changed["sampler"]),
        loss=Part(cell.loss.name, changed["loss"]),
        model=Part(cell.model.name, changed["model"]),
        settings=settings,
    )


def values_of(cell: Cell, dimensions: Iterable[Dimension]) -> dict[str, Value]:
    """The cell's own values of the dimensions that something reads."""
    return {
        one.key: (cell.settings if one.kind == TRAINER else _part(cell, one.kind).parameters)[one.parameter.name]
        for one in dimensions
        if one.used(cell)
    }


def _declared(cell: Cell) -> Iterable[Dimension]:
    """Every parameter and setting with a range; a part's word on a trainer setting counts before the trainer's own."""
    for kind, part in _parts(cell):
        for parameter in _entry(kind, part).values():
            if parameter.search is not None:
                yield Dimension(kind, parameter, parameter.search)
    if cell.is_baseline:
        return
    settings = setting_parameters()
    ranges = {name: parameter.search for name, parameter in settings.items() if parameter.search is not None}
    for kind in ("model", "sampler", "loss"):  # the loss's word is the last
        ranges |= _searched_with(kind, _part(cell, kind))
    for name, search in ranges.items():
        if name not in FIXED:
            yield Dimension(TRAINER, settings[name], search)


def _freed(key: str, search: Search | None) -> Dimension:
    if search is None:
        raise UserError(f"--space {key}: no range is declared for it; give one, as in --space {key}=0.1..10.")
    return Dimension(TRAINER, setting_parameters()[key], search)


def _parts(cell: Cell) -> list[tuple[str, Part]]:
    if cell.is_baseline:
        return [("baseline", cell.model)]
    return [(kind, _part(cell, kind)) for kind in ("sampler", "loss", "model")]


def _part(cell: Cell, kind: str) -> Part:
    part = {"sampler": cell.sampler, "loss": cell.loss, "model": cell.model, "baseline": cell.model}[kind]
    assert part is not None
    return part


def _entry(kind: str, part: Part) -> dict[str, Parameter]:
    return REGISTRIES[kind].entry(part.name).parameters


def _searched_with(kind: str, part: Part) -> dict[str, Search]:
    found: dict[str, Search] = REGISTRIES[kind].entry(part.name).facts.get("search", {})
    return found
