"""Which sampler, loss, model and settings go together, computed from what each declares; nothing is imported for it."""

from __future__ import annotations

from collections.abc import Mapping

from recmodels.entries import Entry, Value
from recmodels.losses import LOSSES
from recmodels.models import MODELS
from recmodels.samplers import SAMPLERS
from recmodels.settings import WHOLE, setting_parameters, trainer_settings

# words of a loss's `needs` that its sampler must give, and what they mean
FROM_SAMPLER = {
    "log_q": "the probability of each negative (log q)",
    "uniform_q": "negatives drawn uniformly",
    "ordered": "independent draws in order",
    "catalogue": "the whole catalogue, of which it takes what its buckets hold",
}
FROM_MODEL = {
    "free_vectors": "vectors that are parameters themselves",
    "rows": "vectors that depend on the users and items of the batch alone",
    "unseen_users": "vectors of users that it was not trained on",
    "queries": "a query for every row",
    "dot": "dot products",
    "cosine": "cosines",
    "half-cosine": "cosines",
    "distance": "distances",
}
# what a sampler may give that a loss must be able to use
TO_LOSS = {"weight": "weights of the negatives"}
NO_NEGATIVES = "uniform"  # the sampler, without options, beside which losses without negatives are listed: once

Parameters = Mapping[str, Value]


def reason(
    sampler: tuple[str, Parameters],
    loss: tuple[str, Parameters],
    model: tuple[str, Parameters],
    settings: Parameters,
) -> str | None:
    """Why these cannot be trained together, in half a sentence; None where they can.

    Args:
        sampler: name and all parameters; so are loss and model.
        loss: see sampler.
        model: see sampler.
        settings: the trainer's.
    """
    drawn, trained, encoder = SAMPLERS.entry(sampler[0]), LOSSES.entry(loss[0]), MODELS.entry(model[0])
    gives, needs = held("gives", drawn, sampler[1]), held("needs", trained, loss[1])
    from_model = held("gives", encoder, model[1])
    if "no_negatives" in needs:
        if _called(sampler, drawn) != NO_NEGATIVES:
            return f"{trained.name} uses no negatives, so that no sampler changes it; pair it with plain {NO_NEGATIVES}"
        if settings["l2_negative"] is not None:
            return f"{trained.name} uses no negatives, so that nothing has l2_negative; leave it out"
    else:
        if unfit := _unfit_proposal(drawn, sampler[1]):
            return unfit
        if "log_q" in needs and "weight" in gives:
            return f"{drawn.name} gives weights, which {trained.name} with its log q would correct a second time"
        for word, meaning in FROM_SAMPLER.items():
            if word in needs and word not in gives:
                return f"{trained.name} needs {meaning}, which {drawn.name} does not give"
        for word in sorted(gives & held("refuses", trained, loss[1])):
            return f"{drawn.name} gives {TO_LOSS.get(word, word)}, which {trained.name} cannot use"
        if settings["negatives"] == "all" and "all" not in gives:
            return f"{drawn.name} has no negatives=all; give a number"
    if settings["learn_temperature"] and "temperature" not in trained.parameters:
        return f"{trained.name} has no temperature to learn; use learn_temperature=false, or the model cosine-towers"
    own = str(trained.facts["space"] if settings["space"] == "loss" else settings["space"])
    spaces = trained.facts.get("spaces", [trained.facts["space"]])
    if own not in spaces:
        why = trained.facts.get("spaces_why")
        return f"{trained.name} is for {' and '.join(spaces)} scores, not {own}" + (f": {why}" if why else "")
    for word in [own, *sorted(needs)]:
        if word in FROM_MODEL and word not in from_model:
            return f"{trained.name} needs {FROM_MODEL[word]}, which {_called(model, encoder)} does not give"
    whole = "tables" in needs and needs & {"no_negatives", "catalogue"}  # it reads the tables, not scores of the batch
    parts = ((drawn, sampler[1]), (trained, loss[1]), (encoder, model[1]))
    if nothing := _means_nothing(settings) or next(filter(None, (_unread(*part, settings) for part in parts)), None):
        return nothing
    if settings["optimizer"] == "lazy_adam":
        if not from_model & {"free_vectors", "rows"}:
            return f"lazy_adam updates rows alone, and the vectors of {encoder.name} depend on all rows; use adam"
        if whole:
            return f"lazy_adam updates rows alone, and {trained.name} sums over whole tables; use adam"
        if learned := trained.facts.get("learns"):
            return f"lazy_adam updates rows alone, and {trained.name} learns {learned} too; use adam"
    if "tables" in needs & held("refuses", encoder, model[1]):
        return f"{trained.name} reads whole tables, and {_called(model, encoder)} has a user of its own for each row"
    if "user_rows" in needs & held("refuses", encoder, model[1]):
        return (
            f"{trained.name} groups the rows of a user, which are different queries of {encoder.name}; use another form"
        )
    if "user_tables" in needs & held("refuses", encoder, model[1]):
        return f"{trained.name} scores all that a user has, and {_called(model, encoder)} has a query for every row"
    if settings["positives"] == "user" and "queries" in from_model:
        return f"{encoder.name} trains on all positions of a sequence at once; use positives=interaction"
    if whole and settings["dropout"]:
        return f"{trained.name} sums over whole tables, which dropout does not reach; use dropout=0"
    for entry, given in ((drawn, sampler[1]), (encoder, model[1])):
        for limit in entry.facts.get("limits", []):
            left, symbol, right = limit.split()
            low, high = (settings.get(side, given.get(side)) for side in (left, right))
            if isinstance(low, int) and isinstance(high, int) and low > high - (symbol == "<"):
                return f"{entry.name} needs {limit}, not {low} and {high}"
    return None


def unseen(model: tuple[str, Parameters]) -> str | None:
    """Why a model cannot rank users that it was not trained on, in half a sentence; None where it can."""
    entry = MODELS.entry(model[0])
    if "unseen_users" in held("gives", entry, model[1]):
        return None
    able = [each for each in MODELS if "unseen_users" in held("gives", MODELS.entry(each), MODELS.parameters(each, {}))]
    return (
        f"{_called(model, entry)} has a vector for each user that it is trained on and none for others, whom a strong "
        f"split tests; use the model {' or '.join(sorted(able))}, or a baseline, as itemknn or ease"
    )


def _unfit_proposal(drawn: Entry, parameters: Parameters) -> str | None:
    """Why a sampler cannot choose among the draws of its proposal; None where it can, or has none."""
    if "proposal" not in parameters:
        return None
    given = proposal_gives(parameters)
    if "vectors" in given:
        return f"{drawn.name} chooses among items, and {parameters['proposal']} gives vectors in their place"
    for word in drawn.facts.get("of_proposal", []):
        if word not in given:
            return f"{drawn.name} needs {FROM_SAMPLER[word]}, which {parameters['proposal']} does not give"
    return None


def proposal_gives(parameters: Parameters) -> set[str]:
    """What the proposal named by a sampler's parameters gives."""
    from recmodels.proposals import read

    entry, options = read(str(parameters["proposal"]))
    return held("gives", entry, options)


def _means_nothing(settings: Parameters) -> str | None:
    """Which setting, changed from its default, nothing would read."""
    optimizer, defaults = settings["optimizer"], setting_parameters()
    if settings["momentum"] and optimizer != "sgd":
        instead = "adagrad has none" if optimizer == "adagrad" else f"{optimizer} has beta1"
        return f"momentum is of sgd, and {instead}; leave it out or use optimizer=sgd"
    for name in ("beta1", "beta2"):
        if optimizer in ("sgd", "adagrad") and settings[name] != defaults[name].default:
            return f"{name} is of adam and lazy_adam, and {optimizer} has none; leave it out"
    if settings["init"] == "xavier" and settings["init_std"] != defaults["init_std"].default:
        return "init_std is of init=normal and init=uniform, and xavier follows from the tables; add init=normal"
    if settings["weight_decay"] and optimizer == "lazy_adam":
        return "weight_decay moves all rows at every step and lazy_adam those of the batch; use l2, or optimizer=adam"
    return None


def _unread(entry: Entry, parameters: Parameters, settings: Parameters) -> str | None:
    """Which option of a part, or setting, changed from its default, the part as it is set does not read.

    Its fact `ignores` has for each the condition under which that is so, or several.
    """
    ignored: dict[str, str | list[str]] = entry.facts.get("ignores", {})
    for name, conditions in ignored.items():
        own = name in entry.parameters
        value = (parameters if own else settings)[name]
        if value == (entry.parameters if own else setting_parameters())[name].default:
            continue
        for condition in [conditions] if isinstance(conditions, str) else conditions:
            if _holds(condition, parameters):
                at = f" with {condition.replace(' == ', '=')}" if condition else ""
                return f"{entry.name}{at} reads no {name}; leave it out"
    return None


def table(models: list[str] | None = None) -> list[dict[str, str | None]]:
    """Every sampler × loss × model with default parameters and settings, and the reason where a cell is empty."""
    settings = trainer_settings({})
    return [
        {
            "sampler": sampler,
            "loss": loss,
            "model": model,
            "reason": reason(
                (sampler, SAMPLERS.parameters(sampler, {})),
                (loss, LOSSES.parameters(loss, {})),
                (model, MODELS.parameters(model, {})),
                settings | {"negatives": "all"} if is_whole(sampler) else settings,
            ),
        }
        for model in (models or MODELS)
        for sampler in SAMPLERS
        for loss in LOSSES
    ]


def needs_of(sampler: str, loss: tuple[str, Parameters], model: tuple[str, Parameters]) -> set[str]:
    """What the batch of these must be sized for, as `trainer_settings` takes it."""
    needs = held("needs", LOSSES.entry(loss[0]), loss[1]) | held("needs", MODELS.entry(model[0]), model[1])
    return needs | {WHOLE} if is_whole(sampler) else needs


def is_whole(sampler: str) -> bool:
    """Whether a sampler gives nothing but all it has, so that negatives=N means nothing to it."""
    return bool(SAMPLERS.entry(sampler).facts.get("negatives") == "all-only")


def chooses(sampler: str) -> bool:
    """Whether a sampler chooses among the draws of a proposal, or weighs them."""
    return "proposal" in SAMPLERS.entry(sampler).parameters


def asks(sampler: str) -> bool:
    """Whether a sampler needs more of the data than interactions, which not all data have."""
    return bool(SAMPLERS.entry(sampler).facts.get("asks"))


def reads_features(model: str) -> bool:
    """Whether a model needs features of the items, which not all data have."""
    return "features" in MODELS.entry(model).facts.get("asks", [])


def held(fact: str, entry: Entry, parameters: Parameters) -> set[str]:
    """The words of a fact such as `needs={"log_q": "logq != none"}` whose condition holds; a list has no conditions.

    A condition compares a parameter with a value, or is `proposal gives WORD`.
    """
    words = entry.facts.get(fact, [])
    conditions: dict[str, str] = words if isinstance(words, dict) else dict.fromkeys(words, "")
    return {word for word, condition in conditions.items() if _holds(condition, parameters)}


def text_of(value: Value) -> str:
    """A parameter's value as the command line writes it."""
    return str(value).lower() if isinstance(value, bool) or value is None else f"{value}"


def _holds(condition: str, parameters: Parameters) -> bool:
    if not condition:
        return True
    if " and " in condition:
        return all(_holds(part, parameters) for part in condition.split(" and "))
    key, symbol, value = condition.split()
    if symbol == "gives":
        return value in proposal_gives(parameters)
    return (text_of(parameters[key]) == value) == (symbol == "==")


def _called(part: tuple[str, Parameters], entry: Entry) -> str:
    changed = [f"{key}={text_of(value)}" for key, value in part[1].items() if value != entry.parameters[key].default]
    return part[0] + (":" + ",".join(changed) if changed else "")
