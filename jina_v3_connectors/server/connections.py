"""Who is connected, and who has to go when there are too many."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol


class Waits(IntEnum):
    """What a connection waits for; those further up go first when one has to."""

    FOR_REQUEST = 0
    """Its client is idle, or still sending headers."""
    FOR_BODY = 1
    FOR_SERVER = 2
    """A request is being worked on or answered; it stays."""


@dataclass(frozen=True)
class ConnectionLimits:
    """Times and numbers that keep clients which hold connections from locking others out."""

    connections: int = 512
    per_peer: int = 256
    """Of one address. Behind a proxy that is everybody."""
    surplus: int = 64
    """More connections than that may still ask for /health and /metrics."""
    header_seconds: float = 10.0
    """Time for a request's headers to arrive, from the connection or their first byte on."""
    idle_seconds: float = 30.0
    """Time between an answer and the next request."""
    stalled_seconds: float = 20.0
    """How long a client may read less than `slowest` of its answer."""
    slowest: int = 1024
    """Bytes a second."""
    unread_bytes: int = 256 * 2**20
    """Answers that were not read yet, of all connections; past it those that wait longest are given up."""


class Member(Protocol):
    """A connection, as it is counted."""

    peer: str
    waits: Waits
    since: float
    """When it began to wait."""
    surplus: bool
    """One too many."""
    paused_since: float | None
    """When its client fell behind with reading answers."""

    @property
    def unread(self) -> int:
        """Bytes of answers that its client did not read yet."""

    def end(self) -> None:
        """Close it; it is a member no more."""


class Connections:
    """All open ones. A new one always gets in while another waits for its client, which then has to go.

    So idle connections, however many, lock nobody out. Where all are being served, a new one is surplus.
    """

    def __init__(self, limits: ConnectionLimits) -> None:
        self.limits = limits
        self._members: dict[Member, None] = {}

    def __len__(self) -> int:
        return len(self._members)

    def add(self, member: Member) -> bool:
        """Take a connection in, or not where not even one that asks for the server's health has room."""
        counted = [other for other in self._members if not other.surplus]
        of_peer = [other for other in counted if other.peer == member.peer]
        full_peer, full = len(of_peer) >= self.limits.per_peer, len(counted) >= self.limits.connections
        if full_peer or full:
            member.surplus = not self._end_one(of_peer if full_peer else _of_largest_peer(counted))
        if member.surplus:
            surplus = [other for other in self._members if other.surplus]
            if len(surplus) >= self.limits.surplus and not self._end_one(surplus):
                return False
        self._members[member] = None
        return True

    def bound_unread(self, newest: Member) -> None:
        """End those that have been behind with reading for longest, as long as all answers together take too much."""
        behind = [member for member in self._members if member.paused_since is not None and member is not newest]
        unread = newest.unread + sum(member.unread for member in behind)
        for member in sorted(behind, key=lambda member: member.paused_since or 0.0):
            if unread <= self.limits.unread_bytes:
                return
            unread -= member.unread
            member.end()

    def end_all(self) -> None:
        for member in list(self._members):
            member.end()

    def remove(self, member: Member) -> None:
        self._members.pop(member, None)

    def _end_one(self, members: Iterable[Member]) -> bool:
        """End the one of these that has waited longest for its client, if any does."""
        waiting = [member for member in members if member.waits != Waits.FOR_SERVER]
        if not waiting:
            return False
        longest = min(waiting, key=lambda member: (member.waits, member.since))
        self.remove(longest)
        longest.end()
        return True


def _of_largest_peer(members: Iterable[Member]) -> list[Member]:
    """Those of the address that has the most which wait for their client."""
    waiting = [member for member in members if member.waits != Waits.FOR_SERVER]
    most = Counter(member.peer for member in waiting).most_common(1)
    return [member for member in waiting if most and member.peer == most[0][0]]
