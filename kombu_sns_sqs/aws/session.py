"""Who signs and where it goes, made ready: credentials, region, endpoints, certificates, proxies."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from os import environ
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import urlsplit

from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import BotoCoreError, ClientError
from botocore.httpsession import get_cert_path
from botocore.parsers import ResponseParserError
from botocore.utils import get_environ_proxies

from kombu_sns_sqs.aws import failures
from kombu_sns_sqs.aws.credentials import open_session
from kombu_sns_sqs.aws.forks import tell_after_fork
from kombu_sns_sqs.aws.secrecy import Secretly
from kombu_sns_sqs.aws.signing import Signer, as_lines
from kombu_sns_sqs.errors import CredentialsRefused, Failure, Kind, OptionsError
from kombu_sns_sqs.identity import check_region

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kombu_sns_sqs.aws.operation import Operation
    from kombu_sns_sqs.identity import Identity

__all__ = ("Session", "SignedRequest")

_USER_AGENT: Final = "kombu-sns-sqs"
#: For what may not take long: what asks for the account id runs while a worker starts, and only saves a look-up.
_BRIEF_SECONDS: Final = 3.0
_AMAZON: Final = (".amazonaws.com", ".amazonaws.com.cn", ".api.aws")


class SignedRequest(NamedTuple):
    """An HTTP POST, ready to be sent within five minutes; its headers hold the signature and are never shown."""

    url: str
    #: As ``Name: value``.
    headers: tuple[str, ...]
    body: bytes

    def __repr__(self) -> str:
        """Show where it goes, and nothing of what it carries."""
        return f"<SignedRequest to {self.url!r}>"


@dataclass(slots=True, kw_only=True)
class _Found:
    """What has been found out so far; thrown away as a whole when credentials are renewed, and in a forked child."""

    botocore: Any
    clients: dict[tuple[str, bool], Any] = field(default_factory=dict)
    signers: dict[str, Signer] = field(default_factory=dict)


class Session:
    """Signs the requests of one identity, and makes the boto3 clients of its control plane. Safe for threads.

    Args:
        identity: credentials, region and endpoint.
        connect_timeout: seconds to reach the endpoint, TLS included; above 0.
        read_timeout: seconds to wait for an answer; above 0. A long poll adds its wait.
        verify: True: the certificates of ``AWS_CA_BUNDLE``, the profile or botocore; a path: those; False: none.
        client_config: more arguments for ``botocore.config.Config``, over ours.

    Raises:
        OptionsError: the profile does not exist, or a timeout is not above 0.
    """

    def __init__(
        self,
        identity: Identity,
        *,
        connect_timeout: float = 5.0,
        read_timeout: float = 10.0,
        verify: bool | str = True,
        client_config: Mapping[str, Any] | None = None,
    ) -> None:
        if connect_timeout <= 0 or read_timeout <= 0:
            raise OptionsError(f"connect_timeout {connect_timeout} and read_timeout {read_timeout} must be above 0 s")
        self.identity = identity
        self.connect_timeout = connect_timeout
        self.read_timeout = read_timeout
        self._verify = verify
        self._config = Config(
            connect_timeout=connect_timeout,
            read_timeout=read_timeout,
            retries={"mode": "standard", "max_attempts": 5},
            user_agent_extra=_USER_AGENT,
        ).merge(Config(**(client_config or {})))
        self._brief = Config(
            connect_timeout=min(connect_timeout, _BRIEF_SECONDS),
            read_timeout=min(read_timeout, _BRIEF_SECONDS),
            retries={"mode": "standard", "total_max_attempts": 1},
        )
        self._account_id: str | None = None
        self._proxies: dict[str, str | None] = {}
        self.abandon()
        self._state()
        tell_after_fork(self)

    def __repr__(self) -> str:
        return f"Session({self.identity!r})"

    def abandon(self) -> None:
        """Start afresh in a forked child: neither the parent's connections nor its locks are touched."""
        self._lock = threading.RLock()
        self._found: _Found | None = None

    def refresh(self) -> None:
        """Throw away credentials and all that was made with them: the next signature finds new ones."""
        with self._lock:
            self._found = None

    @property
    def region(self) -> str:
        """The region of the identity, the environment or the profile.

        Raises:
            OptionsError: none is known, or it cannot be one.
        """
        with self._lock:
            configured = self._state().botocore.get_config_variable("region")
        # Lambda and the other SDKs say AWS_REGION; botocore knows AWS_DEFAULT_REGION and the profile only.
        region = self.identity.region or configured or environ.get("AWS_REGION")
        if not region:
            raise OptionsError(failures.NO_REGION)
        return check_region(str(region))

    def endpoint(self, service: str) -> str:
        """The URL requests to ``"sqs"`` or ``"sns"`` are posted to, as botocore's rules have it."""
        url: str = self.control(service).meta.endpoint_url
        return url.rstrip("/") + "/"

    def control(self, service: str, *, briefly: bool = False) -> Any:
        """Give the boto3-style client of ``"sqs"``, ``"sns"``, ``"sts"`` or another service, made at first use.

        ``briefly``: one that waits for three seconds and repeats nothing.

        Raises:
            CredentialsRefused: there are no credentials.
            OptionsError: no region is known.
        """
        key = (service, briefly)
        found = self._found
        if found is not None and key in found.clients:
            return found.clients[key]
        # Making a client is not safe for threads, using one is.
        with self._lock:
            found = self._state()
            if key not in found.clients:
                config = self._config.merge(self._brief) if briefly else self._config
                found.clients[key] = self._create(found.botocore, service, config=config)
            return found.clients[key]

    def sign(self, operation: Operation) -> SignedRequest:
        """Sign an operation with Signature Version 4.

        https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html

        Raises:
            CredentialsRefused: there are no credentials.
            OptionsError: no region is known.
            botocore.exceptions.BotoCoreError: they could not be renewed; :meth:`failure_of` reads it.
        """
        found = self._found
        signer = found.signers.get(operation.service) if found is not None else None
        if signer is None or not signer.lasting:
            with Secretly():
                credentials = self._credentials()
                keys = credentials.get_frozen_credentials()
            if signer is None or signer.credentials != keys:
                # Botocore's class of keys that nobody renews; they are not asked for with each request.
                signer = self._new_signer(operation.service, keys, lasting=type(credentials) is Credentials)
        headers = signer.sign(operation.headers, operation.body)
        if operation.unsigned:
            headers += as_lines(operation.unsigned)
        return SignedRequest(signer.url, headers, operation.body)

    def timeout_of(self, operation: Operation) -> float:
        """Seconds to wait for the answer to an operation, once connected."""
        return max(self.read_timeout, operation.read_timeout or 0.0)

    def failure_of(self, exc: BaseException, action: str = "") -> Failure:
        """Translate what botocore raised; see :func:`kombu_sns_sqs.aws.failures.failure_of`."""
        return failures.failure_of(exc, action)

    def account_id(self) -> str | Failure:
        """The account of the credentials: as they say, or as STS says within three seconds."""
        if self._account_id is None:
            try:
                with Secretly():
                    self._account_id = self._known_account() or self._ask_account()
            except (BotoCoreError, ClientError, CredentialsRefused, OptionsError, RuntimeError) as exc:
                return failures.failure_of(exc, "GetCallerIdentity")
            except (KeyError, ResponseParserError) as exc:
                # An endpoint that is no STS, with a good status: botocore does not guard its parser against it.
                return Failure(
                    kind=Kind.UNREACHABLE, code="MalformedAnswer", message=repr(exc), action="GetCallerIdentity"
                )
        return self._account_id

    @property
    def certificates(self) -> str | None:
        """The path of the certificates to trust; None: trust anyone, as ``verify=False`` asked for."""
        verify = self._verify
        if verify is True:
            with self._lock:
                verify = self._state().botocore.get_config_variable("ca_bundle") or True
        return str(get_cert_path(verify)) if verify else None

    def proxy(self, url: str) -> str | None:
        """The URL of the proxy for requests to ``url``: of ``client_config``, else of the environment; None: none."""
        if url not in self._proxies:
            configured = self._config.proxies
            proxies = get_environ_proxies(url) if configured is None else configured
            proxy = proxies.get(urlsplit(url).scheme)
            self._proxies[url] = proxy if not proxy or "://" in proxy else f"http://{proxy}"
        return self._proxies[url]

    def _state(self) -> _Found:
        with self._lock:
            if self._found is None:
                self._found = _Found(botocore=open_session(self.identity, self._create_sts))
            return self._found

    def _new_signer(self, service: str, keys: Any, *, lasting: bool) -> Signer:
        meta = self.control(service).meta
        signer = Signer(
            keys,
            service=service,
            region=meta.region_name,
            url=meta.endpoint_url.rstrip("/") + "/",
            user_agent=meta.config.user_agent,
            lasting=lasting,
        )
        with self._lock:
            self._state().signers[service] = signer
        return signer

    def _create_sts(self, session: Any, **keys: str) -> Any:
        return self._create(session, "sts", config=self._config, **keys)

    def _credentials(self) -> Any:
        with self._lock:
            return self._state().botocore.get_credentials()

    def _create(self, session: Any, service: str, **arguments: Any) -> Any:
        with Secretly():  # botocore looks for credentials now, which may mean to assume a role
            return session.create_client(
                service,
                region_name=self.region,
                endpoint_url=self._endpoint_url(service),
                verify=None if self._verify is True else self._verify,
                **arguments,
            )

    def _endpoint_url(self, service: str) -> str | None:
        given = self.identity.endpoint_url
        host = (urlsplit(given).hostname or "") if given else ""
        # An emulator answers for every service; Amazon's own endpoint (a VPC endpoint, say) for the one it is named of.
        return None if service not in ("sqs", "sns") and host.endswith(_AMAZON) else given

    def _known_account(self) -> str | None:
        return getattr(self._credentials().get_frozen_credentials(), "account_id", None)

    def _ask_account(self) -> str:
        return str(self.control("sts", briefly=True).get_caller_identity()["Account"])
