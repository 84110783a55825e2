"""What a user allows when data are fetched."""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Consent:
    """What the user allows: content that is not the official one, content nobody pinned, use of the network.

    Attributes:
        unverified: take content whose checksum is another than the published one.
        accept_unpinned: take content of which nobody published a checksum.
        offline: never open a connection; None asks the environment (`BENCH_OFFLINE`).

    Example:
        >>> Consent().unverified
        False
    """

    unverified: bool = False
    accept_unpinned: bool = False
    offline: bool | None = None

    @property
    def online(self) -> bool:
        """Whether a socket may be opened.

        Example:
            >>> Consent(offline=True).online
            False
        """
        if self.offline is None:
            return os.environ.get("BENCH_OFFLINE", "") in ("", "0")
        return not self.offline
