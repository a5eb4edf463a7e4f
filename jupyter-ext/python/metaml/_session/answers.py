"""Answers to what `metaml` requests of the live session: `need` lines in, `have` lines out
(docs/internals/protocols.md §1)."""

from __future__ import annotations

import difflib
import inspect
import os
import sys
import tempfile
import traceback
from collections.abc import Iterable, Mapping
from typing import Any

from metaml._errors import Refused
from metaml._package import below_our_frames
from metaml._session import draw
from metaml._session.installed import stamps
from metaml._session.lock import lock
from metaml._session.names import describe, distributions, private_folder, ship
from metaml._values import described


class Answers:
    """Answers for one conversation. :meth:`close` it: it may own a temporary folder.

    Args:
        namespace: the session's top level.
        function: name of the entry function, for its annotations; "" if unknown.
        sources: objects that a decorator captured, by the name under which they are requested.
        path: where packages are installed, of a process whose answers may be kept as long as nothing is installed.
    """

    def __init__(
        self,
        namespace: Mapping[str, Any],
        function: str = "",
        sources: Mapping[str, draw.Source] | None = None,
        path: Iterable[str] = (),
    ) -> None:
        self._namespace = namespace
        self.function = function  # may become known later
        self._sources = dict(sources or {})
        self._path = list(path)
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self.raised: BaseException | None = None  # what the user's code raised last, to be raised again natively

    def _stamps(self) -> dict[str, Any]:
        return {"stamps": stamps(self._path)} if self._path else {}

    def answer(self, need: Mapping[str, Any]) -> dict[str, Any]:
        """The fields of a `have` line."""
        answer: dict[str, Any] = {"id": need.get("id")}
        try:
            if "describe" in need:
                sizes = need.get("sizes", True)
                about = {name: describe(name, self._namespace, size=sizes) for name in need["describe"] or ()}
                answer["describe"] = {name: value for name, value in about.items() if value is not None}
            elif "values" in need:
                answer["values"] = described.session(need["values"] or (), self._namespace)
            elif "distributions" in need:
                answer["distributions"] = distributions(need["distributions"] or ())
                answer |= self._stamps()
            elif "lock" in need:
                answer["lock"] = lock(need["lock"] or ())
                answer |= self._stamps()
            elif "with" in need:
                if self._folder is None:
                    self._folder = private_folder()
                answer["with"] = {name: ship(name, self._namespace, self._folder.name) for name in need["with"] or ()}
            elif "draw" in need:
                answer["draw"] = self._draw(need["draw"] or {})
            elif "runs" in need:
                answer["runs"] = self._runs(need["runs"] or ())
            elif "stars" in need:
                answer["stars"] = stars(need["stars"] or (), self._namespace)
            elif "environment" in need:
                answer["environment"] = environment(need["environment"] or ())
            elif "json" in need:
                answer["json"] = self._json(str(need["json"]))
            else:
                answer["error"] = {
                    "code": "unknown-need",
                    "text": "this module does not know what metaml asks",
                    "hint": "Restart the kernel, so that both are of one installation.",
                }
        except draw.UserError as error:
            cause = error.__cause__ or error
            trim(cause)
            self.raised = cause
            answer["error"] = {
                "code": "hyper-parameters",
                "text": error.text,
                "hint": error.hint,
                "traceback": "".join(traceback.format_exception(cause)),
            }
        except Refused as refused:
            answer["error"] = {"code": refused.code, "text": refused.text, "hint": refused.hint}
        return answer

    def close(self) -> None:
        """Remove what was written for the other side, which has copied it by now."""
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def _draw(self, need: Mapping[str, Any]) -> dict[str, Any]:
        name = str(need.get("name") or "")
        source = self._sources.get(name)
        if source is None:
            drawn = self._find("--hyper-parameters", name, "hyper-parameters")
            source = self._sources[name] = draw.Source(drawn, name)
        return draw.draw(
            source,
            completions=int(need.get("completions") or 0),
            parallelism=max(1, int(need.get("parallelism") or 1)),
            limit=int(need.get("limit", draw.LIMIT_ROWS)),
            parameters=need.get("parameters"),
            required=need.get("required") or (),
            arrays=self._arrays(self.function),
            seed=need.get("seed"),
            whole=str(need.get("whole") or ""),
            annotated=bool(need.get("annotated")),
        )

    def _runs(self, names: Iterable[str]) -> dict[str, str]:
        """The runs that variables hold, by variable; other names are left out."""
        from metaml._held.run import Run
        from metaml._held.server import Server
        from metaml._held.trial import Trial

        held = {}
        for name in names:
            value = self._namespace.get(name)
            if isinstance(value, Run):
                held[name] = value.name
            elif isinstance(value, Trial) and value.run:
                held[name] = f"{value.run}:{value.index}"
            elif isinstance(value, Server):
                raise Refused(
                    f"--model {name}: `{name}` is the server {value.name}, and a model comes from a training run",
                    "Name the Run of the %%train cell.",
                    code="model",
                )
        return held

    def _json(self, name: str) -> str:
        from metaml._values.json_text import NotJSON, to_json

        try:
            example = self._find("--example", name, "example")
            # Bytes alone would be a body that is no JSON; within something else they are base64 text.
            return to_json(example, base64=not isinstance(example, (bytes, bytearray, memoryview))).decode()
        except NotJSON as error:
            raise Refused(
                f"--example {name}: `{name}` {'has' if error.place else 'is'} {error}", code="example"
            ) from None

    def _find(self, option: str, name: str, code: str) -> Any:
        first, *rest = name.split(".")
        if first not in self._namespace:
            near = difflib.get_close_matches(first, [n for n in self._namespace if not n.startswith("_")], n=1)
            hint = f"Did you mean `{near[0]}`?" if near else "Run the cell that defines it first."
            raise Refused(f"{option} {name}: there is no `{first}` here", hint, code=code)
        value = self._namespace[first]
        for part in rest:
            try:
                value = getattr(value, part)
            except AttributeError:
                raise Refused(f"{option} {name}: `{first}` has no `{part}`", code=code) from None
        return value

    def _arrays(self, function: str) -> frozenset[str]:
        """Parameters of the entry function that are annotated as an array or a list."""
        entry = inspect.unwrap(self._namespace[function]) if callable(self._namespace.get(function)) else None
        annotations = getattr(entry, "__annotations__", None) or {}
        return frozenset(name for name, annotation in annotations.items() if _is_array(annotation))


def _is_array(annotation: Any) -> bool:
    if isinstance(annotation, str):
        text = annotation
    else:
        text = getattr(annotation, "__name__", "") if isinstance(annotation, type) else str(annotation)
    text = text.partition("[")[0].rpartition(".")[2].strip().lower()
    return text in (
        "list",
        "sequence",
        "ndarray",
        "ndarraytype",
        "array",
        "tensor",
        "arraylike",
        "series",
        "collection",
        "iterable",
    )


def trim(error: BaseException) -> None:
    """Take this module's frames out of the top of an exception's traceback: it begins in the user's code."""
    trace = below_our_frames(error.__traceback__)
    if trace is not None:
        error.__traceback__ = trace


def environment(names: Iterable[str]) -> dict[str, str]:
    """The variables of the session with these names, of those that are set and are text; "*" is all that there are."""
    names = list(names)
    wanted = os.environ if "*" in names else names
    return {name: os.environ[name] for name in wanted if name in os.environ and _is_text(name + os.environ[name])}


def stars(modules: Iterable[str], namespace: Mapping[str, Any]) -> dict[str, list[str]]:
    """The names that `from module import *` binds, of those that are there, for each module that is loaded."""
    found: dict[str, list[str]] = {}
    for name in modules:
        known = getattr(sys.modules.get(name), "__dict__", None)
        if not isinstance(known, dict):
            continue
        public = known.get("__all__")
        if not isinstance(public, (list, tuple)):
            public = [key for key in list(known) if isinstance(key, str) and not key.startswith("_")]
        found[name] = sorted({key for key in public if isinstance(key, str) and key in namespace})
    return found


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:  # bytes that are no UTF-8, as os.environ shows them
        return False
    return True
