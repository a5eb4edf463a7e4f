"""The decorators `Train`, `Serve`, `DataIn` and `DataOut`: what the cell magics do, for scripts and modules."""

from __future__ import annotations

import functools
import inspect
import os
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from metaml._errors import Interrupted, MetaMLError, Refused
from metaml._session import binding, document
from metaml._session.setting_names import PACKAGE, SERVE, TRAIN
from metaml._session.settings import check, plain

if TYPE_CHECKING:
    from metaml._held.run import Run
    from metaml._held.server import Server
    from metaml._session.draw import Source
    from metaml._session.live import Live
    from metaml._session.submit import Place

Function = Callable[..., Any]


def _in_trial() -> bool:
    return bool(os.environ.get("_METAML_TRIAL"))


class _Decorator:
    """Common to all: usable bare and with arguments, and looks like the function that it wraps."""

    __wrapped__: Function | None = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError

    def _wrap(self, function: Any) -> None:
        if not callable(function):
            raise Refused(f"@{type(self).__name__} goes over a function, not over a {type(function).__name__}")
        functools.update_wrapper(self, function)

    @property
    def _function(self) -> Function:
        if self.__wrapped__ is None:
            name = type(self).__name__
            raise Refused(f"this @{name} has no function yet", f"Put it over one: @{name}(…) above `def`.")
        return self.__wrapped__

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        # Over a method it would never be submitted: a method has an argument.
        return self if instance is None else functools.partial(self, instance)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {getattr(self.__wrapped__, '__qualname__', '(no function)')}>"


class _Submitting(_Decorator):
    """A decorator that submits its function: `settings`, `package` and `more` are those of :class:`Train` and
    :class:`Serve`.
    """

    _kind = ""
    _known: tuple[str, ...] = ()

    def __init__(
        self,
        function: Function | None = None,
        /,
        *,
        settings: Mapping[str, Any] | None = None,
        package: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> None:
        given = {**(settings or {}), **more}
        check(given, self._known, f"@{type(self).__name__}")
        check(package or {}, PACKAGE, f"package of @{type(self).__name__}")
        self._sources: dict[str, Source] = {}
        self._settings: dict[str, Any] = {}
        if not _in_trial():
            self._take(given, package or {})
        if function is not None:
            self._wrap(function)

    def _take(self, given: Mapping[str, Any], package: Mapping[str, Any]) -> None:
        for name, value in given.items():
            if value is None:
                continue
            if name == "hyper_parameters" and not isinstance(value, str):
                self._capture(value)
            else:
                self._settings[name] = plain(name, value)
        for name, value in package.items():
            if value is not None:
                self._settings[f"package.{name}"] = plain(name, value)

    def _capture(self, value: Any) -> None:
        """Take a generator now, before anybody takes its first row."""
        from metaml._session.draw import Source

        code = getattr(value, "gi_code", None)
        name = getattr(code, "co_name", None) or getattr(value, "__name__", None)
        if not isinstance(name, str) or not name.isidentifier():
            name = "hyper_parameters"
        self._sources[name] = Source(value, name)
        self._settings["hyper_parameters"] = name

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.__wrapped__ is None and len(args) == 1 and not kwargs and callable(args[0]):
            self._wrap(args[0])
            return self
        if args or kwargs or _in_trial():
            return self._function(*args, **kwargs)
        return self._submit()

    def _submit(self) -> Run | Server | None:
        from metaml._binary.begin import begin
        from metaml._binary.talk import connect
        from metaml._session.answers import Answers
        from metaml._session.submit import submit

        quiet_excepthook()
        where = _where(self._function, f"@{type(self).__name__}")
        answers = Answers(where.namespace, self._function.__name__, self._sources)
        conversation = None
        try:
            conversation = connect(render=where.renders)
            first = begin(
                conversation,
                self._kind,
                "",
                answers,
                settings=self._settings,
                function=self._function.__name__,
                cell=where.cell,
                source=where.source,
            )
            return submit(
                conversation,
                first,
                where.document,
                answers,
                place=lambda run, into: where.place(run, into),
                show=where.show,
                held=False,
                background=where.show is not None,
            )
        except BaseException as error:
            if error is answers.raised:
                raise error from None
            raise
        finally:
            answers.close()
            if conversation is not None and not conversation.handed_over:
                conversation.close()


class Train(_Submitting):
    """Run a function as trials: `@Train(settings={…}, package={…})`, or `@Train` bare.

    Decorating does nothing else. Calling without arguments submits the run, waits and returns the :class:`metaml.Run`;
    calling with arguments calls the plain function, and so does any call inside a trial::

        @Train(settings={"parallelism": 4, "hyper_parameters": get_hyperparameters()})
        def train_model(learning_rate, dropout): ...

        if __name__ == "__main__":
            run = train_model()

    Args:
        settings: the settings of `%%train` by name (docs/reference/settings.md). `hyper_parameters` is the generator,
            function, list, dict of lists or DataFrame itself, or the name of one. A setting that is a list takes a
            list, and `env`, `secret` and `node_selector` take a dict too.
        package: `repository`, `name` and `publish` of the image; only targets that make images use it.
        more: settings as keyword arguments.

    Raises:
        Refused: a setting does not exist (with the nearest name), when decorating; when calling, whatever refuses a
            cell.
    """

    _kind = "train"
    _known = TRAIN


class Serve(_Submitting):
    """Serve a function over HTTP: `@Serve(settings={…}, package={…})`, or `@Serve` bare.

    Decorating does nothing else. Calling without arguments starts the server, or a new revision of it, waits until it
    answers and returns the :class:`metaml.Server`, which goes on when this process ends; calling with arguments calls
    the plain function, and so does any call inside a worker::

        net = load(metaml.model("train-model"))

        @Serve(settings={"url": "/predict", "port": 8080, "replicas": 2, "model": "train-model"})
        def predict(image): ...

        if __name__ == "__main__":
            print(predict().url)

    Args:
        settings: the settings of `%%serve` by name (docs/reference/settings.md). `model` may be a Run or a Trial;
            an `example` that is no text becomes JSON.
        package: `repository`, `name` and `publish` of the image; only targets that make images use it.
        more: settings as keyword arguments.

    Raises:
        Refused: a setting does not exist (with the nearest name), when decorating; when calling, whatever refuses a
            cell.
    """

    _kind = "serve"
    _known = SERVE


class _Data(_Decorator):
    """Names the data of a function by URL; local paths pass through."""

    def __init__(self, *places: Any, **named: Any) -> None:
        self._places: dict[str, Any] = dict(named)
        if len(places) == 1 and callable(places[0]) and not named:
            self._wrap(places[0])
            return
        for index, place in enumerate(places):
            if isinstance(place, Mapping):
                self._places.update(place)
            else:
                self._places[str(index)] = place

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.__wrapped__ is None and len(args) == 1 and not kwargs and callable(args[0]):
            self._wrap(args[0])
            return self
        for name, place in self._places.items():
            if isinstance(place, str) and "://" in place:
                label = f"`{name}`" if name.isidentifier() else f"place {name}"
                raise Refused(
                    f"@{type(self).__name__} of `{self._function.__name__}`: {label} is at {_without_secrets(place)}, "
                    "and this version of MetaML does not move data by URL",
                    "Give it a path, or read the URL in the function.",
                    code="not-yet",
                )
        return self._function(*args, **kwargs)


class DataIn(_Data):
    """Where a function's data comes from: `@DataIn(train="data/train.csv")`. URLs are refused when the function is
    called.
    """


class DataOut(_Data):
    """Where a function's results go: `@DataOut(model="out/model")`. URLs are refused when the function is called."""


# Pickles and messages name them as people import them.
Train.__module__ = Serve.__module__ = DataIn.__module__ = DataOut.__module__ = "metaml"


def _without_secrets(url: str) -> str:
    """A URL without what may be secret in it: user, password and query."""
    from urllib.parse import urlsplit

    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


class _Where:
    """Where a decorated function was called: in a live notebook or console, or in a script."""

    def __init__(self, namespace: dict[str, Any], source: str) -> None:
        self.namespace = namespace
        self.source = source
        self.renders = False
        self.show: Callable[[dict[str, Any]], None] | None = None
        self.cell: dict[str, Any] = {"seq": 1, "count": 0, "id": "", "parent": "", "alone": False}
        self.document: Callable[[], dict[str, Any]] = dict
        self.place: Place = lambda run, into: binding.Name()


def _where(function: Function, label: str) -> _Where:
    """Work out what a call belongs to.

    Raises:
        Refused: there is neither a notebook nor a file.
    """
    plain = inspect.unwrap(function)
    session = _session()
    if session is not None and plain.__globals__ is session.shell.user_ns:
        where = _Where(session.shell.user_ns, session.source())
        where.renders = session.renders()
        where.show = session.show if where.renders else None
        where.document = lambda: session.recorder.document(session.source())
        running = session.recorder.current()
        # 0 is the last cell that defines the function, and the call may stand in a later one.
        where.cell = {**(session.about(running, False) if running else where.cell), "seq": 0}
        count = running.count if running else 0

        def place(run: Run | Server, into: str) -> binding.Name:
            # Without one the call's value is what the user has.
            return session.place(run, into, count) if into else binding.Name()

        where.place = place
        return where
    path = (
        getattr(sys.modules["__main__"], "__file__", None)
        if plain.__module__ == "__main__"
        else inspect.getsourcefile(plain)
    )
    if not path or not os.path.isfile(path):
        raise Refused(
            f"{label} of `{plain.__name__}`: there is neither a notebook nor a file that defines it",
            "Put it into a file, or load MetaML into the notebook first: %load_ext metaml.",
            code="no-source",
        )
    where = _Where(plain.__globals__, os.path.abspath(path))
    where.document = lambda: document.script(path)
    return where


def _session() -> Live | None:
    from metaml._session import live

    return live.current


_hooked = False


def quiet_excepthook() -> None:
    """In a script, our own exceptions end it with their sentence and no stack: it would show this module's
    lines alone.
    """
    global _hooked
    if _hooked or _session() is not None:
        return
    _hooked = True
    before = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, trace: Any) -> None:
        if isinstance(error, (MetaMLError, Interrupted)):
            print("\n".join(error._render_traceback_()), file=sys.stderr)
        else:
            before(kind, error, trace)

    sys.excepthook = hook
