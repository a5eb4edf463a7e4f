"""What makes an answer from the result of the function."""

import asyncio
import dataclasses
import itertools
import json

from flask import Response
from pydantic import BaseModel


def to_json(value):
    """What JSON has for values that it does not know."""
    # if arrays:
    if hasattr(value, "tolist"):  # numpy and the like
        return value.tolist()
    # end
    # if models:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    # end
    # if classes:
    if dataclasses.is_dataclass(value):
        return dataclasses.asdict(value)
    # end
    raise TypeError(f"a {type(value).__name__} cannot be JSON")


def step_by_step(parts):
    """What an asynchronous generator yields, in a plain one."""
    loop = asyncio.new_event_loop()
    try:
        while True:
            yield loop.run_until_complete(anext(parts))
    except StopAsyncIteration:
        pass
    finally:
        loop.run_until_complete(parts.aclose())
        loop.close()


def respond(result):
    # if response:
    if isinstance(result, Response):
        return result
    # end
    # if bytes:
    if isinstance(result, bytes):
        return Response(result, mimetype="application/octet-stream")
    # end
    # if json:
    # if text:
    if isinstance(result, str):
        return Response(result, mimetype="text/plain")
    # end
    # if plain:
    text = json.dumps(result, default=to_json, allow_nan=False)
    # else:
    text = json.dumps(result, allow_nan=False)
    # end
    return Response(text, mimetype="application/json")
    # else:
    return Response(result, mimetype="text/plain")
    # end


def stream(parts):
    """The parts, as they come. The first is waited for, so that an early error is an answer."""
    first = list(itertools.islice(parts, 1))
    parts = itertools.chain(first, parts)
    # if json:
    # if bytes:
    if first and isinstance(first[0], bytes):
        return Response(parts, mimetype="application/octet-stream")
    # end
    # if text:
    if first and isinstance(first[0], str):
        return Response(parts, mimetype="text/plain")
    # end
    # if plain:
    encoded = (json.dumps(part, default=to_json, allow_nan=False) for part in parts)
    # else:
    encoded = (json.dumps(part, allow_nan=False) for part in parts)
    # end
    lines = (text + "\n" for text in encoded)
    return Response(lines, mimetype="application/x-ndjson")
    # else:
    # if text:
    return Response(parts, mimetype="text/plain")
    # else:
    return Response(parts, mimetype="application/octet-stream")
    # end
    # end
