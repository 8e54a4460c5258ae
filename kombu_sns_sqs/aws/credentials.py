"""Where the keys come from: given, assumed as a role, or found by AWS's own chain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from botocore.credentials import AssumeRoleCredentialFetcher, RefreshableCredentials
from botocore.exceptions import ProfileNotFound
from botocore.session import Session

from kombu_sns_sqs.aws.endpoint_list import shorten
from kombu_sns_sqs.aws.failures import NO_CREDENTIALS
from kombu_sns_sqs.errors import CredentialsRefused, OptionsError

if TYPE_CHECKING:
    from collections.abc import Callable

    from kombu_sns_sqs.identity import Identity

__all__ = ("open_session",)

#: Seconds before the end of a role's session from which it is renewed by whoever signs next, and from which nobody
#: signs before it is renewed; botocore's own numbers.
_ADVISORY: Final = 900
_MANDATORY: Final = 600


@dataclass(frozen=True, slots=True)
class _Provider:
    """Stands in for botocore's own chain of providers, so that its clients sign as we do."""

    find: Callable[[], Any]

    def load_credentials(self) -> Any:
        return self.find()


def open_session(identity: Identity, create_sts: Callable[..., Any]) -> Any:
    """Make a botocore session with the credentials of ``identity``, renewed where their source can.

    They are looked for at first use. ``create_sts(session, **keys)`` makes the STS client that assumes a role.
    https://docs.aws.amazon.com/boto3/latest/guide/credentials.html

    Raises:
        OptionsError: there is no such profile.
    """
    # The second session finds the credentials that the role is assumed with, so that the first can sign with the role.
    session, source = Session(profile=identity.profile), Session(profile=identity.profile)
    try:
        session.get_scoped_config()
    except ProfileNotFound as exc:
        raise OptionsError(f"{exc}: give one of ~/.aws/config, or leave profile and AWS_PROFILE unset") from exc
    for one in (session, source):
        shorten(one)
    session.register_component("credential_provider", _Provider(lambda: _find(source, identity, create_sts)))
    return session


def _find(source: Session, identity: Identity, create_sts: Callable[..., Any]) -> Any:
    if identity.access_key_id:
        source.set_credentials(identity.access_key_id, identity.secret_access_key, identity.session_token)
    found = source.get_credentials()
    if found is None:
        raise CredentialsRefused(NO_CREDENTIALS)
    if identity.role_arn is None:
        return found
    return _assume(identity, found, lambda _service, **keys: create_sts(source, **keys))


def _assume(identity: Identity, source: Any, create_client: Callable[..., Any]) -> Any:
    # botocore's windows are as long as the shortest session: taken as they are, such a session would count as
    # running out from its first second, and every signature would ask STS for another.
    advisory = min(_ADVISORY, identity.role_seconds // 4)
    fetcher = AssumeRoleCredentialFetcher(
        client_creator=create_client,
        source_credentials=source,
        role_arn=identity.role_arn,
        extra_args={"RoleSessionName": identity.role_session_name, "DurationSeconds": identity.role_seconds},
        expiry_window_seconds=advisory,
    )
    return RefreshableCredentials.create_from_metadata(
        metadata=fetcher.fetch_credentials(),
        refresh_using=fetcher.fetch_credentials,
        method="sts-assume-role",
        advisory_timeout=advisory,
        mandatory_timeout=min(_MANDATORY, advisory // 2),
    )
