"""JSON as it is written for each message: by an encoder that is made once."""

from __future__ import annotations

import json.encoder
from json.encoder import encode_basestring, encode_basestring_ascii
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from json import JSONEncoder

__all__ = ("writer",)


def writer(encoder: JSONEncoder) -> Callable[[Any], str]:
    """Give what writes mappings and lists as ``encoder.encode`` does, and makes nothing anew for each of them.

    ``encode`` makes an encoder in C for each text, which costs as much as a short text itself. What contains itself
    raises RecursionError in place of ValueError: looking for it takes a mark for each list and mapping.
    https://docs.python.org/3/library/json.html#json.JSONEncoder
    """
    quote = encode_basestring_ascii if encoder.ensure_ascii else encode_basestring
    form = encoder.key_separator, encoder.item_separator, encoder.sort_keys, encoder.skipkeys, encoder.allow_nan
    # PyPy has none, and what it takes is no promise of Python's.
    make: Any = getattr(json.encoder, "c_make_encoder", None)
    try:
        chunks = make(None, encoder.default, quote, None, *form)
    except TypeError:
        return encoder.encode
    return lambda value: "".join(chunks(value, 0))
