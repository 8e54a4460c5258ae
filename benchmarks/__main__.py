"""``python -m benchmarks``: everything side by side, in one run, through one relay."""

from __future__ import annotations

import dataclasses
import json
import platform
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console

from benchmarks.calls import Calls
from benchmarks.contenders import CONTENDERS, OURS, RABBITMQ
from benchmarks.drain import Drain
from benchmarks.instructions import Instructions
from benchmarks.latency import Latency
from benchmarks.memory import Memory
from benchmarks.plot import draw
from benchmarks.publish import Publish
from benchmarks.report import about, conclude, show
from benchmarks.scaling import Scaling
from benchmarks.servers import SERVICES
from benchmarks.sizes import FULL, QUICK
from benchmarks.testbed import Testbed, Unavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.result import Result

#: All of them, in the order they are run.
BENCHMARKS = {one.name: one for one in (Drain(), Publish(), Calls(), Instructions(), Latency(), Memory(), Scaling())}


#: Enough to see that it works. Counting instructions is slow by its nature, and has to be asked for.
_QUICK = (OURS.name, RABBITMQ.name)
_QUICK_BENCHMARKS = tuple(name for name in BENCHMARKS if name != Instructions.name)


@click.command(context_settings={"show_default": True})
@click.option("--rtt-ms", default=15.0, type=click.FloatRange(min=0), help="Round trip to every broker, in ms.")
@click.option("--only", multiple=True, type=click.Choice(list(BENCHMARKS)), help="These benchmarks alone (repeatable).")
@click.option("--contenders", multiple=True, type=click.Choice(list(CONTENDERS)), help="These alone (repeatable).")
@click.option("--quick", is_flag=True, help="Small numbers, and two contenders unless named: does it work at all?")
@click.option("--service", default="fauxqs", type=click.Choice(list(SERVICES)), help="What plays AWS.")
@click.option("--memory-messages", default=None, type=click.IntRange(min=100), help="Messages of the memory benchmark.")
@click.option("--json", "json_path", type=click.Path(dir_okay=False, path_type=Path), help="Write results there.")
@click.option("--svg", "svg_path", type=click.Path(dir_okay=False, path_type=Path), help="Draw results there.")
def main(
    *,
    rtt_ms: float,
    only: tuple[str, ...],
    contenders: tuple[str, ...],
    quick: bool,
    service: str,
    memory_messages: int | None,
    json_path: Path | None,
    svg_path: Path | None,
) -> None:
    """Compare sns-sqs:// with kombu's sqs://, Redis and RabbitMQ: here and now, through a relay with a round trip."""
    console = Console()
    sizes = QUICK if quick else FULL
    if memory_messages is not None:
        sizes = dataclasses.replace(sizes, memory=memory_messages)
    chosen = [CONTENDERS[name] for name in contenders or (_QUICK if quick else CONTENDERS)]
    results: list[Result] = []
    try:
        with Testbed(contenders=chosen, service=service, rtt=rtt_ms / 1000, sizes=sizes) as testbed:
            with console.status("starting") as status:
                for name in only or (_QUICK_BENCHMARKS if quick else BENCHMARKS):
                    results.append(BENCHMARKS[name].run(testbed, status.update))
                    show(results[-1], testbed, console)
            conclude(results, testbed, console)
            if json_path is not None:
                json_path.write_text(json.dumps(_record(results, testbed), indent=1) + "\n")
            if svg_path is not None:
                svg_path.write_text(draw(results))
    except Unavailable as missing:
        raise click.ClickException(f"{missing}. Or choose another with --service.") from None
    if any(result.failures for result in results):
        sys.exit(1)


def _record(results: Sequence[Result], testbed: Testbed) -> dict[str, object]:
    return {
        "rtt_ms": testbed.rtt * 1000,
        "service": testbed.service,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "about": about(testbed),
        "results": [
            {
                "benchmark": result.benchmark,
                "title": result.title,
                "seconds": result.seconds,
                "figures": [dataclasses.asdict(figure) for figure in result.figures],
                "marks": [{**dataclasses.asdict(mark), "met": mark.met} for mark in result.marks],
                "failures": list(result.failures),
            }
            for result in results
        ],
    }


if __name__ == "__main__":
    main(prog_name="python -m benchmarks")
