"""The trainer's settings: everything that may move results apart from model, sampler, loss and seed."""

from __future__ import annotations

import inspect
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

from recmodels.entries import Parameter, Value, class_parameters
from recmodels.registry import fill
from recmodels.search import Search
from recmodels.sizes import SMALLEST, batch_for, rate_for

AUTO = "auto"
OF_ROWS = {"batch", "vectors"}  # what a loss or model needs that looks at the other rows of its batch
WHOLE = "whole"  # beside what they need, of a sampler that gives all items whatever the batch

SYNONYMS = {
    **dict.fromkeys(("lr", "eta", "step_size", "init_lr"), "learning_rate"),
    **dict.fromkeys(
        ("dim", "dims", "emb_size", "emb_dim", "embed_dim", "embedding_dim", "factors", "n_factors", "num_factors"),
        "embedding_size",
    ),
    **dict.fromkeys(("latent_dim", "hidden_size", "embedding_dimension"), "embedding_size"),
    **dict.fromkeys(("reg", "reg_weight", "regularization", "regularisation", "lambda", "l2_reg"), "l2"),
    **dict.fromkeys(("wd", "decay"), "weight_decay"),
    **dict.fromkeys(("bs", "batch", "train_batch_size"), "batch_size"),
    **dict.fromkeys(("neg", "n_neg", "num_neg", "num_negatives", "neg_samples", "n_negatives"), "negatives"),
    **dict.fromkeys(("early_stopping", "early_stop", "stopping_step"), "patience"),
    **dict.fromkeys(("opt", "optim", "optimiser", "learner"), "optimizer"),
    **dict.fromkeys(("n_epochs", "num_epochs", "max_epochs", "iterations", "iter", "n_iter"), "epochs"),
    **dict.fromkeys(("monitor", "valid_metric", "eval_metric"), "select_on"),
    **dict.fromkeys(("grad_clip", "clip_norm", "max_grad_norm"), "clip"),
    **dict.fromkeys(("scheduler", "lr_scheduler"), "schedule"),
    **dict.fromkeys(("betas", "beta"), "beta1"),
    **dict.fromkeys(("tau", "temp", "t"), "temperature"),
    **dict.fromkeys(("n_layers", "num_layers"), "layers"),
}
"""What other programs call settings, and parameters of methods; for hints alone."""


@dataclass(frozen=True)
class Settings:
    """How a model is trained.

    Attributes:
        epochs: passes over the training interactions, at most.
        patience: epochs without a better validation metric before training stops; they count from where the schedule
            of the sampler stands still, and a `schedule` of the learning rate always runs to its last epoch.
        select_on: the metric on validation that chooses the epoch, as in `recall@20`; a table's only shows results.
        valid_users: users that validation ranks, at most: a fixed sample, the same for every run. The test ranks all.
        batch_size: B, positive pairs per step; `auto` is 1024, from 300,000 training rows on 4096 and from 3 million on
            8192, but 1024 where the batch is a part of the loss or of the law of negatives.
        negatives: N, negatives per positive; `all` for samplers that offer a whole batch or catalogue.
        embedding_size: D, numbers per user and per item.
        optimizer: `adam` updates every row at every step (Kingma and Ba, ICLR 2015); `lazy_adam` only the rows of the
            batch, whose moments stand still meanwhile; `sgd`; `adagrad` (Duchi, Hazan, Singer, JMLR 2011).
        learning_rate: of the optimiser; `auto` is 0.007 · (batch_size / 1024)^¼, to two digits.
        momentum: of `sgd` (Polyak, 1964): m ← momentum · m + gradient, and m moves every row at every step.
        beta1: of `adam` and `lazy_adam`, how much of the mean of gradients is kept from step to step.
        beta2: of `adam` and `lazy_adam`, how much of the mean of squared gradients is kept.
        schedule: `linear` and `cosine` lower the learning rate from epoch to epoch, towards 0 after the last.
        clip: the largest norm of the gradient of all parameters together; a longer one is scaled down to it (Pascanu,
            Mikolov, Bengio, ICML 2013). `l2` counts in the norm, `weight_decay` comes after; none means no limit.
        weight_decay: so many times each parameter is added to its gradient, on all rows at every step, whether or not
            the batch has them, as `weight_decay` of torch.optim's SGD, Adagrad and Adam. `l2` is not this: it reaches
            the rows of the batch alone, by their role there.
        l2: weight of (‖u‖² + ‖v⁺‖² + mean over negatives of ‖v⁻‖²) / 2, averaged over the batch.
        l2_user: the weight of ‖u‖² alone; none means `l2`.
        l2_positive: the weight of ‖v⁺‖² alone; none means `l2`.
        l2_negative: the weight of ‖v⁻‖² alone; none means `l2`.
        l2_bias: the weight of the squared biases of positives and, by their mean, negatives.
        init: law of the initial vectors: `normal` or `uniform` with standard deviation `init_std`, or `xavier`, normal
            with variance 2 / (rows + columns) of the table.
        init_std: standard deviation of the initial vectors.
        dropout: share of the numbers of each user's vector that a step sets to 0, the others scaled up.
        positives: an epoch's rows: every `interaction` once, or as many draws of a `user` and one of its items.
        reduction: whether the rows of a batch, and their L2 terms, are averaged or summed.
        learn_temperature: whether the `temperature` of the loss is only where a learned one starts. Its logarithm is a
            parameter, and it does not fall below 0.01 (as in CLIP; Radford et al., ICML 2021).
        space: score space, in place of the one the loss declares.
        rank_space: score space of the ranking, in place of the one the loss declares or is trained in.
    """

    epochs: Annotated[int, ">= 1"] = 100
    patience: Annotated[int, ">= 1"] = 10
    select_on: Annotated[str, "metric@K"] = "ndcg@10"
    valid_users: Annotated[int, ">= 1"] = 10_000
    batch_size: Annotated[int, ">= 1", Search(256, 4096, log=True)] | Literal["auto"] = "auto"  # BSL, CCL
    # IRB, BSL; methods that want more say so
    negatives: Annotated[int, ">= 1", Search(1, 64, log=True)] | Literal["all"] = 16
    embedding_size: Annotated[int, ">= 1"] = 64
    # RB
    optimizer: Annotated[Literal["adam", "lazy_adam", "sgd", "adagrad"], Search(among=("adam", "sgd", "adagrad"))] = (
        "adam"
    )
    # IRB, RB, BSL; of adam
    learning_rate: Annotated[float, "> 0", Search(1e-4, 5e-2, log=True)] | Literal["auto"] = "auto"
    momentum: Annotated[float, ">= 0, < 1"] = 0.0
    beta1: Annotated[float, ">= 0, < 1", Search(among=(0.0, 0.5, 0.9))] = 0.9  # RB
    beta2: Annotated[float, ">= 0, < 1", Search(among=(0.99, 0.999, 0.9999))] = 0.999  # RB
    clip: Annotated[float, "> 0"] | None = None
    weight_decay: Annotated[float, ">= 0", Search(among=(0.0, 1e-8, 1e-6, 1e-5, 1e-4))] = 0.0  # IRB, DirectAU
    # judgement
    schedule: Annotated[Literal["constant", "linear", "cosine"], Search(among=("constant", "linear", "cosine"))] = (
        "constant"
    )
    l2: Annotated[float, ">= 0", Search(1e-6, 1e-1, log=True, among=(0.0,))] = 0.01  # IRB, BSL; of dot products
    l2_user: Annotated[float, ">= 0", Search(1e-5, 1e-2, log=True, among=(None,))] | None = None  # RB
    l2_positive: Annotated[float, ">= 0", Search(1e-5, 1e-2, log=True, among=(None,))] | None = None  # RB
    l2_negative: Annotated[float, ">= 0", Search(1e-5, 1e-2, log=True, among=(None,))] | None = None  # RB
    l2_bias: Annotated[float, ">= 0"] = 0.0
    # DirectAU, BSL
    init: Annotated[Literal["normal", "uniform", "xavier"], Search(among=("normal", "xavier"))] = "xavier"
    init_std: Annotated[float, "> 0", Search(0.01, 0.3, log=True, when="init != xavier")] = 0.1  # DirectAU, BSL
    dropout: Annotated[float, ">= 0, < 1", Search(among=(0.0, 0.1, 0.2, 0.4))] = 0.0  # BSL, CCL
    positives: Literal["interaction", "user"] = "interaction"
    reduction: Literal["mean", "sum"] = "mean"
    learn_temperature: bool = False
    space: Literal["loss", "dot", "cosine", "half-cosine", "distance"] = "loss"
    rank_space: Literal["loss", "dot", "cosine", "half-cosine", "distance"] = "loss"

    @property
    def n(self) -> int | None:
        """N, or None where a sampler is to give all it has."""
        return None if self.negatives == "all" else self.negatives

    @property
    def rows(self) -> int:
        """B; `auto` is that of the smallest data, for only `trainer_settings` knows how many rows there are."""
        return SMALLEST if self.batch_size == "auto" else self.batch_size

    @property
    def rate(self) -> float:
        """The learning rate."""
        return rate_for(self.rows) if self.learning_rate == "auto" else self.learning_rate

    @property
    def every_row(self) -> bool:
        """Whether an update moves rows that have no gradient."""
        return self.optimizer == "adam" or self.momentum > 0 or self.weight_decay > 0

    @property
    def l2_roles(self) -> tuple[float, float, float]:
        """The weights for users, positives and negatives."""
        roles = (self.l2_user, self.l2_positive, self.l2_negative)
        user, positive, negative = (self.l2 if role is None else role for role in roles)
        return user, positive, negative


@cache
def setting_parameters() -> dict[str, Parameter]:
    """The fields of `Settings`, as the command line reads them."""
    return class_parameters(Path(__file__), "Settings")


def trainer_settings(given: Mapping[str, str], rows: int = 0, needs: Collection[str] = ()) -> dict[str, Value]:
    """All settings of the trainer, some `given` as text, with numbers in place of `auto`.

    The batch follows from the training `rows`, whichever of them an epoch has. It stays the smallest where it is a
    part of the loss, as the `needs` of loss and model tell, or of the law of negatives, with negatives=all, which
    means nothing to a sampler of the whole catalogue (`WHOLE`). The learning rate follows from the batch.

    Raises:
        UserError: an unknown setting, or a value it cannot take.
    """
    values = fill("trainer", setting_parameters(), dict(given), SYNONYMS)
    if values["batch_size"] == AUTO:
        alone = (values["negatives"] == "all" and WHOLE not in needs) or OF_ROWS & set(needs)
        values["batch_size"] = SMALLEST if alone else batch_for(rows)
    if values["learning_rate"] == AUTO:
        values["learning_rate"] = _rate(values)
    return values


def usual(settings: Mapping[str, Value]) -> dict[str, Value]:
    """The defaults on small data, with the learning rate that goes with the batch of these `settings`."""
    found = {name: parameter.default for name, parameter in setting_parameters().items()}
    return found | {"batch_size": SMALLEST, "learning_rate": _rate(settings)}


def _rate(settings: Mapping[str, Value]) -> float:
    size = settings.get("batch_size", SMALLEST)
    assert isinstance(size, int)
    return rate_for(size)


def meanings() -> dict[str, str]:
    """What each setting means, as the docstring of `Settings` says it."""
    text = (inspect.getdoc(Settings) or "").partition("Attributes:\n")[2]
    found = re.findall(r"^    (\w+): (.*(?:\n     .*)*)", text, re.M)
    return {name: " ".join(meaning.split()) for name, meaning in found}
