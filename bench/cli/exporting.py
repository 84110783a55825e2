"""`bench data export`: a mirror for a machine without a network, or a split as other libraries read it."""

import shutil
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, ClassVar

import typer

from bench.cli.option import DATA, option
from bench.cli.splitting import Splitting
from bench.files import check_writable, writing
from datasets.errors import UserError, unknown

CURE = "give another folder"
CONSENT = ("unverified", "accept_unpinned", "offline")


@dataclass(frozen=True, kw_only=True)
class Export(Splitting):
    """Write a mirror of data sets, or with --layout the exact split of one, to train on elsewhere.

    A mirror serves a machine without a network: set BENCH_DATA_MIRROR to the folder there.
    """

    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="the folder that becomes a mirror, or holds the split")
    ]
    names: Annotated[
        list[str], typer.Argument(metavar="NAME...", help="names of `bench data list`; with --layout a name or a path")
    ]
    layout: Annotated[
        str | None,
        option("--layout", DATA, "csv | recbole | lenskit: the split in this layout, by the options below"),
    ] = None

    examples: ClassVar[tuple[str, ...]] = (
        "bench data export stick ml-100k ml-1m",
        "bench data export for-recbole/ml-100k-loo ml-100k --layout recbole",
    )

    def run(self) -> int:
        """Write the mirror or the split; each file is a line."""
        if self.layout is None:
            self._mirror()
        else:
            self._split(self.layout)
        return 0

    def _mirror(self) -> None:
        """Copies of the files of catalogued data sets, under their checksums."""
        from bench.cli.progress import fetching
        from datasets import catalog
        from datasets.fetch import obtain, slug

        for field in fields(Splitting):
            if field.name not in CONSENT and getattr(self, field.name) != field.default:
                raise UserError(
                    f"--{field.name.replace('_', '-')} is for a split, and a mirror holds whole data sets; add "
                    "--layout csv, recbole or lenskit, or leave it out."
                )
        if own := [name for name in self.names if not catalog.known(name) and Path(name).exists()]:
            raise UserError(
                f"'{own[0]}' is a path, and a mirror holds data sets of the catalogue; add --layout csv, recbole or "
                "lenskit to write its split."
            )
        for entry in [catalog.one(name) for name in self.names]:
            for file in entry.files:
                with fetching() as progress:
                    kept = obtain(entry, file, self.consent, progress)
                part = (
                    kept.sha256
                    if kept.verified and file.stored.pin and file.stored.pin.kind == "sha256"
                    else slug(entry.id)
                )
                target = self.folder / part / kept.path.name
                with writing(self.folder, CURE):
                    target.parent.mkdir(parents=True, exist_ok=True)
                    temporary = target.with_name(f".{target.name}.tmp")
                    shutil.copyfile(kept.path, temporary)
                    temporary.replace(target)
                typer.echo(str(target))

    def _split(self, layout: str) -> None:
        """Train, valid and test of one data set."""
        from bench.cli.progress import fetching
        from bench.runs.runner import load_split
        from datasets.layouts import LAYOUTS, unwritten, write_split

        if layout not in LAYOUTS:
            raise unknown("layout", layout, LAYOUTS)
        if len(self.names) > 1:
            raise UserError(
                f"--layout writes one split and {len(self.names)} data sets are named; give each its folder."
            )
        if self.negatives_from is not None:
            raise UserError("--negatives-from is read by a sampler of ours and is in no split; leave it out.")
        check_writable(self.folder, CURE, folder=True)
        if self.folder.is_dir() and any(self.folder.iterdir()):
            raise UserError(f"{self.folder} is not empty; {CURE}, for a split is all that a folder holds.")
        data, protocol = self.data(self.names[0])
        with fetching() as told:
            split = load_split(data, protocol, self.consent, told)
        with writing(self.folder, CURE):
            for path in write_split(split, self.folder, layout):
                typer.echo(str(path))
        users, items = unwritten(split)
        if users or items:
            typer.echo(f"{users:,} users and {items:,} items are in no part, so that the files lack them.", err=True)
        if not len(split.valid):
            typer.echo("This split has no validation part.", err=True)
