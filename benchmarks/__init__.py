"""Benchmarks of ``sns-sqs://`` beside ``sqs://``, Redis and RabbitMQ: see ``benchmarks/README.md``."""
