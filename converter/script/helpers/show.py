def _metaml_show(value):
    """Prints a value as a notebook shows the last expression of a cell: nothing for None, long containers in lines."""
    if type(value).__module__ == "__main__" and callable(getattr(type(value), "_ipython_display_", None)):
        value._ipython_display_()
        return
    if value is not None:
        print(_metaml_layout(_metaml_parts(value, ())))


def _metaml_parts(value, above):
    # What a value is made of: texts, None where a line may be broken, True where it must be, an integer where a group
    # of such places begins, by which its lines are indented, and False where that ends. What else a _repr_pretty_ asks
    # for is a pair: (text, 0) where that may give way to the end of a line, ("", n) where lines are indented by n more.
    yield from (0, *_metaml_inner(value, above), False)


def _metaml_inner(value, above):
    import collections
    import re
    import types

    def each(items, pairs):
        for i, item in enumerate(items):
            yield from (",", None) if i else ()
            if i == 1000:
                yield "..."
                return
            yield from _metaml_parts(item, inside)
            yield from (": ", *_metaml_parts(value[item], inside)) if pairs else ()

    def called(name, *arguments, **options):
        yield from (0, name + "(", len(name) + 1)
        for i, (key, argument) in enumerate(
            [*(("", a) for a in arguments), *((k + "=", v) for k, v in options.items())]
        ):
            yield from (",", None) if i else ()
            yield from (
                (key, len(key), *_metaml_parts(argument, inside), False) if key else _metaml_parts(argument, inside)
            )
        yield from (False, ")", False)

    kind, inside = type(value), (*above, id(value))
    cycle = id(value) in above
    own = next(base for base in kind.__mro__ if "__repr__" in vars(base) or callable(vars(base).get("_repr_pretty_")))
    if "_repr_pretty_" in vars(own):
        yield from _metaml_printer(inside).asked(value, cycle)
    elif own in (list, tuple, set, frozenset, dict, types.MappingProxyType):
        name = {frozenset: "frozenset({", types.MappingProxyType: "mappingproxy({"}.get(own, "")
        opening = name or {list: "[", tuple: "("}.get(own, "{")
        closing = {"[": "]", "(": ")", "{": "}"}.get(opening, "})")
        if cycle:
            yield "{...}" if own in (dict, types.MappingProxyType) else opening + "..." + closing
        elif own in (set, frozenset) and not value:
            yield kind.__name__ + "()"
        else:
            items = list(value)
            if own in (set, frozenset) and len(items) < 1000:
                for key in (None, str):
                    try:
                        items = sorted(items, key=key)
                        break
                    except Exception:
                        continue
            yield from (opening, len(opening), *each(items, own in (dict, types.MappingProxyType)))
            yield from (",",) if own is tuple and len(items) == 1 else ()
            yield from (False, closing)
    elif own in (collections.defaultdict, collections.OrderedDict, collections.Counter, collections.deque):
        if cycle:
            yield kind.__name__ + "(...)"
        elif own is collections.defaultdict:
            yield from called(kind.__name__, value.default_factory, dict(value))
        elif own is collections.deque:
            yield from called(kind.__name__, list(value), **({} if value.maxlen is None else {"maxlen": value.maxlen}))
        elif own is collections.Counter:
            yield from called(kind.__name__, *([dict(value.most_common())] if value else []))
        else:
            yield from called(kind.__name__, *([list(value.items())] if value else []))
    elif own is BaseException:
        module = "" if kind.__module__ == "builtins" else kind.__module__ + "."
        yield from called(module + kind.__qualname__, *value.args)
    elif own is types.SimpleNamespace:
        yield from ("namespace(...)",) if cycle else called("namespace", **vars(value))
    elif own is type:
        yield value.__qualname__ if value.__module__ == "builtins" else f"{value.__module__}.{value.__qualname__}"
    elif own in (types.FunctionType, types.BuiltinFunctionType):
        import inspect

        module = "" if value.__module__ in (None, "builtins") else value.__module__ + "."
        try:
            yield f"<function {module}{value.__qualname__}{inspect.signature(value)}>"
        except ValueError:
            yield f"<function {module}{value.__qualname__}>"
    elif own is re.Pattern:
        names = ["IGNORECASE", "LOCALE", "MULTILINE", "DOTALL", "UNICODE", "VERBOSE", "DEBUG"]
        flags = "|".join("re." + name for name in names if value.flags & getattr(re, name))
        yield from (0, "re.compile(", 11, 0, f"r{value.pattern!r}", False)
        yield from (",", None, 0, flags, False) if flags else ()
        yield from (False, ")", False)
    elif own is object:
        yield from ("<", 1, *_metaml_parts(kind, inside), f" at 0x{id(value):x}", False, ">")
    else:
        yield 0
        for i, line in enumerate(repr(value).splitlines()):
            yield from (True, line) if i else (line,)
        yield False


class _metaml_printer:
    """What the method _repr_pretty_ of a class gets: it notes what is to be printed."""

    max_width, max_seq_length, verbose, newline = 79, 1000, False, "\n"

    def __init__(self, above):
        self.parts, self.stack = [], list(above)

    def asked(self, value, cycle):
        try:
            value._repr_pretty_(self, cycle)
        except Exception:
            __import__("traceback").print_exc()
            return [repr(value)]
        return self.parts

    def text(self, text):
        self.parts.append(text)

    def breakable(self, sep=" "):
        self.parts.append((sep, 0))

    def break_(self):
        self.parts.append(True)

    def pretty(self, value):
        self.parts += _metaml_parts(value, tuple(self.stack))

    def begin_group(self, indent=0, open=""):
        self.parts += [open, indent] if open else [indent]

    def end_group(self, dedent=0, close=""):
        self.parts += [False, close] if close else [False]

    def group(self, indent=0, open="", close=""):
        return self._within((open, indent) if open else (indent,), (False, close) if close else (False,))

    def indent(self, indent):
        return self._within([("", indent)], [("", -indent)])

    def _within(self, before, behind):
        import contextlib

        @contextlib.contextmanager
        def within():
            self.parts += before
            try:
                yield
            finally:
                self.parts += behind

        return within()

    def flush(self):
        pass


def _metaml_layout(parts, width=79):
    # The text of parts, by IPython's rule: where a line is too long, the outermost group is broken at all its places.
    class Group:
        def __init__(self, depth):
            self.depth, self.places, self.broken = depth, 0, False
            queue.extend([] for _ in range(depth + 1 - len(queue)))
            queue[depth].append(self)

        def done(self):
            if not self.places and self in queue[self.depth]:
                queue[self.depth].remove(self)

    def write():  # what has waited longest
        nonlocal column, waits
        text, group, indent = waiting.pop(0)
        waits -= len(text)
        if group:
            group.places -= 1
            if group.broken:
                out.append("\n" + " " * indent)
                column = indent
                return
            group.done()
        out.append(text)
        column += len(text)

    def outermost():
        for groups in queue:
            for i, group in enumerate(reversed(groups)):
                if group.places:
                    del groups[i]
                    group.broken = True
                    while group.places:
                        write()
                    while waiting and not waiting[0][1]:
                        write()
                    return True
            for group in groups:
                group.broken = True
            groups.clear()
        return False

    queue, out, waiting, column, waits = [], [], [], 0, 0
    stack, indents = [Group(0)], [0]
    for part in parts:
        sep = None
        if isinstance(part, tuple):
            if part[1]:
                indents[-1] += part[1]
                continue
            part, sep = None, part[0]
        if part is False:
            indents.pop()
            stack.pop().done()
        elif part is True or (part is None and stack[-1].broken):
            if part:
                outermost()
            while waiting:
                write()
            out.append("\n" + " " * indents[-1])
            column = indents[-1]
        elif isinstance(part, int):
            stack.append(Group(stack[-1].depth + 1))
            indents.append(indents[-1] + part)
        elif part is None or waiting:
            stack[-1].places += part is None
            sep = " " if sep is None else sep
            waiting.append((sep, stack[-1], indents[-1]) if part is None else (part, None, 0))
            waits += len(waiting[-1][0])
            while column + waits > width and outermost():
                pass
        else:
            out.append(part)
            column += len(part)
    while waiting:
        write()
    return "".join(out)
