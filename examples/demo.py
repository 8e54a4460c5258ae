"""A tour of kombu-sns-sqs on a local SNS and SQS: real workers, real queues, no AWS account.

Run by ``make demo``. Every step checks what it shows; the exit status is 0 only where all of them held.
"""

from __future__ import annotations

import os
import re
import signal
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack, suppress
from pathlib import Path
from queue import Empty
from typing import Any

sys.path.insert(0, str(Path(__file__).parent / "demo"))

from celery.exceptions import TimeoutError as CeleryTimeoutError
from interruption import Interrupted, Interruption
from kombu import Connection, Exchange, Queue
from processes import Program, StepFailed, wait_for
from rich.console import Console

import kombu_sns_sqs
from kombu_sns_sqs.local import LocalService
from kombu_sns_sqs.temporary_names import sweeper_queue_name

console = Console()
interruption = Interruption()
WORKERS = ("w1@demo", "w2@demo")


def check(what: str, *, expected: Any, got: Any) -> None:
    """Say that something is as it should be, or fail."""
    interruption.check()
    if expected != got:
        raise StepFailed(f"{what}: expected {expected!r}, got {got!r}")
    console.print(f"   [green]✓[/] {what}")


def step(number: int, title: str) -> None:
    """Begin a step."""
    interruption.check()
    console.print(f"\n[bold]{number}. {title}")


def tasks_are_shared() -> None:
    """Run 50 plain tasks and look at their results, which come back over rpc://, through SQS."""
    from demo_app import square

    step(1, "50 plain tasks, shared by two workers, results over rpc://")
    began = time.monotonic()
    results = [square.delay(number) for number in range(50)]
    answers: list[tuple[int, str]] = []
    try:
        answers.extend(result.get(timeout=30) for result in results)
    except CeleryTimeoutError:
        raise StepFailed(f"results: expected {len(results)}, got {len(answers)} in time") from None
    took = time.monotonic() - began
    check("every result is right", expected=[n * n for n in range(50)], got=[value for value, _ in answers])
    shares = Counter(worker for _, worker in answers)
    check("both workers had a share", expected=set(WORKERS), got=set(shares))
    console.print(f"   {dict(sorted(shares.items()))} in {took:.2f} s")


def a_broadcast_reaches_all() -> None:
    """Run one task in every worker."""
    from demo_app import HEARD, announce

    step(2, "a Broadcast task, run by every worker")
    with Connection("sns-sqs://") as connection:
        heard = connection.SimpleQueue(HEARD)
        announce.delay("hello, all of you")
        heralds: list[str] = []
        with suppress(Empty):
            while len(heralds) < len(WORKERS):
                message = heard.get(timeout=20)
                message.ack()
                heralds.append(message.payload["worker"])
        check("each worker ran it", expected=sorted(WORKERS), got=sorted(heralds))
        heard.queue.delete()


def remote_control_answers() -> None:
    """Ask the workers, with Celery's default timeout of one second."""
    from demo_app import app

    step(3, "inspect, with Celery's default timeout")
    pings = app.control.inspect().ping() or {}
    check("ping", expected={worker: {"ok": "pong"} for worker in WORKERS}, got=dict(sorted(pings.items())))
    active = app.control.inspect().active_queues() or {}
    check("active_queues", expected=set(WORKERS), got=set(active))
    for worker, found in sorted(active.items()):
        console.print(f"   {worker} consumes from {', '.join(sorted(queue['name'] for queue in found))}")


def topics_route_between_processes(environment: dict[str, str], folder: Path) -> None:
    """Bind here, publish in a process that declares nothing, and see where each event went."""
    import service_view

    step(4, "a topic exchange, published to by a process that has declared nothing")
    news = Exchange("news", type="topic")
    patterns = {"sport": "*.sport.#", "europe": "eu.#", "all": "#"}
    keys = ["eu.sport.football", "us.sport", "eu", "us.politics"]
    expected = {
        "sport": ["eu.sport.football", "us.sport"],
        "europe": ["eu", "eu.sport.football"],
        "all": sorted(keys),
    }
    with Connection("sns-sqs://") as connection:
        bound = {name: Queue(f"news-{name}", news, pattern)(connection) for name, pattern in patterns.items()}
        for queue in bound.values():
            queue.declare()
        publisher = Program("publisher", "publish_news.py", "news", *keys, folder=folder, environment=environment)
        check("the publisher ended well", expected=0, got=publisher.wait())
        console.print(service_view.tree("on the service now"))
        for name, queue in bound.items():
            got = sorted(_everything_in(queue, len(expected[name])))
            check(f"{patterns[name]!r} received {', '.join(expected[name])}", expected=expected[name], got=got)
        for queue in bound.values():
            queue.delete()
        news(connection).delete()


def _everything_in(queue: Queue, count: int) -> list[str]:
    """Take all messages out of a queue, and look once more for one that should not be there."""
    keys: list[str] = []

    def take() -> bool:
        while (message := queue.get(no_ack=True)) is not None:
            keys.append(message.payload["key"])
        return len(keys) >= count

    wait_for(f"{count} messages in {queue.name}", take, timeout=10)
    take()
    return keys


def events_are_seen(events: Program) -> None:
    """Look at what a running ``celery events --dump`` has written."""
    step(5, "celery events --dump, running since the start")
    for worker in WORKERS:
        wait_for(f"events of {worker}", lambda worker=worker: events.says(worker))
        check(f"it has seen {worker}", expected=True, got=True)
    kinds = Counter(re.findall(r"\] ([a-z ]+):", events.output))
    console.print("   " + ", ".join(f"{count} × {kind}" for kind, count in kinds.most_common(5)))


def nothing_stays(programs: list[Program]) -> None:
    """Stop everything and list the service."""
    import service_view
    from demo_app import app

    step(6, "stop: every temporary queue, subscription and process goes")
    for program in programs:
        program.ask_to_stop(signal.SIGINT if program.name == "events" else signal.SIGTERM)
    app.close()
    kombu_sns_sqs.shutdown()
    statuses = {program.name: program.wait() for program in programs}
    check("the workers ended with status 0", expected={"w1": 0, "w2": 0}, got={n: statuses[n] for n in ("w1", "w2")})
    console.print(service_view.tree("on the service after the stop"))
    # By its message processes agree on who looks after what killed ones leave: who first asks makes it, and it stays.
    left = [queue for queue in service_view.queues() if queue != sweeper_queue_name()]
    check("the queues that are left", expected=["celery"], got=left)
    fed = {queue for rows in service_view.subscriptions().values() for queue, _ in rows}
    check("the queues that are subscribed", expected={"celery"}, got=fed)
    check("no process is left", expected=[], got=[p.name for p in programs if p.process.poll() is None])


def point_at(service: LocalService) -> None:
    """Let ``sns-sqs://`` mean the local service, whatever account, broker or proxy this shell is set up for."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "CELERY_"))]:
        del os.environ[name]
    os.environ.update(
        AWS_ENDPOINT_URL=service.endpoint_url,
        AWS_ACCESS_KEY_ID=service.access_key,
        AWS_SECRET_ACCESS_KEY=service.secret_key,
        AWS_DEFAULT_REGION=service.region,
        AWS_CONFIG_FILE=os.devnull,
        AWS_SHARED_CREDENTIALS_FILE=os.devnull,
        NO_PROXY="127.0.0.1",
        no_proxy="127.0.0.1",
        C_FORCE_ROOT="1",
    )


def start_programs(programs: list[Program], environment: dict[str, str], folder: Path, stack: ExitStack) -> None:
    """Start an event listener and two workers, note them in ``programs``, and wait until they are ready."""

    def start(name: str, *arguments: str) -> Program:
        program = Program(name, "-m", "celery", "-A", "demo_app", *arguments, folder=folder, environment=environment)
        stack.callback(program.kill)
        programs.append(program)
        return program

    start("events", "events", "--dump")
    workers = [
        start(name.partition("@")[0], "worker", "-n", name, "-c", "2", "-E", "--loglevel", "INFO") for name in WORKERS
    ]
    for worker in workers:
        wait_for(f"{worker.name} to be ready", lambda worker=worker: worker.says("ready."))


def tour(stack: ExitStack, folder: Path) -> None:
    """Run all steps."""
    service = stack.enter_context(LocalService.start())
    stack.callback(kombu_sns_sqs.shutdown)  # this process's own queues go while there still is a service
    console.print(f"[bold]kombu-sns-sqs {kombu_sns_sqs.__version__}[/] on a local SNS and SQS ({service.emulator})")
    point_at(service)
    environment = dict(os.environ)
    programs: list[Program] = []
    try:
        start_programs(programs, environment, folder, stack)
        console.print(f"two celery workers are ready, broker [bold]sns-sqs://[/] → {service.endpoint_url}")
        tasks_are_shared()
        a_broadcast_reaches_all()
        remote_control_answers()
        topics_route_between_processes(environment, folder)
        events_are_seen(programs[0])
        nothing_stays(programs)
    except Exception:
        for program in programs:
            tail = "\n".join(program.output.splitlines()[-15:])
            console.print(f"\n[yellow]the end of {program.name}'s log[/]")
            console.print(tail, highlight=False, markup=False, soft_wrap=True)
        raise


def main() -> int:
    """Run the tour and return its exit status."""
    interruption.listen()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="kombu-sns-sqs-demo-") as folder, ExitStack() as stack:
        try:
            tour(stack, Path(folder))
        except StepFailed as failure:
            console.print(f"\n[bold red]✗ {failure}")
            return 1
        except Interrupted as interrupted:
            console.print("\n[yellow]interrupted: stopping everything")
            return interrupted.exit_status
    console.print(f"\n[bold green]all of it held[/], in {time.monotonic() - began:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
