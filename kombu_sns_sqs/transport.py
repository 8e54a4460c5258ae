"""The door of the house: kombu's Transport."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import amqp
from kombu.transport import base

from kombu_sns_sqs import __version__, errors
from kombu_sns_sqs import channel as channels
from kombu_sns_sqs.broker_url import SCHEME, BrokerURL
from kombu_sns_sqs.errors import OptionsError
from kombu_sns_sqs.forgotten import give_back_when_forgotten
from kombu_sns_sqs.local import endpoint_for_local
from kombu_sns_sqs.option_reading import read_options
from kombu_sns_sqs.options import Options
from kombu_sns_sqs.presentable import as_given, presentable
from kombu_sns_sqs.receiving.receiver import Receiver
from kombu_sns_sqs.registry import services_for
from kombu_sns_sqs.services import Services

if TYPE_CHECKING:
    from kombu import Connection

__all__ = ("Transport",)

#: What a connection made without a URL has for a host.
_NO_HOST = (None, "", "localhost")


class Transport(base.Transport):
    """Amazon SNS and SQS, with the semantics of AMQP. ``sns-sqs://[key:secret@][host[:port]][/prefix][?options]``."""

    Channel = channels.Channel
    can_parse_url = True
    driver_type = "sns-sqs"
    driver_name = "kombu-sns-sqs"

    implements = base.Transport.implements.extend(
        asynchronous=True,
        batch_publish=True,
        exchange_type=frozenset({"direct", "topic", "fanout"}),
        heartbeats=False,
    )

    connection_errors = (amqp.ConnectionError, errors.ConnectionFailed, errors.CredentialsRefused, OSError)
    channel_errors = (amqp.ChannelError, errors.ChannelFailed)
    recoverable_connection_errors = (amqp.RecoverableConnectionError, errors.ConnectionFailed, OSError)
    #: None: a request that was refused is refused again, and kombu would repeat it for ever.
    recoverable_channel_errors = ()

    def __init__(self, client: Connection, **_kwargs: Any) -> None:
        self.client = client
        self.channels: list[channels.Channel] = []
        #: Queues declared on this connection: the private ones among them end with it.
        self.declared: set[str] = set()
        self._receiver: Receiver | None = None
        self._services: Services | None = None
        self._pid = os.getpid()
        self.url = _take_keys_out(client)
        client.transport_options = presentable(client.transport_options or {})

    # -- connections -----------------------------------------------------------------------------------------

    def establish_connection(self) -> Transport:
        """Read the options and make sure that the service answers and knows us.

        Raises:
            OptionsError: the URL or an option is wrong.
            CredentialsRefused: no credentials, or unknown ones.
            ConnectionFailed: no answer.
        """
        if len(self.client.alt or ()) > 1 and any("?" in str(url) for url in self.client.alt):
            raise OptionsError(
                "a list of broker URLs cannot have options after '?': kombu loses them when it switches;"
                " put them into broker_transport_options"
            )
        if self._pid != os.getpid():
            self._drop()
            self._pid = os.getpid()
        self._services = services_for(self._options())
        self._services.verify()
        self._receiver = Receiver(services=self._services)
        return self

    def _options(self) -> Options:
        options = read_options(self.url, as_given(self.client.transport_options or {}))
        if not self.url.is_local:
            return options
        service = endpoint_for_local()
        identity = replace(
            options.identity,
            endpoint_url=service.endpoint_url,
            access_key_id=service.access_key,
            secret_access_key=service.secret_key,
            region=options.identity.region or service.region,
        )
        return replace(options, identity=identity)

    @property
    def services(self) -> Services:
        """What this connection shares with others; its own in a forked child."""
        if self._services is None or self._pid != os.getpid():
            raise amqp.RecoverableConnectionError("the connection is closed, or was made before a fork")
        return self._services

    @property
    def receiver(self) -> Receiver:
        """The way in of this connection."""
        if self._receiver is None or self._pid != os.getpid():
            raise amqp.RecoverableConnectionError("the connection is closed, or was made before a fork")
        return self._receiver

    def verify_connection(self, connection: Transport) -> bool:
        """Whether the connection is open, and of this process."""
        return connection._services is not None and connection._pid == os.getpid()

    def close_connection(self, connection: Transport) -> None:
        """Close all channels: what is unsettled goes back, what was asked is carried out, private queues end."""
        services = self._services
        if services is None or self._pid != os.getpid():
            self._drop()
            return
        for channel in list(self.channels):
            channel.close()
        if self._receiver is not None:
            self._receiver.close()
        services.settle_before_close()
        services.provisioner.drop_postponed(self.declared)
        services.janitor.close_connection(self.declared)
        self.declared.clear()
        self._receiver = self._services = None

    def _collect(self, connection: Transport | None) -> None:
        """Let go without a call to the network: kombu does this in forked children and after connection errors.

        In another process everything here is the parent's. In the same one what the application holds stays under
        lease and can still be acked; what it was not given, or has forgotten, is given back by the settling thread.
        """
        if self._services is not None and self._pid == os.getpid():
            self._services.doubt()
            if self._receiver is not None:
                self._receiver.close(queues_stay=True)
            give_back_when_forgotten(self.channels, self._services.settler)
        self._drop()

    def _drop(self) -> None:
        if self._receiver is not None and self._pid != os.getpid():
            self._receiver.abandon()
        for channel in self.channels:
            channel.connection = None
        self.channels.clear()
        self._receiver = self._services = None

    # -- channels --------------------------------------------------------------------------------------------

    def create_channel(self, connection: Transport) -> channels.Channel:
        """Make a channel; it costs no call."""
        channel = self.Channel(connection)
        self.channels.append(channel)
        return channel

    def close_channel(self, channel: channels.Channel) -> None:
        """Forget a channel."""
        if channel in self.channels:
            self.channels.remove(channel)

    # -- driving ---------------------------------------------------------------------------------------------

    def drain_events(self, connection: Transport, timeout: float | None = None) -> None:
        """Deliver one message to its callback.

        Raises:
            TimeoutError: none came within ``timeout`` seconds.
        """
        self.services.provisioner.settle_postponed()
        self.receiver.drain(timeout)

    def register_with_event_loop(self, connection: Transport, loop: Any) -> None:
        """Let kombu's event loop drive."""
        self.receiver.attach(loop)

    def unregister_from_event_loop(self, connection: Transport, loop: Any) -> None:
        """Take everything back from the event loop."""
        if self._receiver is not None:
            self._receiver.detach()

    # -- what is shown ---------------------------------------------------------------------------------------

    def as_uri(self, uri: str, include_password: bool = False, mask: str = "**") -> str:
        """Show the URL; keys only where ``include_password`` asks for them."""
        if include_password and self.client.password:
            return self.url.printable.replace("://", f"://{self.client.password}@", 1)
        return self.url.printable

    def driver_version(self) -> str:
        """Give the version of this package."""
        return __version__

    @property
    def default_connection_params(self) -> dict[str, Any]:
        """Give what a connection without a URL is for: AWS itself."""
        return {"hostname": f"{SCHEME}://"}

    def get_manager(self, *args: Any, **kwargs: Any) -> Any:
        """Give kombu's view of the bindings."""
        return Management(self)


class Management(base.Management):
    """The part of RabbitMQ's management that kombu asks for."""

    def get_bindings(self) -> list[dict[str, str]]:
        """List the bindings of all queues under the name prefix, whoever made them."""
        connection = self.transport.client.connection
        return list(connection.services.binder.list_bindings())


def _take_keys_out(client: Connection) -> BrokerURL:
    """Read the broker URL and leave it without its keys.

    Kombu keeps the whole URL as the host name, and Celery sends it to whoever asks for ``inspect stats``. The keys
    move to the password, the one field that is never shown; clones and pickles of the connection carry it along.
    """
    host = client.hostname
    if host is not None and "://" in host:
        url = BrokerURL.parse(host)
    elif host in _NO_HOST and not client.port:
        url = BrokerURL()
    else:
        # What kombu's failover makes of a URL: its parts.
        path = (client.virtual_host or "").strip("/")
        url = BrokerURL.parse(f"{SCHEME}://{host}{f':{client.port}' if client.port else ''}/{path}")
    if url.access_key_id is not None:
        client.password = f"{url.access_key_id}:{url.secret_access_key}"
    elif client.userid and client.password and ":" not in str(client.password):
        client.password = f"{client.userid}:{client.password}"
    client.userid = None
    client.hostname = url.printable
    return url.with_keys(client.password)
