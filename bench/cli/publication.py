"""What a `table.toml` says of a published table: an experiment file with a name, a version and a search."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar

from bench.cli.completing import Completing
from bench.cli.experiment_file import CONDITIONS, meant
from bench.cli.grammar import Setting
from bench.cli.option import SIGNIFICANCE, TABLE, option
from bench.cli.shown import Tested
from bench.cli.tune import Tune
from bench.files import parsed
from datasets.errors import UserError

DESCRIPTION = "table.toml"
SEARCH = ("trials", "finalists", "seeds", "space")
"""What a line under [tune] may be."""


@dataclass(frozen=True, kw_only=True)
class Publication(Tested, Completing):
    """What a `table.toml` says: the table's name and version, and the words of `bench run`."""

    table: Annotated[str, option("--table", TABLE, "its name among the tables of a data set")] = "loo"
    version: Annotated[int, option("--version", TABLE, "raised when its runs are others", min=1)] = 1
    test: Annotated[str, option("--test", SIGNIFICANCE, "significance test")] = "crossed"
    margin: Annotated[float | None, option("--margin", SIGNIFICANCE, "largest difference that does not matter")] = None

    imports: ClassVar[bool] = False

    @property
    def by(self) -> str:
        """The test that was asked for."""
        return self.test

    def alone(self, name: str, tuned: Path | None) -> "Publication":
        """The same for one cell, with the settings that a search found for it."""
        cell = replace(self, names=[name], sampler=None, loss=None, model=None, settings=self.shared, baseline=None)
        return replace(cell, tuned_from=None if tuned is None else str(tuned))

    @property
    def shared(self) -> list[Setting] | None:
        """The settings that all cells share; those with several values stand in the names of the cells."""
        from bench.runs.design import shared_and_varied

        return [Setting(*pair) for pair in shared_and_varied(self.settings or ())[0].items()] or None

    def tune(self, search: Mapping[str, Any], *names: str) -> Tune:
        """The search for the settings of these cells, under the protocol and settings of the table."""
        own = {"names", "sampler", "loss", "model", "seeds", "settings"}
        both = {field.name for field in fields(Tune)} & {field.name for field in fields(Publication)} - own
        words = {name: getattr(self, name) for name in both}
        return Tune(names=list(names), settings=self.shared, **words, **search)


def described(folder: Path) -> tuple[Publication, Mapping[str, Any] | None]:
    """What the `table.toml` of a folder asks for, and the words of the search for its settings, where there is one.

    Raises:
        UserError: there is no such folder or file, or it says what means nothing.
    """
    path = folder / DESCRIPTION
    if folder.is_file():
        raise UserError(f"{folder} is a file; name the folder of a table, with a {DESCRIPTION} in it.")
    if not folder.is_dir() or not path.exists():
        raise UserError(f"There is no {path}; write one with the words of an experiment file, table and version.")
    content = parsed(path)
    search = content.pop("tune", None)
    if key := next((key for key in content if key.replace("-", "_") in CONDITIONS), None):
        raise UserError(f"{path}: {key} is how a command runs, and no part of a table; give it to `bench publish`.")
    asked = Publication(**meant(path, content, Publication))
    if len(asked.datasets) > 1:
        raise UserError(f"{path} names {len(asked.datasets)} data sets; a published table has one.")
    if asked.beside:
        raise UserError(f"{path}: rows of another table are no part of this one; leave with out.")
    if asked.tuned or asked.tuned_from is not None:
        raise UserError(f"{path}: settings that were searched are published with the search; write [tune].")
    if search is not None:
        if not isinstance(search, dict) or (wrong := {*search} - {*SEARCH}):
            said = "is no table" if not isinstance(search, dict) else f"has no '{sorted(wrong)[0]}'"
            raise UserError(f"{path}: [tune] {said}; it may have {', '.join(SEARCH)}.")
        search = meant(path, search, Tune)
    asked.plug_in()
    return asked, search
