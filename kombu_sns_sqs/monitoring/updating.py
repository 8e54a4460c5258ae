"""Updates of metrics, which no fork divides.

What counts has locks of its own. A child that is forked while another thread holds one inherits it held, and its first
update would wait for ever; the main process of a prefork worker forks whenever a child is replaced.
"""

from __future__ import annotations

import os
import threading
from typing import Final

__all__ = ("updating",)

#: Held for an update, and for a fork. Nothing but the metrics' own code may run inside.
updating: Final = threading.RLock()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=updating.acquire, after_in_parent=updating.release, after_in_child=updating.release)
