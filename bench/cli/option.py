"""`option`: a field of a request as an option of the command line, in a panel of the help."""

import typer
from typer.models import OptionInfo

from bench.cli.complete import VALUES
from bench.cli.grammar import Setting, said

CELLS, DATA, SIGNIFICANCE, TABLE, RUNNING = "What is compared", "Data", "Significance", "Table", "Running"
SEARCH = "Search"
PANELS = (CELLS, SEARCH, DATA, SIGNIFICANCE, RUNNING, TABLE)
"""In the order of the help, whichever class of requests adds to which."""


def option(
    flag: str, panel: str, help: str, *, more: bool = False, min: float | None = None, metavar: str | None = None
) -> OptionInfo:
    """An option in a panel of the help; with `more` it is shown by --help-all alone."""
    info: OptionInfo = typer.Option(
        flag,
        help=help,
        rich_help_panel=panel,
        hidden=more,
        min=min,
        metavar=metavar,
        autocompletion=VALUES.get(flag),
    )
    return info


def setting(help: str) -> OptionInfo:
    """The option `--set NAME=VALUE`, repeatable."""
    info: OptionInfo = typer.Option(
        "--set",
        parser=said(Setting.of),
        autocompletion=VALUES["--set"],
        metavar="NAME=VALUE",
        rich_help_panel=CELLS,
        help=f"trainer setting (bench list settings), repeatable{help}",
    )
    return info
