"""Who is dead: what the sweeper knows of the owners of temporary queues, and which tags it has to read next. Pure.

An owner, which is one process, gives signs of life in a tag of one of its queues. It is judged by no clock but the
sweeper's own, and by no time that is written in a name: only a sign that does not change while the sweeper watches for
longer than the owner's own period says something. What is not of our shape, has no owner in its tags, or gives no
signs at all, is never judged. Three looks lead to a verdict:

1. the sign is seen, and the time is noted;
2. after the silence that makes an owner suspect it is the same;
3. the sweeper has proved by a sign of its own that such can be given, has left room for others to repeat one that
   failed, and has read the tags of *all* queues of the owner, which may have moved its sign from one to another.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from kombu_sns_sqs.sweeping.agenda import Agenda
from kombu_sns_sqs.sweeping.life_sign import LifeSign
from kombu_sns_sqs.sweeping.times import Times, silence
from kombu_sns_sqs.temporary_names import first_of, is_found_by_name, mark_of, parse_temporary
from kombu_sns_sqs.topology.entities import MARKS_TAG, OWNER_TAG, SIGN_TAG
from kombu_sns_sqs.topology.tags import QueueTags

#: Dead owners that are removed together: one list of a topic's subscriptions does for all of them.
_TOGETHER: Final = 100
#: The owner of what is not ours to judge, and is never looked at again.
_NOBODY: Final = ""
#: Periods after which a queue is read again whose tags do not say what its name does.
_ODD_AGAIN: Final = 10


@dataclass(frozen=True, slots=True)
class Left:
    """A queue that a dead process has left: its name and URL on AWS, and the exchanges it is bound to."""

    name: str
    url: str
    exchanges: frozenset[str]


@dataclass(slots=True)
class _Queue:
    url: str
    owner: str | None
    #: Whether its name tells its owner.
    told: bool
    exchanges: frozenset[str] = frozenset()


@dataclass(slots=True)
class _Owner:
    bearer: str
    queues: set[str] = field(default_factory=set)
    sign: LifeSign | None = None
    since: float = 0.0
    #: Whether it is suspected; and then, once the sweeper has proved that signs can be given, the queues to look at.
    suspect: bool = False
    unread: set[str] | None = None
    #: Queues that are its by name, and do not say so: it is not judged while there are any.
    odd: set[str] = field(default_factory=set)


class Vigil:
    """What one sweeper knows. Times are seconds of watching, which :meth:`pass_time` counts.

    Args:
        own: the owner of the sweeper's own queues, which is never judged.
        prefix: what the names of all queues begin with.
        period: the sweeper's own, between two signs; no owner is judged by a shorter one.
    """

    def __init__(self, *, own: str, prefix: str, period: float) -> None:
        self._own = own
        self._prefix = prefix
        self._times = Times(period)
        self._clock: float | None = None
        self._now = 0.0
        self._queues: dict[str, _Queue] = {}
        self._owners: dict[str, _Owner] = {}
        #: Queues whose names do not tell their owners can wait, longer than the first reading of all others takes.
        self._agenda = Agenda(patience=period)
        #: Which of them are whose, by what the signs of others say.
        self._marked: dict[str, str] = {}
        self._by_mark: dict[str, str] = {}
        self._suspects: set[str] = set()
        #: How many processes gave signs when there were most.
        self._most = 0
        #: Queues that were not in the last list.
        self._missing: set[str] = set()
        self._dead: dict[str, list[Left]] = {}
        self._dead_since = 0.0
        self._taken: dict[str, float] = {}

    def pass_time(self, clock: float) -> None:
        """Go on to a moment of the monotonic clock.

        However long ago the last was, little of it counts: if this process stood still, in a machine that was
        suspended or a container that was paused, others may have done so with it, and have not been watched.
        """
        if self._clock is not None:
            self._now += min(clock - self._clock, self._times.stall)
        self._clock = clock
        self._most = max(self._most, len(self._owners) - len(self._suspects))

    # -- what there is ---------------------------------------------------------------------------------------

    def listed(self, queues: Mapping[str, str]) -> None:
        """Take over the names and URLs of all queues under the prefix of temporary ones.

        What is missing in one list only may have been passed over: while it was read, page by page, others went.
        """
        missing = self._queues.keys() - queues.keys()
        for name in missing & self._missing:
            self._gone(name)
        self._missing = missing & self._queues.keys()
        self._taken = {name: until for name, until in self._taken.items() if until > self._now}
        for name in sorted(queues.keys() - self._queues.keys() - self._taken.keys()):
            self._add(name, queues[name])

    def _add(self, name: str, url: str) -> None:
        parsed = parse_temporary(name, self._prefix)
        if parsed is None and not is_found_by_name(name, self._prefix):
            return
        if parsed is None:
            self._queues[name] = _Queue(url, None, told=False)
            self._by_mark[mark_of(name)] = name
            self._agenda.can_wait(name, self._now)
            self._belongs(name, self._marked.get(mark_of(name), ""))
        elif parsed.owner != self._own:
            self._queues[name] = _Queue(url, parsed.owner, told=True)
            new = parsed.owner not in self._owners
            self._join(parsed.owner, name)
            if new:
                self._agenda.plan(name, self._now)

    def _belongs(self, name: str, owner: str) -> None:
        """Note whose a queue is by what its owner says; it is read before anything comes of it."""
        queue = self._queues.get(name)
        if queue is not None and queue.owner is None and owner in self._owners:
            queue.owner = owner
            self._agenda.drop(name)
            self._join(owner, name)

    def _join(self, name: str, queue: str) -> _Owner:
        owner = self._owners.setdefault(name, _Owner(bearer=queue))
        if queue not in owner.queues:
            owner.queues.add(queue)
            if owner.suspect:
                self._trust(name, owner)
        return owner

    def _gone(self, name: str) -> None:
        self._leave(name, self._drop(name).owner or _NOBODY)

    def _drop(self, name: str) -> _Queue:
        self._agenda.drop(name)
        self._by_mark.pop(mark_of(name), None)
        return self._queues.pop(name)

    def _leave(self, name: str, whose: str) -> None:
        """Note that a queue is gone, or is not its owner's after all."""
        owner = self._owners.get(whose)
        if owner is None:
            return
        owner.queues.discard(name)
        was_odd = name in owner.odd
        owner.odd.discard(name)
        if not owner.queues:
            self._forget(whose)
        elif owner.suspect or owner.bearer == name or was_odd:
            # Most likely the owner has deleted it, and gives its signs elsewhere from now on.
            self._trust(whose, owner)

    def _forget(self, owner: str) -> None:
        del self._owners[owner]
        self._suspects.discard(owner)
        self._marked = {mark: whose for mark, whose in self._marked.items() if whose != owner}

    @property
    def silent(self) -> int:
        """How many processes fewer give signs, as far as is known, than when there were most."""
        return max(0, self._most - len(self._owners) + len(self._suspects))

    # -- what is read ----------------------------------------------------------------------------------------

    def next_look(self) -> tuple[str, str] | None:
        """Give name and URL of the queue whose tags should be read now; None: none."""
        name = self._agenda.take(self._now)
        return None if name is None else (name, self._queues[name].url)

    def look_again(self, name: str, delay: float) -> None:
        """Note that the tags of a queue could not be read, which says nothing about its owner."""
        if name in self._queues:
            self._agenda.plan(name, self._now + delay)

    def saw(self, name: str, tags: Mapping[str, str] | None) -> None:
        """Take over the tags of a queue; None: it is gone."""
        queue = self._queues.get(name)
        if queue is None:
            return
        if tags is None:
            self._gone(name)
            return
        sign, named = LifeSign.parse(tags.get(SIGN_TAG)), tags.get(OWNER_TAG)
        if sign is None or named is None or named == self._own or (queue.told and queue.owner != named):
            self._saw_odd(name, queue)
            return
        if queue.owner not in (None, named):
            self._leave(name, queue.owner or _NOBODY)
        queue.owner, queue.exchanges = named, frozenset(QueueTags(tags=tags).exchanges)
        owner = self._join(named, name)
        if name in owner.odd:
            owner.odd.discard(name)
            self._trust(named, owner)
        for mark in tags.get(MARKS_TAG, "").split():
            self._marked[mark] = named
            self._belongs(self._by_mark.get(mark, ""), named)
        self._saw_sign(name, sign, named, owner)

    def _saw_odd(self, name: str, queue: _Queue) -> None:
        """Take over tags that are not ours, or not any more: nobody is judged who may have given a sign there."""
        owner = self._owners.get(queue.owner or _NOBODY)
        if queue.owner is None or owner is None:
            queue.owner = _NOBODY
            return
        owner.odd.add(name)
        self._trust(queue.owner, owner)
        self._agenda.plan(name, self._now + _ODD_AGAIN * self._times.period)

    def _saw_sign(self, name: str, sign: LifeSign, named: str, owner: _Owner) -> None:
        if owner.sign is None or sign.count > owner.sign.count:
            owner.sign, owner.bearer = sign, name
            self._trust(named, owner)
        elif owner.odd:
            return
        elif owner.unread is not None:
            owner.unread.discard(name)
            if not owner.unread:
                self._dead_since = self._dead_since if self._dead else self._now
                left = [(one, self._queues[one]) for one in sorted(owner.queues)]
                self._dead[named] = [Left(one, known.url, known.exchanges) for one, known in left]
        elif name == owner.bearer and not owner.suspect:
            if self._now >= owner.since + self._patience(owner):
                owner.suspect = True
                self._suspects.add(named)
            else:
                self._agenda.plan(name, owner.since + self._patience(owner))

    def _patience(self, owner: _Owner) -> float:
        return silence(max(owner.sign.period if owner.sign else 0.0, self._times.period))

    def _trust(self, name: str, owner: _Owner) -> None:
        """Take an owner to be alive, as of now."""
        for queue in owner.unread or ():
            self._agenda.drop(queue)
        owner.since, owner.suspect, owner.unread = self._now, False, None
        self._suspects.discard(name)
        self._dead.pop(name, None)
        if owner.bearer not in owner.queues:
            owner.bearer = first_of(owner.queues, self._prefix)
        if not owner.odd:
            self._agenda.plan(owner.bearer, self._now + (0.0 if owner.sign is None else self._patience(owner)))

    # -- verdicts --------------------------------------------------------------------------------------------

    @property
    def wants_proof(self) -> bool:
        """Whether somebody is suspected for whom it has yet to be proved that signs can be given."""
        return any(self._owners[name].unread is None for name in self._suspects)

    def proved(self) -> None:
        """Note that the sweeper has given a sign just now."""
        for name in self._suspects:
            owner = self._owners[name]
            if owner.unread is None:
                owner.unread = set(owner.queues)
                for queue in sorted(owner.queues):
                    self._agenda.plan(queue, self._now + self._times.reprieve)

    def take_dead(self) -> dict[str, list[Left]]:
        """Give the owners that are dead and what they have left.

        Those whose verdict is near are waited for, but not for long.
        """
        more = len(self._dead) < min(_TOGETHER, len(self._suspects))
        if not self._dead or (more and self._now < self._dead_since + self._times.company):
            return {}
        dead, self._dead = self._dead, {}
        for name, left in dead.items():
            self._forget(name)
            for queue in left:
                self._drop(queue.name)
                # SQS may list it for a minute after it was deleted.
                self._taken[queue.name] = self._now + self._times.listing
        return dead
