"""Botocore with the short list of endpoints makes the clients it makes with the whole one, and keeps a third less."""

from __future__ import annotations

import gc

import pytest
from botocore.session import Session

from kombu_sns_sqs.aws.endpoint_list import shorten

KEYS = {"aws_access_key_id": "AKIAEXAMPLE", "aws_secret_access_key": "hush"}
REGIONS = ["eu-central-1", "us-east-1", "cn-north-1", "us-gov-west-1", "us-iso-east-1", "eu-nowhere-7"]


def short() -> Session:
    """A session with the short list."""
    session = Session()
    shorten(session)
    return session


@pytest.mark.parametrize("service", ["sqs", "sns", "sts", "sso", "sso-oidc"])
def test_clients_are_the_same(service: str) -> None:
    """Of each partition, of a region nobody knows, and of those that give credentials."""
    whole, shortened = Session(), short()
    for region in REGIONS:
        theirs, ours = (one.create_client(service, region_name=region, **KEYS) for one in (whole, shortened))
        for name in ("endpoint_url", "region_name", "partition"):
            assert getattr(ours.meta, name) == getattr(theirs.meta, name)
        assert ours.meta.config.signature_version == theirs.meta.config.signature_version


def test_the_rest_of_the_list_is_not_kept() -> None:
    """It is most of what a garbage collection goes through."""

    def kept(session: Session) -> int:
        gc.collect()
        before = len(gc.get_objects())
        session.create_client("sqs", region_name="eu-central-1", **KEYS)
        gc.collect()
        return len(gc.get_objects()) - before

    assert kept(short()) < kept(Session()) / 4
