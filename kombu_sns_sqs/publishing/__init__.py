"""The way out: exchange, envelope, address, request."""
