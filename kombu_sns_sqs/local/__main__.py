"""``python -m kombu_sns_sqs.local``: a local service for a shell, until Ctrl-C or SIGTERM."""

from __future__ import annotations

import argparse
import signal
import sys
from typing import TYPE_CHECKING

from kombu_sns_sqs.local.emulators import EMULATORS, LocalServiceError
from kombu_sns_sqs.local.service import ENDPOINT_VARIABLE, LocalService
from kombu_sns_sqs.local.shared import NOT_FOR_PRODUCTION

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a service until it is told to stop, and return the exit status: 1 where it failed to start or ended alone."""
    parsed = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        with LocalService.start(port=parsed.port, emulator=parsed.emulator) as service:
            _print(_exports(service) if parsed.env else _introduction(service))
            status = service.wait()
    except KeyboardInterrupt:
        return 0
    except LocalServiceError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1
    print(f"{service.emulator} ended by itself, with status {status}", file=sys.stderr)  # noqa: T201
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m kombu_sns_sqs.local",
        description="Run an emulator of Amazon SNS and SQS on the loopback interface, for development.",
    )
    parser.add_argument("--port", type=int, help="where to listen on 127.0.0.1 (a free port unless given)")
    parser.add_argument("--emulator", choices=[emulator.name for emulator in EMULATORS])
    parser.add_argument("--env", action="store_true", help="print the environment alone, as lines for a shell to read")
    return parser


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def _introduction(service: LocalService) -> list[str]:
    return [
        f"SNS and SQS by {service.emulator}, {NOT_FOR_PRODUCTION}.",
        "",
        "Broker URL for kombu and Celery:",
        f"  {service.broker_url}?region={service.region}",
        "",
        "For sns-sqs://local and the AWS CLI in another shell:",
        *(f"  {line}" for line in _exports(service)),
        "",
        "Ctrl-C stops it.",
    ]


def _exports(service: LocalService) -> list[str]:
    return [
        f"export {ENDPOINT_VARIABLE}={service.endpoint_url}",
        f"export AWS_ENDPOINT_URL={service.endpoint_url}",
        f"export AWS_ACCESS_KEY_ID={service.access_key}",
        f"export AWS_SECRET_ACCESS_KEY={service.secret_key}",
        f"export AWS_DEFAULT_REGION={service.region}",
    ]


def _print(lines: list[str]) -> None:
    print(*lines, sep="\n", flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
