"""Who signs a request, and where it goes: one value, so that queues of other accounts and regions need nothing else."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from kombu_sns_sqs.errors import OptionsError

#: Seconds an assumed role lasts, shortest and longest.
#: https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
MIN_ROLE_SECONDS = 900
MAX_ROLE_SECONDS = 43_200

#: A label of a host name, which a region becomes; what botocore asks of one, too. Not every service's regions look
#: like Amazon's.
_REGION: Final = re.compile(r"(?!-)(?![0-9]+$)[A-Za-z0-9-]{1,63}(?<!-)")


def check_region(region: str) -> str:
    """Give a region back if it can be one, whether or not there is such a region.

    Raises:
        OptionsError: it cannot.
    """
    if not isinstance(region, str) or not _REGION.fullmatch(region):
        raise OptionsError(
            f"the AWS region is {region!r}: give its code, such as 'eu-central-1', in the option region,"
            " AWS_DEFAULT_REGION or the profile"
        )
    return region


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Credentials, region and endpoint of a set of requests.

    Whatever is left out is found where boto3 finds it: environment, profile, container, instance.
    https://docs.aws.amazon.com/boto3/latest/guide/credentials.html

    Args:
        region: AWS region, such as ``eu-central-1``.
        endpoint_url: one URL for SQS and SNS both (an emulator, a proxy); None: AWS's own, or ``AWS_ENDPOINT_URL*``.
        profile: a profile of ``~/.aws/config``.
        access_key_id: with ``secret_access_key`` and perhaps ``session_token``: fixed credentials.
        role_arn: a role to assume with those credentials, renewed before it ends.
        role_session_name: how CloudTrail names the session of the role.
        role_seconds: how long one assumed session lasts, 900 to 43,200 seconds.

    Raises:
        OptionsError: half a key pair, a region that cannot be one, or a duration out of range.
    """

    region: str | None = None
    endpoint_url: str | None = None
    profile: str | None = None
    access_key_id: str | None = field(default=None, repr=False)
    secret_access_key: str | None = field(default=None, repr=False)
    session_token: str | None = field(default=None, repr=False)
    role_arn: str | None = None
    role_session_name: str = "kombu-sns-sqs"
    role_seconds: int = MIN_ROLE_SECONDS

    def __post_init__(self) -> None:
        """Refuse what can never sign."""
        if self.region:
            check_region(self.region)
        if bool(self.access_key_id) != bool(self.secret_access_key):
            given, missing = (
                ("access key id", "secret access key") if self.access_key_id else ("secret access key", "access key id")
            )
            raise OptionsError(f"an {given} was given without a {missing}: give both, or neither to use the AWS chain")
        if self.session_token and not self.access_key_id:
            raise OptionsError("session_token was given without access_key_id and secret_access_key")
        if not MIN_ROLE_SECONDS <= self.role_seconds <= MAX_ROLE_SECONDS:
            raise OptionsError(
                f"sts_token_timeout is {self.role_seconds} s: AWS takes {MIN_ROLE_SECONDS} to {MAX_ROLE_SECONDS}"
            )
