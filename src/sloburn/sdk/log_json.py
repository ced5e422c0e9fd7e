"""A line as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from json import encoder as in_c

Encode = Callable[[Mapping[str, object]], str]

_COMMA, _COLON = ", ", ": "
# Keys are not sorted, none is skipped, NaN is allowed: the redactor has made it text.
_FLAGS = (False, False, True)


def make_encode() -> Encode:
    """Return what makes JSON of a mapping of plain values, without looking for circles in it.

    `json.JSONEncoder.encode` builds the encoder that does the work anew for every line, which costs a third of it.
    Where the standard library has another one, or none, in C, the plain way is taken.
    """
    plain: Encode = json.JSONEncoder(ensure_ascii=False, separators=(_COMMA, _COLON)).encode
    probe: Mapping[str, object] = {"a": ["\u00e4\n", 1, 0.5, True, None, {"b": 2**70}]}
    try:
        make, text = vars(in_c)["c_make_encoder"], in_c.encode_basestring
        encode = make(None, None, text, None, _COLON, _COMMA, *_FLAGS)

        def fast(line: Mapping[str, object]) -> str:
            return "".join(encode(line, 0))

        return fast if fast(probe) == plain(probe) else plain
    except Exception:
        return plain
