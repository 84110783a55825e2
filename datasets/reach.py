"""Which sources of a catalogued data set answer; nothing is taken from them."""

from __future__ import annotations

from pathlib import Path

from datasets.catalog import Entry
from datasets.consent import Consent
from datasets.download import CONNECT_SECONDS
from datasets.fetch import Offer, offers


def answers(entry: Entry, consent: Consent = Consent()) -> list[tuple[str, str]]:
    """Every source of the first file that is to be fetched, and why it does not answer, empty where it does.

    The sources after the first that answers are left out; so is a wheel, for which pip would have to be run.

    Raises:
        UserError: BENCH_DATA_MIRROR is no folder.
    """
    told = []
    for offer in offers(entry, entry.files[0], consent):
        if isinstance(offer.at, Path) or offer.at:
            told.append((offer.where, _silence(offer)))
            if not told[-1][1]:
                break
    return told


def _silence(offer: Offer) -> str:
    if isinstance(offer.at, Path):
        return "" if offer.at.is_file() else "is not there"
    import requests

    try:
        found = requests.head(offer.at, timeout=CONNECT_SECONDS, allow_redirects=True)
    except requests.exceptions.RequestException as error:
        return "could not be reached" if isinstance(error, requests.exceptions.ConnectionError) else "does not answer"
    return "" if found.status_code < 400 else f"answered {found.status_code} {found.reason}"
