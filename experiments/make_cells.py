"""Make the cells of published tables, one at a time; start it as often as there are cores.

    PYTHONPATH=. python experiments/make_cells.py results/ml-100k results/ml-latest-small
    bench publish results/ml-100k

A search asks for five trials at a time, so that one command with several workers leaves some without work. Commands
that are started side by side take different cells; a cell whose command was ended is taken by the next one. What is
finished stands in `cells/`, from which `bench publish` makes the table.
"""

import fcntl
import hashlib
import sys
import tempfile
import time
from pathlib import Path

from bench.cli.publishing import Making
from bench.results.parts import Parts
from datasets.errors import UserError


def alone(folder, name):
    """A file that is locked until it is closed; None where another command on this machine makes the cell."""
    digest = hashlib.sha256(f"{folder.resolve()} {name}".encode()).hexdigest()[:16]
    opened = (Path(tempfile.gettempdir()) / f"contrarec-cell-{digest}").open("w")
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        opened.close()
        return None
    return opened


def main():
    """Take the cells of the folders in order."""
    for folder in map(Path, sys.argv[1:]):
        making = Making.of(folder, {"jobs": 1, "quiet": True})
        parts = Parts(folder)
        (experiment,) = making.asked.checked()
        for cell in experiment.cells:
            began = time.monotonic()
            if (lock := alone(folder, cell.name)) is None:
                continue
            with lock:
                try:
                    making.cell(cell.name, parts)
                    said = "is made"
                except UserError as error:
                    said = f"is not: {error}"
            seconds = time.monotonic() - began
            sys.stdout.write(f"{time.strftime('%H:%M')} {folder.name} {cell.name} {said} ({seconds:.0f} s)\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
