"""`bench across`: the same cells on several data sets."""

from __future__ import annotations

import sys
from typing import Any

import typer

from bench.cli.request import Caption, Figures, Margin
from bench.cli.training import check_caption, compared, design_of, emit, run_missing, terminal_width
from datasets.errors import UserError


def across(
    each: list[dict[str, Any]], *, margin: Margin = None, caption: Caption = "short", figures: Figures = None
) -> None:
    """Run what each data set lacks, and print what their comparisons say together."""
    if len(each) < 2:
        raise UserError("bench across needs at least two data sets; repeat --dataset, or list them in a file.")
    if each[0]["test"] != "crossed":
        raise UserError(
            f"--test {each[0]['test']} compares rows on one data set; bench across compares them by signed ranks over "
            "data sets: leave --test out, or use bench table."
        )
    check_caption(caption)
    designs = [design_of(words) for words in each]  # every mistake is found before anything starts
    for words, (found, options, cutoffs) in zip(each, designs, strict=True):
        run_missing(found, options, cutoffs, words)
    from bench.comparison.across import across as read_together
    from bench.tables.render import render_across

    words = each[0]
    comparisons = [compared(found, cutoffs, words, None)[0] for found, _, cutoffs in designs]
    together = read_together(comparisons, margin or 0.0)
    text = render_across(
        together,
        words["format"],
        color=words["out"] is None and sys.stdout.isatty(),
        full=caption == "full",
        width=terminal_width(words["out"]),
    )
    emit(text, words["out"])
    if figures is not None:
        from bench.tables.gallery import draw_across

        if together.ranks is None:
            typer.echo("Not drawn: critical-difference: ranks need three methods.", err=True)
        typer.echo(f"Wrote {', '.join(map(str, draw_across(together, figures)))}.", err=True)
