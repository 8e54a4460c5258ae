"""Botocore's list of all endpoints of AWS, as far as it is of use here."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Final

from botocore.loaders import JSONFileLoader

if TYPE_CHECKING:
    from botocore.session import Session

__all__ = ("shorten",)

#: The services that clients are made of: ours, and those that give credentials, by the prefixes of their endpoints.
_ASKED: Final = frozenset({"oidc", "portal.sso", "sns", "sqs", "sts"})


class _Files(JSONFileLoader):
    """Reads botocore's data, and leaves out of its list of endpoints the services that nobody here asks.

    They are 23,000 objects that stay as long as the process does: each full garbage collection of a worker goes through
    them, and takes three times as long. The region of a client is still looked up in the list.
    """

    def load_file(self, file_path: str) -> Any:
        data = super().load_file(file_path)
        if PurePath(file_path).name == "endpoints":
            for partition in data["partitions"]:
                services = partition["services"]
                partition["services"] = {name: services[name] for name in _ASKED & services.keys()}
        return data


def shorten(session: Session) -> None:
    """Let a botocore session, of which no client was made yet, keep the short list."""
    session.get_component("data_loader").file_loader = _Files()
