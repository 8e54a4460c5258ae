"""The way in: polls, the exact match, the prefetch window, the callback."""
