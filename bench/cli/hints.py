"""What was typed in a place where it means nothing, and where it belongs."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, cast

import typer

from datasets.errors import UserError, closest, plain, unknown

if TYPE_CHECKING:
    from bench.cli.request import Request

OPTIONS = {
    **dict.fromkeys(("top-k", "topk", "k", "ks", "at"), "cutoffs"),
    **dict.fromkeys(("gpu", "cuda", "gpus"), "device"),
    **dict.fromkeys(("output", "o", "save"), "out"),
    **dict.fromkeys(("workers", "n-jobs", "num-workers", "threads", "cores"), "jobs"),
    **dict.fromkeys(("timeout", "time-limit"), "cell-timeout"),
    **dict.fromkeys(("data", "d", "input", "file"), "dataset"),
    **dict.fromkeys(("seed", "runs", "repeats", "n-seeds"), "seeds"),
    **dict.fromkeys(("force", "retry", "rerun"), "retry-failed"),
    **dict.fromkeys(("silent", "q"), "quiet"),
    **dict.fromkeys(("kcore", "core"), "k-core"),
    **dict.fromkeys(("plugins", "plug-in", "methods", "module"), "plugin"),
}
"""What others call an option."""
COMMANDS = {
    **dict.fromkeys(("train", "fit", "start", "evaluate", "eval", "test"), "run"),
    **dict.fromkeys(("benchmark", "bench", "cmp", "diff"), "compare"),
    **dict.fromkeys(("show", "print", "report"), "table"),
    **dict.fromkeys(("remove", "delete", "del", "clean"), "rm"),
    **dict.fromkeys(("download", "get", "pull"), "fetch"),
    **dict.fromkeys(("check",), "verify"),
    "ls": "list",
}
"""What others call a command."""
TYPES = {"float": "a number", "int": "a whole number", "bool": "true or false"}


def explained(error: typer.TyperException) -> str:
    """One sentence of what typer has to say, with where a misplaced word belongs."""
    context: typer.Context | None = getattr(error, "ctx", None)
    if context is not None and (option := getattr(error, "option_name", None)) and hasattr(error, "possibilities"):
        return _no_option(option, context)
    if isinstance(error, typer.BadParameter) and (errors := getattr(error.__cause__, "errors", None)):
        found = errors()[0]
        bounds = found.get("ctx", {})
        limits = " and ".join(f"{word} {bounds[key]:g}" for key, word in (("ge", ">="), ("le", "<=")) if key in bounds)
        kind = TYPES.get(found["type"].partition("_")[0], "") if not limits else "a number"
        name = error.param.opts[0] if error.param is not None else "It"
        return f"{name} must be {kind} {limits}".rstrip() + f", not '{found['input']}'."
    message = error.format_message().rstrip()
    if sentence := _too_many_or_few(message, "bench" if context is None else context.command_path):
        return sentence
    return message if message.endswith((".", "?")) else f"{message}."


def _too_many_or_few(message: str, path: str) -> str | None:
    """What typer says of words that are missing or one too many, as a sentence that says what to do."""
    found = re.fullmatch(r"Got unexpected extra arguments?(?:\(s\))? \((.*)\)\.?", message)
    if found:
        return f"{path} takes fewer words; leave '{found[1]}' out, or see `{path} --help`."
    found = re.fullmatch(r"Missing (?:argument|option) '(.*)'\.?", message)
    if found:
        return f"{path} needs {found[1]}; see `{path} --help`."
    found = re.fullmatch(r"Option '(.*)' requires an argument\.?", message)
    return f"{found[1]} needs a value after it (an argument); see `{path} --help`." if found else None


def unknown_command(word: str, known: Iterable[str], path: str) -> UserError:
    """No command is called so; `path` is what was typed before it."""
    known = list(known)
    meant = {alias: name for alias, name in COMMANDS.items() if name in known}
    if word.lower().endswith(".toml"):
        return UserError(f"{path} has no command '{word}'; an experiment file is run by `bench run {word}`.")
    if word in ("version", "help"):
        return UserError(f"{path} has no command '{word}'; see `{path} --{word}`.")
    close = closest(word, [*known, *meant])
    if close is None and path == "bench" and (place := _belongs(word)):
        return UserError(f"bench has no command '{word}'; {place}.")
    hint = f" Did you mean '{meant.get(close, close)}'?" if close else ""
    return UserError(f"{path} has no command '{word}'.{hint} It has {', '.join(known)}; see `{path} --help`.")


def check_words(request: Request, imported: Collection[str] = ()) -> None:
    """Refuse words of a request that belong elsewhere in it; `imported` rows may be named.

    Raises:
        UserError: saying where.
    """
    words = [word for word in _words(type(request)) if word not in ("names", "set")]
    for setting in request.settings or ():
        _check_setting(setting.name, setting.value, words)
    for kind, texts in (("sampler", request.sampler), ("loss", request.loss), ("model", request.model)):
        for text in texts or ():
            _check_kind(kind, text)
    for name in request.names or ():
        if name in imported:
            continue
        if imported and not kind_of(name) and (close := closest(name, [*imported, *_names()])) in imported:
            raise UserError(f"No row is called '{name}'. Did you mean '{close}', which was imported?")
        if not _means_something(name):
            place = _belongs(name) or "see `bench list`"
            raise UserError(f"'{name}' is no sampler, loss, model or baseline; {place}.")
    for dataset in request.datasets:
        check_dataset(dataset)
    if twice := next((name for name in request.datasets if request.datasets.count(name) > 1), None):
        raise UserError(f"--dataset {twice} is given twice; give each data set once.")


def check_listed(word: str) -> None:
    """Refuse what `bench list` has no entry for but another command tells.

    Raises:
        UserError: saying which.
    """
    from datasets import catalog
    from recmodels.settings import SYNONYMS, setting_parameters

    meant = SYNONYMS.get(word, word)
    if meant in setting_parameters():
        raise UserError(f"'{word}' is the trainer setting {meant}; see `bench list settings`.")
    if catalog.known(word) or Path(word).is_file():
        raise UserError(f"'{word}' is a data set; see `bench data info {word}`.")


def check_dataset(dataset: str) -> None:
    """Refuse a list of data sets in one word, and the name of a method.

    Raises:
        UserError: saying what it is.
    """
    if Path(dataset).exists():
        return
    if "," in dataset and "synthetic" not in dataset:
        raise UserError(f"--dataset {dataset} is no data set; repeat --dataset for several.")
    if kind := kind_of(dataset):
        raise UserError(f"'{dataset}' is a {kind} and no data set; see `bench data list`.")


def _check_setting(name: str, value: str, words: Sequence[str]) -> None:
    from recmodels.settings import SYNONYMS, setting_parameters

    if name in setting_parameters():
        if "," in value:
            raise UserError(
                f"--set {name}={value}: '{value}' is not one value; repeat --set for several, and write a decimal "
                "point as a dot."
            )
        return
    meant = SYNONYMS.get(name, name)
    if meant not in setting_parameters() and (owners := _owners(meant)):
        cells = " or ".join(f"{owner}:{meant}={value}" for owner in owners[:3])
        raise UserError(f"'{name}' is no trainer setting but an option of methods; write {cells}.")
    if option := next((word for word in words if plain(word).rstrip("s") == plain(name).rstrip("s")), None):
        raise UserError(f"'{name}' is no trainer setting; give it as --{option} {value}.")
    if not closest(name, [*setting_parameters(), *SYNONYMS]):  # else the trainer says which was meant
        raise UserError(f"'{name}' is no trainer setting; see `bench list settings`.")


def kind_of(name: str) -> str | None:
    """Whether a name is that of a sampler, loss, model or baseline."""
    from bench.runs.spec import REGISTRIES

    return next((kind for kind, registry in REGISTRIES.items() if name.partition(":")[0].strip() in registry), None)


def _means_something(text: str) -> bool:
    """Whether it is a cell, or a misspelt one, of which the grammar of cells says what is wrong."""
    if all(kind_of(piece) for piece in text.split("+")):
        return True
    names = _names()
    pieces = [piece.partition(":")[0] for piece in text.split("+")]
    if len(pieces) > 1 and not all(pieces):
        return True  # the grammar of cells says what is wrong
    return all(closest(piece, names) for piece in pieces) and not {",", " "} & {*pieces[0]}


def _names() -> list[str]:
    """What methods are called, here and elsewhere."""
    from bench.runs.spec import REGISTRIES

    entries = [entry for registry in REGISTRIES.values() for entry in registry.entries.values()]
    return [name for entry in entries for name in (entry.name, *entry.aliases)]


def _belongs(word: str) -> str | None:
    """Where a word belongs that is no cell."""
    from datasets import catalog
    from recmodels.metrics import METRICS
    from recmodels.settings import SYNONYMS, setting_parameters

    if not word.strip():
        return "the name is empty: write one as in `bench compare uniform popularity`"
    if word.lower().endswith((".toml", ".yaml", ".yml", ".json")):
        return "an experiment file is TOML and stands alone, as in `bench run FILE.toml`"
    if (Path(word) / "table.json").exists():
        return f"it is a published table: give it as --with {word}, or to `bench report` or `bench verify`"
    if (Path(word) / "table.toml").exists():
        return f"it is a table that is not published yet: make it with `bench publish {word}`"
    if Path(word).exists() or catalog.known(word.partition(":")[0]) or word == "synthetic":
        return f"it is data: give it as --dataset {word}"
    if plain(word.partition("@")[0]) in METRICS:
        return f"it is a metric: give it as --metric {word.lower()}"
    name, equals, value = word.partition("=")
    if equals and ":" not in name:
        if name in SYNONYMS or name in setting_parameters():
            return f"give a trainer setting as --set {SYNONYMS.get(name, name)}={value}"
        return f"give an option as --{name} {value}"
    if "," in word or " " in word:
        apart = " ".join(word.replace(",", " ").split())
        return f"separate names by blanks, as in `bench compare {apart}`"
    if kind_of(word):
        return f"it is a {kind_of(word)}: see `bench compare {word}`"
    return None


def _check_kind(kind: str, text: str) -> None:
    found = kind_of(text)
    if found == "baseline":
        raise UserError(f"'{text}' is a baseline and no {kind}; name it alone, as in `bench compare {text}`.")
    if found is not None and found != kind:
        raise UserError(f"'{text}' is a {found} and no {kind}; give it as --{found} {text}.")
    if found is None and "," in text:
        raise UserError(f"--{kind} {text} is no {kind}; repeat --{kind} for several.")


def _no_option(given: str, context: typer.Context) -> str:
    """An option that the command lacks: of another command, a setting, or misspelt."""
    from recmodels.settings import SYNONYMS, setting_parameters

    known = [opt for parameter in context.command.params for opt in parameter.opts if opt.startswith("--")]
    word, path = given.lstrip("-"), context.command_path
    said = f"{path} has no option {given}"
    setting = word.replace("-", "_")
    if (setting in setting_parameters() or setting in SYNONYMS) and "--set" in known:
        meant = f"{SYNONYMS.get(setting, setting)}={_value(given) or 'VALUE'}"
        return f"{said}; give a trainer setting as --set {meant}."
    others = {alias: name for alias, name in OPTIONS.items() if f"--{name}" in known}
    owners = _having(given, cast(typer.Context, context.find_root())) if word not in others else []
    if owners:
        return f"{said}, which is one of {', '.join(owners)}; see `{path} --help`."
    if word == "config":
        return f"{said}; an experiment file is a name: `bench run {_value(given) or 'FILE.toml'}`."
    close = closest(word, [*(opt[2:] for opt in known), *others])
    hint = f" Did you mean --{others.get(close, close)}?" if close else ""
    return f"{said}.{hint} See `{path} --help`."


def _having(option: str, context: typer.Context) -> list[str]:
    """The commands that have an option, in words."""
    found = []
    for name, command in getattr(context.command, "commands", {}).items():
        inner = typer.Context(command, info_name=name, parent=context)
        if any(option in parameter.opts for parameter in command.params):
            found.append(inner.command_path)
        found += _having(option, inner)
    return found


def _value(given: str) -> str | None:
    """What was typed after an option, for a hint that can be copied."""
    import sys

    for word, after in zip(sys.argv, [*sys.argv[1:], ""], strict=True):
        if word.startswith(f"{given}="):
            return word.partition("=")[2]
        if word == given and after and not after.startswith("-"):
            return after
    return None


def _owners(option: str) -> list[str]:
    from bench.runs.spec import REGISTRIES

    entries = [entry for registry in REGISTRIES.values() for entry in registry.entries.values()]
    owners = [entry.name for entry in entries if option in entry.parameters]
    first = ("popularity", "softmax", "lightgcn", "dns")  # the best known come first
    return sorted(owners, key=lambda name: (name not in first, name))


def _words(kind: type[Request]) -> Sequence[str]:
    from bench.cli.experiment_file import word

    return [word(field.name) for field in fields(kind)]


def unknown_key(key: str, path: Path, kind: type[Request]) -> UserError:
    """An experiment file for this kind of request has no such key: a setting, a key of another command, or misspelt."""
    from bench.cli.main import REQUESTS
    from bench.cli.request import Request
    from recmodels.settings import SYNONYMS, setting_parameters

    meant = SYNONYMS.get(key, key)
    if meant in setting_parameters():
        return UserError(f"{path}: '{key}' is a trainer setting; write {meant} = … under a line [set].")
    loaded = {name: known.load() for name, known in REQUESTS.items()}
    kinds = {name: found for name, found in loaded.items() if isinstance(found, type) and issubclass(found, Request)}
    commands = [f"bench {name}" for name, other in kinds.items() if key in _words(other)]
    if commands:
        name = next((f"bench {name}" for name, other in kinds.items() if other is kind), "a published table")
        return UserError(f"{path}: {name} has no '{key}', which is a key of {', '.join(commands)}.")
    return unknown(f"key of an experiment file ({path})", key, _words(kind), {**OPTIONS, "settings": "set"})
