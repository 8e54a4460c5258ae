"""The types of what `conftest` hands out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kombu import Connection
from kombu.pidbox import Mailbox

from .remote import RemoteCall

#: A new connection.
Connect = Callable[[], Connection]
#: A word to a name that nobody else uses.
Names = Callable[[str], str]
#: An entity to the same entity, bound to the channel and declared.
Declare = Callable[[Any], Any]
#: A function of `actors` and its arguments to the call in progress.
Spawn = Callable[..., RemoteCall]
#: A function of `actors` and its arguments to its result.
InProcess = Callable[..., Any]
#: A mailbox, a host name and a list of who was called to a pidbox node that answers in a thread.
Serve = Callable[[Mailbox, str, list[str]], None]
