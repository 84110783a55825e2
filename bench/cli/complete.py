"""What a shell completes: cells, data sets, settings and words of options; nothing that trains is imported for it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from recmodels.registry import Registry

Complete = Callable[[str], list[str]]
"""From what is typed of a word to the words that it may become."""

WORDS, AT = "COMP_WORDS", "COMP_CWORD"
"""Where bash says what is typed, and which of these words is to be completed."""

BREAKS = (":", "=")
"""Where bash breaks words; zsh and fish do not."""


def rejoin() -> None:
    """Undo of bash's breaking what would be misread: a sign is no word to complete, and `--dataset=` is `--dataset`."""
    if WORDS not in os.environ:
        return
    words, at = os.environ[WORDS].split(), int(os.environ[AT])
    if words[at : at + 1] and words[at] in BREAKS:  # what follows the sign is still empty
        at += 1
    for k in range(min(at, len(words)) - 1, 0, -1):
        if words[k] == "=" and words[k - 1].startswith("--"):
            del words[k]
            at -= 1
    os.environ[WORDS], os.environ[AT] = "\n".join(words), str(at)


def among(words: Sequence[str]) -> Complete:
    """Completes to one of these."""
    return lambda incomplete: begun(words, incomplete)


def begun(words: Iterable[str], incomplete: str) -> list[str]:
    """The words that begin so."""
    return [word for word in words if word.startswith(incomplete)]


def cells(incomplete: str) -> list[str]:
    """Samplers, losses, models and baselines, also behind a plus, and behind a colon their options and defaults."""
    return _glued(incomplete, lambda word: _cells(word, ("sampler", "loss", "baseline")))


def samplers(incomplete: str) -> list[str]:
    """Samplers and their options."""
    return _glued(incomplete, lambda word: _method(word, ("sampler",)))


def losses(incomplete: str) -> list[str]:
    """Losses and their options."""
    return _glued(incomplete, lambda word: _method(word, ("loss",)))


def models(incomplete: str) -> list[str]:
    """Models and their options."""
    return _glued(incomplete, lambda word: _method(word, ("model",)))


def settings(incomplete: str) -> list[str]:
    """Trainer settings, each with its default."""
    from recmodels.compatibility import text_of
    from recmodels.settings import setting_parameters

    known = [f"{name}={text_of(parameter.default)}" for name, parameter in setting_parameters().items()]
    return _glued(incomplete, lambda word: begun(known, word))


def data(incomplete: str) -> list[str]:
    """Names of the catalogue; a path is completed by the shell itself."""
    from datasets import catalog

    return begun([*catalog.names(), "synthetic"], incomplete)


def metrics(incomplete: str) -> list[str]:
    """Metrics at the usual cut-offs."""
    from recmodels.metrics import METRICS

    return begun([f"{name}@{cutoff}" for name in METRICS for cutoff in (5, 10, 20)], incomplete)


def tests(incomplete: str) -> list[str]:
    """Significance tests."""
    from bench.statistics.named import TESTS

    return begun(TESTS, incomplete)


def corrections(incomplete: str) -> list[str]:
    """Corrections for several comparisons."""
    from bench.statistics.corrections import CORRECTIONS

    return begun(CORRECTIONS, incomplete)


def views(incomplete: str) -> list[str]:
    """What a table can show."""
    from bench.tables.view import VIEWS

    return begun([*VIEWS, "groups"], incomplete)


def masks(incomplete: str) -> list[str]:
    """What rankings leave out."""
    from datasets.protocol import MASKS

    return begun(MASKS, incomplete)


def splits(incomplete: str) -> list[str]:
    """Ways to hold interactions out."""
    from datasets.protocol import SPLITS

    return begun(SPLITS, incomplete)


def listed(incomplete: str) -> list[str]:
    """What `bench list` lists: kinds of methods, and methods."""
    from recmodels.registry import KINDS

    return begun([*KINDS, "settings", "metrics", "datasets", *_names(_registries())], incomplete)


def stored(incomplete: str) -> list[str]:
    """Runs of the store that BENCH_RESULTS or the current folder has."""
    from bench.runs.store import store_at

    return begun([folder.name for folder in store_at(None).folders()], incomplete)


def _cells(word: str, kinds: tuple[str, ...]) -> list[str]:
    """`uniform+so` to `uniform+softmax`: what follows a plus is a loss or a model."""
    before, plus, piece = word.rpartition("+")
    return [before + plus + found for found in _method(piece, ("loss", "model") if plus else kinds)]


def _method(piece: str, kinds: tuple[str, ...]) -> list[str]:
    """A name, or behind a colon or comma an option of the method that was named."""
    name, colon, options = piece.partition(":")
    if not colon:
        return begun(_names(_registries(*kinds)), piece)
    registry = next((registry for registry in _registries(*kinds) if name in registry), None)
    if registry is None:
        return []
    from recmodels.compatibility import text_of

    given, comma, option = options.rpartition(",")
    known = [f"{key}={text_of(each.default)}" for key, each in registry.entry(name).parameters.items()]
    return [f"{name}:{given}{comma}{found}" for found in begun(known, option)]


def _registries(*kinds: str) -> list[Registry]:
    """The registries of these kinds, or all."""
    from recmodels.losses import LOSSES
    from recmodels.models import BASELINES, MODELS
    from recmodels.samplers import SAMPLERS

    return [each for each in (SAMPLERS, LOSSES, MODELS, BASELINES) if not kinds or each.kind in kinds]


def _names(registries: Iterable[Registry]) -> list[str]:
    return [name for registry in registries for name in registry.places]


def _glued(incomplete: str, complete: Complete) -> list[str]:
    """The completions of the whole word, less what bash has broken off before: it puts them behind that."""
    words, before = os.environ.get(WORDS, "").split()[: int(os.environ.get(AT, 0))], ""
    while words and (words[-1] in BREAKS or before.startswith(BREAKS)):
        before = words.pop() + before
    return [found.removeprefix(before) for found in complete(before + incomplete)]


VALUES: dict[str, Complete] = {
    "--sampler": samplers,
    "--loss": losses,
    "--model": models,
    "--baseline": cells,
    "--set": settings,
    "--dataset": data,
    "--metric": metrics,
    "--split": splits,
    "--test": tests,
    "--correction": corrections,
    "--view": views,
    "--mask": masks,
    "--device": among(("cpu", "cuda")),
}
"""What completes the value of an option."""
