"""`bench.compare`: the same request as `bench compare`, from Python."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

from bench.cli.compare import Compare
from bench.cli.grammar import Core, Cutoffs, Seeds, Setting
from bench.compared import Compared
from datasets.errors import UserError, unknown

LISTS = {"seeds": Seeds.of, "cutoffs": Cutoffs.of, "k_core": Core.of}
OWN = ("names", "dataset", "seeds", "settings")


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
        options: any other field of `bench.cli.compare.Compare`, the options of `bench compare`.

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
    known = {field.name for field in fields(Compare)} - set(OWN)
    for name in options:
        if name not in known:
            raise unknown("option of compare", name, known)
    if isinstance(names, str):
        raise UserError(f"names is the text '{names}'; give a list, as in [{names!r}].")
    request = Compare(
        names=list(names),
        dataset=[dataset],
        seeds=Seeds.of(seeds),
        settings=[Setting(name, str(each)) for name, value in (settings or {}).items() for each in _several(value)],
    )
    read: dict[str, Any] = {name: LISTS[name](options[name]) for name in LISTS.keys() & options.keys()}
    request = replace(request, **options | read)
    request.plug_in()
    return Compared.of(request.comparison())


def _several(value: object) -> Sequence[object]:
    return value if isinstance(value, list | tuple) else [value]
