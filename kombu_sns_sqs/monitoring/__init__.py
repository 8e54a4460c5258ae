"""Telling others what happens here: hooks, what calls them, and adapters for Prometheus and OpenTelemetry."""
