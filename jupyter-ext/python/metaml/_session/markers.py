"""Requirements and their environment markers (PEP 508), as far as what is installed needs them read.

The session may lack the package `packaging`, or have one of any version: so the few rules stand here.
"""

from __future__ import annotations

import functools
import operator
import os
import platform
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple


class Requirement(NamedTuple):
    """A requirement of a distribution. Its name and extras are normalized."""

    name: str
    extras: frozenset[str]
    marker: str  # "" always holds
    text: str  # as in the metadata

    @property
    def specifiers(self) -> str:
        """Which versions it allows, such as ">=1,<2"; "" of all, and where it is an address."""
        match = _REQUIREMENT.match(self.text)
        rest = match[3].partition(";")[0].strip() if match else ""
        return "" if rest.startswith("@") else rest


def normalized(name: str) -> str:
    """A distribution's name as an index knows it: PEP 503."""
    return re.sub(r"[-_.]+", "-", name).lower()


_REQUIREMENT = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[([^\]]*)\])?\s*(.*)", re.DOTALL)


def parse(text: str) -> Requirement | None:
    """Read a line `Requires-Dist`; None if it is no requirement."""
    match = _REQUIREMENT.match(text)
    if match is None:
        return None
    name, extras, rest = match.groups()
    # An address may have a semicolon in it: there the marker is set off by a blank.
    marker = re.split(r"\s;", rest, maxsplit=1)[1:] if rest.startswith("@") else rest.split(";", 1)[1:]
    return Requirement(
        normalized(name),
        frozenset(normalized(extra.strip()) for extra in (extras or "").split(",") if extra.strip()),
        marker[0].strip() if marker else "",
        text.strip(),
    )


def satisfies(version: str, specifiers: str) -> bool:
    """Whether a version is one of those that specifiers such as ">=1,<2" allow. What cannot be read allows all."""
    for specifier in filter(None, map(str.strip, specifiers.strip("() ").split(","))):
        match = _SPECIFIER.fullmatch(specifier)
        if match is None:
            continue
        compare, wanted = match[1], match[2].strip()
        public = version if "+" in wanted or compare == "===" else version.partition("+")[0]
        same = public.lower() == wanted.lower()
        one, other = _version(public), _version(wanted.removesuffix(".*"))
        if compare == "===" or one is None or other is None:
            if (compare in ("==", "===") and not same and not wanted.endswith(".*")) or (compare == "!=" and same):
                return False
        elif not _compare_versions(one, compare, other, wanted.endswith(".*")):
            return False
    return True


_SPECIFIER = re.compile(r"(===|==|!=|~=|<=|>=|<|>)\s*(\S+)")


def holds(marker: str, extras: Iterable[str] = ()) -> bool:
    """Whether a marker holds in this interpreter, where these extras are asked for. One that cannot be read holds."""
    if not marker:
        return True
    try:
        return any(_evaluate(marker, extra) for extra in (extras or ("",)))
    except ValueError:
        return True


@functools.cache
def _variables() -> dict[str, str]:
    of = sys.implementation.version
    level = {"final": "", "alpha": "a", "beta": "b", "candidate": "rc"}[of.releaselevel]
    values = {
        "implementation_name": sys.implementation.name,
        "implementation_version": f"{of.major}.{of.minor}.{of.micro}{level}{of.serial if level else ''}",
        "os_name": os.name,
        "platform_machine": platform.machine(),
        "platform_python_implementation": platform.python_implementation(),
        "platform_release": platform.release(),
        "platform_system": platform.system(),
        "platform_version": platform.version(),
        "python_full_version": platform.python_version().removesuffix("+"),
        "python_version": "{}.{}".format(*sys.version_info[:2]),
        "sys_platform": sys.platform,
    }
    return {**values, **{former: values[now] for former, now in _FORMER.items()}}


_VERSIONS = frozenset(("implementation_version", "platform_release", "python_full_version", "python_version"))

_TOKEN = re.compile(
    r"\s*(?:(?P<text>'[^']*'|\"[^\"]*\")|(?P<operator>[<>=!~]+|not\s+in\b|in\b)|(?P<word>[A-Za-z_.]+)|(?P<bracket>[()]))"
)


@functools.lru_cache(maxsize=4096)
def _evaluate(marker: str, extra: str) -> bool:
    return _value_of(_read(marker), extra)


_Token = tuple[str, str]
_END: _Token = ("end", "")


class _Term(NamedTuple):
    """A comparison."""

    left: _Token
    compare: str
    right: _Token

    @property
    def variable(self) -> str:
        """Of the interpreter, or "extra"; "" if there is none."""
        return self.left[1] if self.left[0] == "word" else self.right[1] if self.right[0] == "word" else ""


class _Joined(NamedTuple):
    """Terms with `and` or `or` between them."""

    word: str
    terms: tuple[_Term | _Joined, ...]


def _read(marker: str) -> _Term | _Joined:
    """What a marker says.

    Raises:
        ValueError: it cannot be read.
    """
    tokens = _tokens(marker)
    value, following = _joined("or", tokens, next(tokens))
    if following != _END:
        raise ValueError(marker)
    return value


def _value_of(read: _Term | _Joined, extra: str) -> bool:
    if isinstance(read, _Term):
        return _compare(read.left, read.compare, read.right, extra)
    values = [_value_of(term, extra) for term in read.terms]  # of all: one that cannot be read makes the marker hold
    return any(values) if read.word == "or" else all(values)


def remaining(marker: str, extras: Iterable[str] = ()) -> str:
    """What a marker that holds here asks of another platform with the same minor version of Python and the same extras:
    "" if it is nothing, or if it cannot be read.
    """
    try:
        rest = _remaining(_read(marker), frozenset(extras)) if marker else True
    except ValueError:
        return ""
    return "" if isinstance(rest, bool) else rest


_SAME = frozenset(("extra", "python_version"))


def _remaining(read: _Term | _Joined, extras: frozenset[str]) -> bool | str:
    if isinstance(read, _Term):
        if read.variable in _SAME:
            return any(_value_of(read, extra) for extra in (extras or ("",)))
        return " ".join((_text(read.left), read.compare, _text(read.right)))
    decides = read.word == "or"
    open_terms: list[str] = []
    for term in read.terms:
        rest = _remaining(term, extras)
        if isinstance(rest, bool):
            if rest is decides:
                return decides
        elif rest not in open_terms:
            open_terms.append(rest)
    if read.word == "and" and len(open_terms) > 1:
        open_terms = [f"({term})" if " or " in term else term for term in open_terms]
    return f" {read.word} ".join(open_terms) if open_terms else not decides


# As they were called before PEP 508.
_FORMER = {
    "os.name": "os_name",
    "sys.platform": "sys_platform",
    "platform.machine": "platform_machine",
    "platform.version": "platform_version",
    "platform.python_implementation": "platform_python_implementation",
    "python_implementation": "platform_python_implementation",
}


def _text(token: _Token) -> str:
    kind, text = token
    if kind == "word" and text in _variables():
        return _FORMER.get(text, text)
    if kind != "text":
        raise ValueError(text)
    inner = text[1:-1]
    return text if '"' in inner else f'"{inner}"'


def _tokens(marker: str) -> Iterator[_Token]:
    at = 0
    marker = marker.rstrip()
    while at < len(marker):
        match = _TOKEN.match(marker, at)
        if match is None or match.lastgroup is None:
            raise ValueError(marker)
        yield match.lastgroup, " ".join(match[match.lastgroup].split())
        at = match.end()
    while True:
        yield _END


def _joined(word: str, tokens: Iterator[_Token], token: _Token) -> tuple[_Term | _Joined, _Token]:
    """Terms with a word between them, of which `and` binds closer: what they say, and the token behind them."""
    terms = []
    while True:
        term, token = _joined("and", tokens, token) if word == "or" else _term(tokens, token)
        terms.append(term)
        if token != ("word", word):
            return (terms[0] if len(terms) == 1 else _Joined(word, tuple(terms))), token
        token = next(tokens)


def _term(tokens: Iterator[_Token], token: _Token) -> tuple[_Term | _Joined, _Token]:
    if token == ("bracket", "("):
        read, token = _joined("or", tokens, next(tokens))
        if token != ("bracket", ")"):
            raise ValueError(token)
        return read, next(tokens)
    kind, compare = next(tokens)
    if kind != "operator":
        raise ValueError(compare)
    return _Term(token, compare, next(tokens)), next(tokens)


def _compare(left: _Token, compare: str, right: _Token, extra: str) -> bool:
    variable = left[1] if left[0] == "word" else right[1] if right[0] == "word" else ""
    a, b = _value(left, extra), _value(right, extra)
    if variable == "extra":
        a, b = normalized(a), normalized(b)
    if compare == "in":
        return a in b
    if compare == "not in":
        return a not in b
    if compare == "===":
        return a == b
    if variable in _VERSIONS:
        wild = b.endswith(".*")
        one, other = _version(a), _version(b.removesuffix(".*"))
        if one is not None and other is not None:
            return _compare_versions(one, compare, other, wild)
    if compare not in _OPERATORS:
        raise ValueError(compare)
    return _OPERATORS[compare](a, b)


def _value(token: _Token, extra: str) -> str:
    kind, text = token
    if kind == "text":
        return text[1:-1]
    if kind != "word":
        raise ValueError(text)
    if text == "extra":
        return extra
    if text not in _variables():
        raise ValueError(text)
    return _variables()[text]


_Version = tuple[tuple[int, ...], tuple[str, int]]

_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def _version(text: str) -> _Version | None:
    match = re.fullmatch(r"(\d+(?:\.\d+)*)(?:(a|b|rc)(\d+))?", text.strip())
    if match is None:
        return None
    release = tuple(int(part) for part in match[1].split("."))
    return release, ((match[2], int(match[3])) if match[2] else ("z", 0))


def _compare_versions(one: _Version, compare: str, other: _Version, wild: bool) -> bool:
    if compare == "~=":
        prefix = other[0][:-1]
        return _padded(one) >= _padded(other) and _filled(one[0], len(prefix)) == prefix
    if wild:
        same = _filled(one[0], len(other[0])) == other[0]
        if compare not in ("==", "!="):
            raise ValueError(compare)
        return same is (compare == "==")
    if compare not in _OPERATORS:
        raise ValueError(compare)
    if compare == "<" and other[1][0] == "z" and one[1][0] != "z" and _filled(one[0], 9) == _filled(other[0], 9):
        return False  # a pre-release of that very version is not before it (PEP 440)
    return _OPERATORS[compare](_padded(one), _padded(other))


def _padded(version: _Version) -> tuple[tuple[int, ...], tuple[str, int]]:
    return _filled(version[0], 9), version[1]


def _filled(release: tuple[int, ...], length: int) -> tuple[int, ...]:
    return (release + (0,) * length)[:length]
