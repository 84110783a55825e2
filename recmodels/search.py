"""Where a tuner looks for a value: `Annotated[float, "> 0", Search(0.01, 0.5, log=True)]`, read from the source.

A comment beside each says where the range is from: the paper, or its authors' code; IRB, the search spaces of
IR-Benchmark (Yang et al., NeurIPS 2024); RB, those of revisit-bpr (Milogradskii et al., RecSys 2024); BSL, CCL and
DirectAU, the files of these losses' authors; or judgement. What has no `Search` is left as it is.
"""

from __future__ import annotations

import ast
from dataclasses import KW_ONLY, dataclass
from typing import Any


@dataclass(frozen=True)
class Search:
    """Values that are worth a try: those from `low` to `high`, those `among` others, or both.

    A loss, sampler or model says with `search={"l2": Search(…)}`, where it is registered, what a setting of the trainer
    is searched for beside it. `when` is a condition on another value of the same part, or of the trainer, under which
    anything reads this one: `init != xavier`.

    Raises:
        ValueError: nothing to try, or no range.

    Example:
        >>> rate, choice = Search(0.001, 0.1, log=True), Search(among=("row", "item"))
    """

    low: float | None = None
    high: float | None = None
    _: KW_ONLY
    log: bool = False  # whether equal ratios are equally far apart
    among: tuple[bool | int | float | str | None, ...] = ()
    when: str = ""

    def __post_init__(self) -> None:
        if self.low is None and self.high is None and not self.log and self.among:
            return
        if self.low is None or self.high is None or self.low >= self.high or (self.log and self.low <= 0):
            raise ValueError(f"{self} is no range and no choice; write Search(low, high), or Search(among=(…))")

    @property
    def range(self) -> tuple[float, float]:
        """Its two ends.

        Example:
            >>> rate.range
            (0.001, 0.1)
        """
        assert self.low is not None
        assert self.high is not None
        return self.low, self.high

    @property
    def told(self) -> str:
        """It in words.

        Example:
            >>> rate.told, choice.told
            ('0.001 to 0.1 by ratio', 'row, item')
        """
        options = [] if self.low is None else [f"{self.low:g} to {self.high:g}" + (" by ratio" if self.log else "")]
        chosen = [f"{one:g}" if isinstance(one, float) else str(one).lower() for one in self.among]
        return ", ".join([*chosen, *options])


def literal(node: ast.expr) -> Any:
    """The value of a literal, in which dictionaries may hold `Search(…)`.

    Raises:
        ValueError: it is no literal.
    """
    match node:
        case ast.Call(func=ast.Name(id="Search"), args=given, keywords=named):
            return Search(
                *map(ast.literal_eval, given), **{k.arg: ast.literal_eval(k.value) for k in named if k.arg is not None}
            )
        case ast.Dict(keys=keys, values=values):
            return {ast.literal_eval(k): literal(v) for k, v in zip(keys, values, strict=True) if k is not None}
    return ast.literal_eval(node)
