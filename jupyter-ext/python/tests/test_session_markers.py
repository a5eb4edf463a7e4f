"""Markers and versions, as `packaging` judges them."""

from __future__ import annotations

import itertools
import random

import pytest

from metaml._session.markers import holds, remaining, satisfies

packaging_markers = pytest.importorskip("packaging.markers")
packaging_specifiers = pytest.importorskip("packaging.specifiers")

TERMS = (
    'python_version < "3"',
    'python_version >= "3.8"',
    "'3.9' <= python_version",
    'sys_platform == "linux"',
    'sys_platform != "win32"',
    'platform_system == "Darwin"',
    'os_name == "nt"',
    'platform_machine in "x86_64 aarch64"',
    'extra == "fast"',
    'extra == "slow"',
    'implementation_name == "cpython"',
)


def marker(chance: random.Random, depth: int) -> str:
    if depth == 0 or chance.random() < 0.2:
        return chance.choice(TERMS)
    joined = f" {chance.choice(['and', 'or'])} ".join(marker(chance, depth - 1) for _ in range(chance.randint(2, 3)))
    return f"({joined})" if chance.random() < 0.5 else joined


PLATFORMS = [
    {"sys_platform": platform, "platform_system": system, "os_name": name, "platform_machine": machine}
    for (platform, system, name), machine in itertools.product(
        [("linux", "Linux", "posix"), ("win32", "Windows", "nt"), ("darwin", "Darwin", "posix")], ["x86_64", "arm64"]
    )
]


def test_what_remains_of_a_marker_says_the_same_on_every_platform() -> None:
    chance = random.Random(17)
    for _ in range(400):
        text = marker(chance, 3)
        extras = chance.choice(([], ["fast"], ["slow"]))
        rest = remaining(text, extras)
        assert "extra" not in rest and "python_version" not in rest
        for platform in PLATFORMS:
            want = packaging_markers.Marker(text).evaluate({**platform, "extra": extras[0] if extras else ""})
            got = packaging_markers.Marker(rest).evaluate(platform) if rest else None
            # "" is also said of what never holds: nobody asks for a marker that does not hold here.
            assert got == want or got is None, (text, extras, platform, rest)
        if holds(text, extras) and not rest:
            assert all(
                packaging_markers.Marker(text).evaluate({**platform, "extra": extras[0] if extras else ""})
                for platform in PLATFORMS
            ), text


@pytest.mark.parametrize(
    ("text", "extras", "want"),
    [
        ("", [], ""),
        ('extra == "a"', ["a"], ""),
        ('python_version < "99" and sys_platform != "win32"', [], 'sys_platform != "win32"'),
        ('(os_name == "nt" or sys_platform == "linux") and extra == "a"', ["a"],
         'os_name == "nt" or sys_platform == "linux"'),
        ('(os_name == "nt" or sys_platform == "x") and implementation_name == "cpython"', [],
         '(os_name == "nt" or sys_platform == "x") and implementation_name == "cpython"'),
        ("sys.platform == 'linux'", [], 'sys_platform == "linux"'),
        ("platform_python_implementation != 'PyPy'", [], 'platform_python_implementation != "PyPy"'),
        ("this is no marker", [], ""),
        ('unknown == "1"', [], ""),
    ],
)  # fmt: skip
def test_what_remains_of_a_marker(text: str, extras: list[str], want: str) -> None:
    assert remaining(text, extras) == want


def test_versions_satisfy_what_packaging_says() -> None:
    versions = ["1", "1.0", "1.0.1", "1.1", "2.0rc1", "2.0", "2.0.post1", "2.0.dev1", "2.1+cu121", "10.0"]
    bounds = ["1", "1.0", "1.1", "2.0", "2.1", "2.1+cu121", "9"]
    for version, operator, bound in itertools.product(
        versions, ["==", "!=", "<", "<=", ">", ">=", "~=", "==="], bounds
    ):
        if (operator == "~=" and "." not in bound) or ("+" in bound and operator not in ("==", "!=", "===")):
            continue  # no specifiers
        if "post" in version or "dev" in version:
            continue  # what cannot be read allows all
        want = packaging_specifiers.SpecifierSet(operator + bound, prereleases=True).contains(version)
        assert satisfies(version, operator + bound) == want, (version, operator, bound)
    assert satisfies("1.5", ">=1,<2") and not satisfies("2.5", ">=1,<2")
    assert satisfies("1.5", "==1.*") and not satisfies("2.5", "==1.*")
    assert satisfies("unknown", ">=1") and not satisfies("2.0.post1", "==3.0")
