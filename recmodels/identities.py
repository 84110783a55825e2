"""Cells that are the same training by identity, whatever they are called; nothing is imported for it."""

from __future__ import annotations

import json
from collections.abc import Mapping

from recmodels.compatibility import Parameters, held, is_whole, proposal_gives
from recmodels.entries import Value
from recmodels.losses import LOSSES
from recmodels.proposals import known_proposal, read

Named = tuple[str, Parameters]


def canonical(sampler: Named, loss: Named, model: Named, settings: Parameters) -> str:
    """A text that two cells share where every step of one is a step of the other, up to rounding.

    The losses then have equal gradients on the same draws. Cells that are alike in distribution only, or after
    rescaling by the optimiser, have texts of their own. Arguments as for `recmodels.compatibility.reason`.
    """
    whole, facts = is_whole(sampler[0]), LOSSES.entry(loss[0]).facts
    without = "no_negatives" in held("needs", LOSSES.entry(loss[0]), loss[1])
    chosen: dict[str, object] = dict(settings)
    space = facts["space"] if settings["space"] == "loss" else settings["space"]
    chosen["space"] = space
    if settings["rank_space"] == "loss":
        chosen["rank_space"] = facts.get("rank_space", space)
    if whole or without:
        chosen["negatives"] = "all"
    plain, simpler = None, sampler
    while plain != simpler:
        plain, simpler = simpler, _simpler_sampler(simpler, chosen["negatives"], str(space))
    sampler = simpler
    user, positive, negative = (
        settings["l2"] if settings[f"l2_{role}"] is None else settings[f"l2_{role}"]
        for role in ("user", "positive", "negative")
    )
    chosen |= {"l2": None, "l2_user": user, "l2_positive": positive, "l2_negative": None if without else negative}
    if settings["init"] == "xavier":
        chosen["init_std"] = None
    # full: every item once, with q = 1 / I
    flat = whole or (sampler[0] == "uniform" and sampler[1]["reject"] is False)
    named, before = loss, None
    while named != before:
        named, before = _simpler(named, whole, flat, chosen["negatives"] == 1), named
    parts = {"sampler": sampler, "loss": named, "model": _simpler_model(model)}
    return json.dumps(
        {kind: [name, dict(parameters)] for kind, (name, parameters) in parts.items()} | {"settings": chosen},
        sort_keys=True,
    )


def _simpler_sampler(sampler: Named, negatives: object, space: str) -> Named:
    """The same sampler under a simpler name, or as it is."""
    name, p = sampler
    match name:
        case "hard-inbatch" if isinstance(p["pool"], int) and isinstance(negatives, int):
            proposal = known_proposal(f"inbatch:mask={p['mask']}:dedup=true")
            return "dns-mn", {"pool": max(negatives, p["pool"]), "keep": None, "proposal": proposal}
        case "dns-mn" if p["keep"] == negatives:
            return name, {**p, "keep": None}
        case "dns-mn" if p["pool"] == negatives:
            return _proposal_of(p)
        case "dns" | "curriculum" | "ahns" if p["pool"] == 1:
            return _proposal_of(p)
        case "pris" if "uniform_q" in proposal_gives(p) and space in ("dot", "distance"):
            return "self-adversarial", {"scale": 1.0, "proposal": p["proposal"]}
        case "self-adversarial" if p["scale"] == 0:
            return _proposal_of(p)
        case "self-adversarial" if p["scale"] is None and space in ("dot", "distance"):
            return name, {**p, "scale": 1.0}
    return sampler


def _simpler_model(model: Named) -> Named:
    """The same model under a simpler name, or as it is."""
    return ("mf", {"bias": False}) if model[0] == "history" and model[1]["gamma"] == 1 else model


def _proposal_of(parameters: Parameters) -> Named:
    entry, options = read(str(parameters["proposal"]))
    return entry.name, options


def _simpler(loss: Named, whole: bool, flat: bool, single: bool) -> Named:
    """The same loss under a simpler name, or as it is.

    Args:
        loss: name and parameters.
        whole: whether the negatives are the catalogue, each item once.
        flat: whether all items have one probability.
        single: whether each row has one negative.
    """
    name, p = loss
    tau: dict[str, Value] = {"temperature": p.get("temperature")}
    match name:
        case "gbce" if whole or p["calibration"] == 0:  # β = 1
            return "bce", {"counting": "sum"}
        case "nce" if whole:  # log(N q) = 0
            return "bce", {"counting": "sum"}
        case "bce" if single:
            return "bce", {"counting": "sum"}
        case "softmax" if p["logq"] == "none":
            return ("infonce" if p["include_positive"] else "sl"), tau
        case "softmax" if whole or (flat and p["logq"] == "both"):  # log(N q) = 0; one shift of all exponents
            return name, {**p, "logq": "none"}
        case "debiased" if p["prior"] == 0 and p["hardness"] == 0:  # a mean over cosines is not below its floor
            return "infonce", tau
        case "bsl":
            return _bsl(p)
        case "infonce" if single and p["temperature"] == 1:
            return "bpr", {}
        case "bpr-max" if single and p["regularization"] == 0:
            return "bpr", {}
        case "top1-max" if single:
            return "top1", {}
        case "simce" if single:
            return "hinge", {"margin": p["margin"]}
    return loss


def _bsl(p: Mapping[str, Value]) -> Named:
    """`single` and `paper` as `reweight`; `sl` where both sides are alike. `single` differs by log N, a constant."""
    form, negative, weight = p["form"], p["temperature"], p["negative_weight"]
    positive = p["positive_temperature"] or negative
    if form in ("single", "paper"):
        assert isinstance(negative, (int, float))
        assert isinstance(positive, (int, float))
        form, weight = "reweight", (1.0 if form == "single" else negative / positive)
    if form == "reweight" and weight == 1 and positive == negative:
        return "sl", {"temperature": negative}
    return "bsl", {
        "form": form, "temperature": negative, "positive_temperature": positive, "negative_weight": weight
    }  # fmt: skip
