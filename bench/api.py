"""`bench.compare`: the same request as `bench compare`, from Python."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from os import PathLike, fspath
from typing import Any, get_type_hints

from bench.cli.compare import Compare
from bench.cli.experiment_file import typed
from bench.cli.grammar import Seeds, Setting
from bench.compared import Compared
from datasets.errors import UserError, unknown

OWN = ("names", "dataset", "seeds", "settings")
PRINTED = ("dry_run", "profile", "out", "format", "caption", "figures", "view", "diagnostics", "groups")
"""Options of what the command prints or writes, in whose place a comparison has methods."""


def compare(
    names: Sequence[str] = (),
    *,
    dataset: str = "ml-100k",
    seeds: int | str | Sequence[int] = 5,
    settings: Mapping[str, object] | None = None,
    **options: Any,
) -> Compared:
    """Train what the store lacks of these cells, and compare them.

    A notebook shows the comparison as a table; `to_frame()`, `pairs()`, `to_latex()` and `plot()` give it as others
    take it.

    Runs are made in processes of their own, which import the calling script: keep the call under
    `if __name__ == "__main__":` there.

    Args:
        names: samplers, losses, baselines, or cells as in `uniform+softmax:temperature=0.5`.
        dataset: name of a data set, or path of a file or of a ready split.
        seeds: a count, a list of seeds, or a text as on the command line.
        settings: trainer settings; several values of one in a list multiply.
        options: any other option of `bench compare` that is not about what it prints, with `_` for `-`.

    Raises:
        UserError: anything that means nothing, as on the command line.

    Example:
        >>> import bench
        >>> data = "synthetic:users=200,items=100,density=0.1"
        >>> found = bench.compare(["toppop", "random"], dataset=data, seeds=2, jobs=1, quiet=True)
        >>> [row.name for row in found.rows]
        ['toppop', 'random']
        >>> found.to_frame()["name"].tolist()
        ['toppop', 'random']
    """
    known = {field.name for field in fields(Compare)} - {*OWN, *PRINTED}
    types = get_type_hints(Compare, include_extras=True)
    for name in options:
        if name in PRINTED:
            raise UserError(
                f"{name} is of what the command prints; leave it out, and take to_frame(), to_latex() or plot() of the "
                "comparison."
            )
        if name not in known:
            raise unknown("option of compare", name, known)
    if isinstance(names, str):
        raise UserError(f"names is the text '{names}'; give a list, as in [{names!r}].")
    if not isinstance(dataset, str | PathLike):
        raise UserError(f"dataset is {dataset!r}; give one name or path, and call again for another one.")
    request = Compare(
        names=list(names),
        dataset=[fspath(dataset)],
        seeds=Seeds.of(seeds),
        settings=[Setting(name, str(each)) for name, value in (settings or {}).items() for each in _several(value)],
    )
    read: dict[str, Any] = {
        name: None if value is None else typed("bench.compare", name, _plain(value), types[name])
        for name, value in options.items()
    }
    request = replace(request, **read)
    request.plug_in()
    return Compared.of(request.comparison())


def _plain(value: object) -> object:
    """Paths as texts, tuples as lists."""
    if isinstance(value, tuple | list):
        return [_plain(one) for one in value]
    return fspath(value) if isinstance(value, PathLike) else value


def _several(value: object) -> Sequence[object]:
    return value if isinstance(value, list | tuple) else [value]
