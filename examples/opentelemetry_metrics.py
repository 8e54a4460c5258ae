"""A worker that tells OpenTelemetry: ``celery -A opentelemetry_metrics worker``, then run this file."""

from __future__ import annotations

# [readme: opentelemetry]
import os

from celery import Celery
from opentelemetry import metrics, trace
from opentelemetry.instrumentation.celery import CeleryInstrumentor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import ConsoleMetricExporter, PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider

# An OTLPMetricExporter in real life, and a span processor with an OTLPSpanExporter.
reader = PeriodicExportingMetricReader(ConsoleMetricExporter(), export_interval_millis=10_000)
metrics.set_meter_provider(MeterProvider([reader]))
trace.set_tracer_provider(TracerProvider())
CeleryInstrumentor().instrument()  # type: ignore[no-untyped-call]

app = Celery("opentelemetry_metrics", broker=os.environ.get("BROKER_URL", "sns-sqs://"), backend="rpc://")
app.conf.broker_transport_options = {"hooks": "opentelemetry"}


@app.task
def trace_id() -> str:
    return f"{trace.get_current_span().get_span_context().trace_id:032x}"


if __name__ == "__main__":
    with trace.get_tracer("example").start_as_current_span("question") as span:
        answer = trace_id.delay().get(timeout=30)
    print(answer == f"{span.get_span_context().trace_id:032x}")  # one trace, from here to the worker
# [end]
