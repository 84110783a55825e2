"""`Protocol`: every decision on which interactions train, validate and test."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import isfinite
from typing import Any, TypeAlias

from datasets.errors import UserError, unknown
from datasets.grammar import named, with_option

JSON: TypeAlias = "str | int | float | bool | list[JSON] | dict[str, JSON] | None"

Option: TypeAlias = "str | float"

SPLITS: dict[str, dict[str, Option]] = {
    "leave-last-one-out": {},
    "leave-random-one-out": {},
    "ratio": {"test": 0.2, "valid": 0.1, "order": "random", "rounding": "half-up"},
    "global-time": {"test": 0.1, "valid": 0.1, "cold": "drop", "target": "all"},
    "strong": {"test": 0.1, "valid": 0.1, "fold_in": 0.8, "order": "random"},
    "given": {"valid": "auto", "users": "trained-on"},
}
"""Split name → its options with their defaults (docs/datasets.md says what each does)."""

MASKS = ("known", "train", "none")
"""What a ranking may leave out; see `Protocol`."""

_WORDS = {
    "order": ("random", "time"),
    "cold": ("drop", "keep"),
    "valid": ("auto", "last"),
    "rounding": ("half-up", "down"),
    "target": ("all", "first", "last", "random"),
    "users": ("trained-on", "held-out"),
}
_UNSPELLED = {
    "rounding": "half-up",
    "target": "all",
    "users": "trained-on",
}  # came later than the splits: left out where it is as it was, so that names stay
_SYNONYMS = {
    **dict.fromkeys(("loo", "leave-one-out", "leave-last-out", "last"), "leave-last-one-out"),
    **dict.fromkeys(("temporal", "time", "timestamp", "global"), "global-time"),
    **dict.fromkeys(("random", "holdout", "user-ratio"), "ratio"),
    **dict.fromkeys(("strong-generalisation", "strong-generalization", "users", "unseen-users", "fold-in"), "strong"),
}
_DUPLICATES = ("last", "first", "sum")


@dataclass(frozen=True)
class Protocol:
    """The data side of an experiment; all of it is part of a run's identity.

    Attributes:
        split: name of a split, with options as in `ratio:test=0.2,valid=0.1,order=time`.
        split_seed: seeds the random splits, the sampled users and the sampled candidates; never the run's seed.
        min_rating: interactions rated below it are left out; None keeps all.
        k_core: repeat until every user and every item has so many interactions; a pair means (users, items).
        min_user_count: users with fewer interactions are left out, counted once, before the k-core.
        min_item_count: the same for items; both counts are taken from the same rows.
        sample_users: keep so many users, drawn without replacement; 0 keeps all.
        duplicates: of a repeated (user, item) pair keep the `last`, the `first`, or the `sum` of the values.
        candidates: what is ranked per test user: `full`, `sampled:N`, or the `given` lists.
        mask: what of a user's own a full ranking leaves out: `known`, train, and at test validation too; `train`, the
            train part alone, at test too; `none`, nothing, so that train items are rivals. Of a user that is held out
            (split `strong`, or ready with `fold_in`) it is what is folded in, or nothing.

    Raises:
        UserError: a name or number that means nothing.

    Example:
        >>> protocol = Protocol("ratio:order=time", k_core=5, candidates="sampled:99")
        >>> protocol.split
        'ratio:order=time,test=0.2,valid=0.1'
    """

    split: str = "leave-last-one-out"
    split_seed: int = 0
    min_rating: float | None = None
    k_core: int | tuple[int, int] = 0
    min_user_count: int = 0
    min_item_count: int = 0
    sample_users: int = 0
    duplicates: str = "last"
    candidates: str = "full"
    mask: str = "known"

    def __post_init__(self) -> None:
        object.__setattr__(self, "split", _canonical(self.split))
        for name in ("split_seed", "min_user_count", "min_item_count", "sample_users"):
            if getattr(self, name) < 0:
                raise UserError(f"{name} is {getattr(self, name)}; give 0 or a positive whole number.")
        if min(self.core) < 0:
            raise UserError(f"k_core is {self.k_core}; give 0 (off) or a positive whole number.")
        if self.min_rating is not None and not isfinite(self.min_rating):
            raise UserError(f"min_rating is {self.min_rating}; give a number, as in 4.")
        if self.duplicates not in _DUPLICATES:
            raise unknown("rule for duplicates", self.duplicates, _DUPLICATES)
        if self.candidates not in ("full", "given") and self.sampled is None:
            raise UserError(f"candidates is '{self.candidates}'; give full, given, or sampled:N as in sampled:99.")
        if self.mask not in MASKS:
            raise unknown("ranking mask", self.mask, MASKS)
        if self.mask != Protocol.mask and self.candidates != "full":
            raise UserError(
                f"mask={self.mask} means nothing for lists of candidates, ranked as they are; leave it out."
            )

        if self.mask == "train" and self.strong:
            raise UserError(
                f"mask=train is what known is under {self.split_name}, whose users are in one part each; leave it out."
            )

    @property
    def strong(self) -> bool:
        """Whether users are held out, so that a ranking is of users that nothing was trained on.

        Example:
            >>> protocol.strong, Protocol("strong").strong
            (False, True)
        """
        return self.split_name == "strong" or self.split_options.get("users") == "held-out"

    @property
    def core(self) -> tuple[int, int]:
        """The k of users and of items.

        Example:
            >>> protocol.core
            (5, 5)
        """
        return self.k_core if isinstance(self.k_core, tuple) else (self.k_core, self.k_core)

    @property
    def sampled(self) -> int | None:
        """The N of `sampled:N`, or None.

        Example:
            >>> protocol.sampled, Protocol().sampled
            (99, None)
        """
        kind, _, number = self.candidates.partition(":")
        return int(number) if kind == "sampled" and number.isdecimal() and int(number) > 0 else None

    @property
    def split_name(self) -> str:
        """The split without its options.

        Example:
            >>> protocol.split_name
            'ratio'
        """
        return named(self.split)[0]

    @property
    def split_options(self) -> dict[str, Option]:
        """The split's options, defaults filled in.

        Example:
            >>> protocol.split_options["test"]
            0.2
        """
        return _parse(self.split)[1]

    @property
    def prepares(self) -> bool:
        """Whether it leaves out users or items, which a given split does not allow.

        Example:
            >>> protocol.prepares, Protocol().prepares
            (True, False)
        """
        return any(self.core) or bool(self.min_user_count or self.min_item_count or self.sample_users)

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Protocol:
        """The protocol that `as_dict` told, as a run keeps it.

        Example:
            >>> Protocol.of(protocol.as_dict()).split == protocol.split
            True
        """
        words: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in told.items()}
        return cls(**words)

    def as_dict(self) -> dict[str, JSON]:
        """Everything that decides the split, spelled in one way only.

        Example:
            >>> protocol.as_dict()["k_core"]
            [5, 5]
        """
        return {
            **asdict(self),
            "min_rating": None if self.min_rating is None else float(self.min_rating),
            "k_core": list(self.core),
        }


def with_target(split: str, target: str) -> str:
    """A split by global time that holds out one item of each user and part; the same split for the target `all`.

    Raises:
        UserError: it is another split, has a target of its own, or there is no such target.

    Example:
        >>> with_target("global-time:test=0.2", "last")
        'global-time:cold=drop,target=last,test=0.2,valid=0.1'
    """
    if target == SPLITS["global-time"]["target"]:
        return split
    name, given = named(split)
    if name != "global-time" or any(key == "target" for key, _ in given):
        reason = "it has a target already" if name == "global-time" else "only global-time has a target"
        raise UserError(
            f"--target {target} beside --split {split}: {reason}; write --split global-time:target={target}."
        )
    return _canonical(with_option(split, "target", target))


def _parse(text: str) -> tuple[str, dict[str, Option]]:
    name, given = named(text)
    if name not in SPLITS:
        raise unknown("split", name, SPLITS, _SYNONYMS)
    options = dict(SPLITS[name])
    for key, value in given:
        if value is None:
            raise UserError(f"'{key}' in '{text}' is not an option; write name=value, as in ratio:test=0.2.")
        if key not in options:
            raise unknown(f"option of the split {name}", key, options)
        options[key] = _value(name, key, value)
    shares = [v for key, v in options.items() if isinstance(v, float) and key != "fold_in"]
    if sum(shares) >= 1:
        raise UserError(f"The shares of '{text}' leave nothing to train on; test + valid must stay below 1.")
    return name, options


def _value(name: str, key: str, text: str) -> Option:
    words = _WORDS.get(key, ())
    if text in words and (key != "valid" or name == "given"):
        return text
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if key in ("test", "valid") and 0 <= share < 1:
        return share
    if key == "fold_in":
        if 0 < share < 1:
            return share
        raise UserError(f"{name}:fold_in is '{text}'; give a share above 0 and below 1.")
    allowed = ["a share from 0 to below 1"] if key in ("test", "valid") else [*words]
    allowed += [*words] if key == "valid" and name == "given" else []
    raise UserError(f"{name}:{key} is '{text}'; give {' or '.join(allowed)}.")


def _canonical(text: str) -> str:
    name, options = _parse(text)
    spelled = [f"{key}={value}" for key, value in sorted(options.items()) if _UNSPELLED.get(key) != value]
    return name + (":" + ",".join(spelled) if spelled else "")
