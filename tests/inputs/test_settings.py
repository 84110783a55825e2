"""`--set`: the trainer's settings under the names that other programs gave them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.inputs.asking import Case, ask, check, table

SYNONYMS = {
    "learning_rate": "lr LR learning-rate learningrate eta step_size",
    "embedding_size": "dim emb_size embedding_dim embedding-size emb_dim factors latent_dim hidden_size n_factors",
    "l2": "reg regularization lambda reg_weight",
    "weight_decay": "wd weight-decay decay",
    "batch_size": "bs batch batchsize train_batch_size",
    "negatives": "neg num_negatives n_neg num_neg neg_samples",
    "patience": "early_stopping stopping_step",
    "optimizer": "opt optim optimiser",
    "epochs": "n_epochs max_epochs epoch num_epochs iterations",
    "select_on": "monitor valid_metric",
    "clip": "grad_clip clip_norm max_grad_norm",
    "schedule": "scheduler lr_scheduler",
    "beta1": "betas",
}

MISTAKES: list[Case] = [
    ("epochs", 2, ["epochs", "name=value"]),
    ("=5", 2, ["name=value"]),
    ("''", 2, ["name=value"]),
    ("epochs=", 2, ["epochs", "whole number >= 1"]),
    ("epochs=0", 2, ["epochs must be a whole number >= 1, not '0'"]),
    ("epochs=-1", 2, ["epochs", ">= 1", "'-1'"]),
    ("epochs=1.5", 2, ["epochs", "whole number", "'1.5'"]),
    ("epochs=abc", 2, ["epochs", "whole number", "'abc'"]),
    ("epochs=1e3", 2, ["epochs", "whole number", "'1e3'"]),
    ("'epochs=10 000'", 2, ["epochs", "'10 000'"]),
    ("epochs=5,10", 2, ["epochs", "'5,10'", "repeat"]),
    ("epochs:5", 2, ["epochs:5", "name=value"]),
    ("'epochs 5'", 2, ["epochs 5", "name=value"]),
    ("learning_rate=0", 2, ["learning_rate", "> 0", "'0'"]),
    ("learning_rate=-1", 2, ["learning_rate", "'-1'"]),
    ("learning_rate=nan", 2, ["learning_rate", "'nan'"]),
    ("learning_rate=inf", 2, ["learning_rate", "'inf'"]),
    ("learning_rate=0,01", 2, ["learning_rate", "'0,01'"]),
    ("learning_rate=1e-3", 0, ["cells"]),
    ("optimizer=adamw", 2, ["optimizer", "'adamw'", "adam"]),
    ("optimizer=Adam", 0, ["cells"]),
    ("init=zeros", 2, ["init", "'zeros'", "xavier"]),
    ("schedule=cos", 2, ["schedule", "'cos'", "cosine"]),
    ("select_on=ndcg", 2, ["select_on", "ndcg@10"]),
    ("select_on=auc@10", 2, ["select_on", "auc"]),
    ("select_on=NDCG@10", 0, ["cells"]),
    ("dropout=1", 2, ["dropout", "< 1", "'1'"]),
    ("space=euclid", 2, ["space", "'euclid'", "distance"]),
    ("negatives=all", 2, ["uniform", "negatives=all"]),
    ("negatives=none", 2, ["negatives", "'none'"]),
    ("clip=none", 0, ["cells"]),
    ("epochs=2 --set epochs=2", 2, ["epochs", "twice"]),
    ("epochs=2 --set epochs=3", 0, ["2 cells"]),
    ("seed=3", 2, ["'seed'", "--seeds"]),
    ("seeds=3", 2, ["'seeds'", "--seeds"]),
    ("metric=hr@10", 2, ["'metric'", "--metric"]),
    ("loss=bpr", 2, ["'loss'", "--loss"]),
    ("sampler=uniform", 2, ["'sampler'", "--sampler"]),
    ("dataset=ml-1m", 2, ["'dataset'", "--dataset"]),
    ("temperature=0.1", 2, ["'temperature'", "softmax:temperature=0.1"]),
    ("alpha=0.5", 2, ["'alpha'", "popularity:alpha=0.5"]),
    ("layers=2", 2, ["'layers'", "lightgcn:layers=2"]),
    ("foo=1", 2, ["'foo'", "bench list settings"], ["Did you mean"]),
]


@pytest.mark.parametrize(
    ("given", "meant"), [(given, meant) for meant, names in SYNONYMS.items() for given in names.split()]
)
def test_the_name_that_others_gave_a_setting_leads_to_ours(given: str, meant: str, here: Path) -> None:
    check(ask(f"compare uniform --set {given}=1 --dataset ratings.csv"), 2, [f"'{given}'", f"'{meant}'"])


@table(MISTAKES)
def test_a_setting_is_told_its_values(words: str, code: int, must: list[str], must_not: list[str], here: Path) -> None:
    check(ask(f"compare uniform --set {words} --dataset ratings.csv --dry-run"), code, must, must_not)
