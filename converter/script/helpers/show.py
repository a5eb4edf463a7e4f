def _metaml_show(value):
    """Prints a value as a notebook shows the last expression of a cell: nothing for None, long containers in lines."""
    if value is not None:
        print(_metaml_layout(_metaml_parts(value, ()), 0, 0, "")[0])


def _metaml_parts(value, above):
    # A string, or a list whose first entry is by how much its lines are indented; None is where it may be broken.
    import collections
    import re
    import types

    kind = type(value)
    for base in (list, tuple, set, frozenset, dict, types.MappingProxyType, collections.deque):
        if kind is base or (isinstance(value, base) and kind.__repr__ is base.__repr__):
            break
    else:
        base = None
    call = {collections.defaultdict, collections.OrderedDict, collections.Counter, collections.deque} & set(
        kind.__mro__
    )
    if call and kind.__repr__ is call.copy().pop().__repr__:
        if id(value) in above:
            return kind.__name__ + "(...)"
        given = {
            collections.defaultdict: lambda: [value.default_factory, dict(value)],
            collections.OrderedDict: lambda: [list(value.items())] if value else [],
            collections.Counter: lambda: [dict(value.most_common())] if value else [],
            collections.deque: lambda: [list(value)],
        }[call.pop()]()
        parts = [len(kind.__name__) + 1, kind.__name__ + "("]
        for i, part in enumerate(given):
            parts += [",", None] * (i > 0) + [_metaml_parts(part, (*above, id(value)))]
        if getattr(value, "maxlen", None) is not None:
            parts += [",", None, f"maxlen={value.maxlen}"]
        return [*parts, ")"]
    if base is None:
        if isinstance(value, type) and type(value).__repr__ is type.__repr__:
            return value.__qualname__ if value.__module__ == "builtins" else f"{value.__module__}.{value.__qualname__}"
        if isinstance(value, (types.FunctionType, types.BuiltinFunctionType)):
            import inspect

            name = ("" if value.__module__ in (None, "builtins") else value.__module__ + ".") + value.__qualname__
            try:
                return f"<function {name}{inspect.signature(value)}>"
            except ValueError:
                return f"<function {name}>"
        if isinstance(value, re.Pattern):
            names = ["IGNORECASE", "LOCALE", "MULTILINE", "DOTALL", "UNICODE", "VERBOSE", "DEBUG"]
            flags = "|".join("re." + name for name in names if value.flags & getattr(re, name))
            return f"re.compile(r{value.pattern!r}" + (f", {flags})" if flags else ")")
        return repr(value)
    if base is not tuple and base is not dict and kind is not base and base is not list:
        return repr(value)
    opening, closing = {
        list: "[]",
        tuple: "()",
        set: "{}",
        dict: "{}",
        frozenset: ("frozenset({", "})"),
        types.MappingProxyType: ("mappingproxy({", "})"),
    }[base]
    if id(value) in above:
        return opening + "..." + closing
    items = list(value)
    if base in (set, frozenset):
        if not items:
            return kind.__name__ + "()"
        if len(items) < 1000:
            try:
                items.sort()
            except Exception:
                try:
                    items.sort(key=str)
                except Exception:
                    items = list(value)
    parts = [len(opening), opening]
    for i, item in enumerate(items):
        if i:
            parts += [",", None]
        if i == 1000:
            parts.append("...")
            break
        parts.append(_metaml_parts(item, (*above, id(value))))
        if base in (dict, types.MappingProxyType):
            parts += [": ", _metaml_parts(value[item], (*above, id(value)))]
    if base is tuple and len(items) == 1:
        parts.append(",")
    return [*parts, closing]


def _metaml_layout(part, column, indent, behind):
    # The text of a part, and the column behind it; `behind` is what stands on its last line before the next break.
    if isinstance(part, str):
        lines = part.splitlines() or [""]
        text = ("\n" + " " * indent).join(lines)
        return text, len(lines[-1]) + (indent if len(lines) > 1 else column)

    def flat(part):
        return part if isinstance(part, str) else "".join(" " if p is None else flat(p) for p in part[1:])

    inner, text = indent + part[0], ""
    one = flat(part)
    if "\n" not in one and column + len(one) + len(behind) <= 79:
        return one, column + len(one)
    for i, piece in enumerate(part[1:], 1):
        if piece is None:
            text, column = text + "\n" + " " * inner, inner
            continue
        rest = ""
        for later in part[i + 1 :]:
            if later is None:
                break
            rest += flat(later)
        else:
            rest += behind
        written, column = _metaml_layout(piece, column, inner, rest)
        text += written
    return text, column
