"""The list of all temporary queues, a page at a time: of a hundred thousand no step of the sweeper takes all."""

from __future__ import annotations

from typing import Final

from kombu_sns_sqs.aws.control import ControlPlane
from kombu_sns_sqs.errors import ConnectionFailed, Error
from kombu_sns_sqs.options import Options
from kombu_sns_sqs.temporary_names import temporary_prefix

#: Queues of one page of ListQueues.
_PAGE: Final = 1000


class Listing:
    """Lists them, again and again. Belongs to one thread."""

    def __init__(self, *, control: ControlPlane, options: Options) -> None:
        self._control = control
        self._options = options
        self._found: dict[str, str] = {}
        self._token: str | None = None

    def may(self) -> None:
        """Ask for one of them, to see whether that is allowed.

        Raises:
            Error: it is not, or the service does not answer.
        """
        self._page(1, None)

    def step(self) -> dict[str, str] | None:
        """Ask for the next page; give name and URL of all when it was the last, and begin anew with the next step.

        Raises:
            ConnectionFailed: the next step goes on from here.
            Error: the service refuses; the next step begins anew.
        """
        try:
            urls, self._token = self._page(_PAGE, self._token)
        except ConnectionFailed:
            raise
        except Error:
            self._found, self._token = {}, None
            raise
        self._found.update({url.rpartition("/")[2]: url for url in urls})
        if self._token is not None:
            return None
        found, self._found = self._found, {}
        return found

    def _page(self, most: int, token: str | None) -> tuple[list[str], str | None]:
        prefix = temporary_prefix(self._options.queue_name_prefix)
        arguments = {"QueueNamePrefix": prefix, "MaxResults": most}
        return self._control.page(self._options.identity, "sqs", "list_queues", "QueueUrls", token, **arguments)
