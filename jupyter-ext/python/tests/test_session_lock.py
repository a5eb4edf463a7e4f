"""The lock of a session: what is installed of all that a program imports."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import metaml
from metaml._session.markers import holds, normalized, parse

ROOT = str(Path(metaml.__file__).parent.parent)


def locked(code: str, *modules: str, path: Path | None = None) -> dict[str, Any]:
    """The answer of a fresh Python that has executed code."""
    program = f"""
import json, sys
{code}
before = set(sys.modules)
from metaml._session.answers import Answers
have = Answers({{}}).answer({{"id": 1, "lock": {list(modules)!r}}})
new = {{name.partition(".")[0] for name in set(sys.modules) - before}} - sys.stdlib_module_names - {{"metaml"}}
assert not new, new
print(json.dumps(have["lock"]))
"""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([ROOT, *([str(path)] if path else [])])}
    got = subprocess.run([sys.executable, "-c", program], env=env, check=True, capture_output=True, text=True)
    answer: dict[str, Any] = json.loads(got.stdout)
    return answer


def by_name(lock: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {package["name"]: package for package in lock["packages"]}


def roots(lock: dict[str, Any]) -> list[str]:
    return [package["name"] for package in lock["packages"] if package["root"]]


def install(folder: Path, name: str, *lines: str, files: dict[str, str] | None = None, **beside: str) -> None:
    """Lay a distribution of version 1.0 into a folder, as an installer does; beside are files such as INSTALLER."""
    about = folder / f"{name.replace('-', '_')}-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text(
        "\n".join(["Metadata-Version: 2.1", f"Name: {name}", "Version: 1.0", *lines, "", "Text"])
    )
    for file, text in (files or {}).items():
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text(text)
    (about / "RECORD").write_text("".join(f"{file},,\n" for file in files or ()))
    for file, text in beside.items():
        (about / file.replace("_json", ".json")).write_text(text)


def test_the_closure_is_what_importlib_and_packaging_find() -> None:
    pytest.importorskip("sklearn")
    from importlib.metadata import PackageNotFoundError, distribution

    from packaging.requirements import Requirement

    want: dict[str, str] = {}
    waiting = ["scikit-learn", "matplotlib"]
    while waiting:
        try:
            dist = distribution(waiting.pop())
        except PackageNotFoundError:
            continue
        if normalized(dist.metadata["Name"]) in want:
            continue
        want[normalized(dist.metadata["Name"])] = dist.version
        requires = [Requirement(text) for text in dist.requires or ()]
        waiting += [r.name for r in requires if r.marker is None or r.marker.evaluate({"extra": ""})]
    got = locked("", "sklearn", "matplotlib", "json", "metaml")
    assert {name: package["version"] for name, package in by_name(got).items()} == want
    assert roots(got) == ["matplotlib", "scikit-learn"]
    assert not any(package["loaded"] for package in got["packages"])
    assert got["python"] == "{}.{}.{}".format(*sys.version_info[:3])
    assert "unowned" not in got
    one = by_name(got)["scikit-learn"]
    assert (one["installer"], one["pure"], one["editable"]) in [("pip", False, False), ("uv", False, False)]
    assert "direct_url" not in one
    assert any(text.startswith("numpy") for text in one["requires"])
    assert not any("extra" in text for text in one["requires"])


def test_an_optional_distribution_that_was_loaded_comes_along() -> None:
    pytest.importorskip("sklearn")
    got = locked("import sklearn, matplotlib", "sklearn")
    assert "matplotlib" in roots(got)  # scikit-learn has extras with it
    assert {"pillow", "cycler"} <= by_name(got).keys() - set(roots(got))
    assert "matplotlib" not in by_name(locked("import sklearn", "sklearn"))


def test_what_a_module_refers_to_comes_along() -> None:
    pytest.importorskip("joblib")
    assert "psutil" in roots(locked("import psutil, joblib.externals.loky", "joblib"))  # joblib offers no extras


def test_what_the_notebook_runs_on_does_not_come_along() -> None:
    pytest.importorskip("matplotlib")
    got = locked("import IPython, ipykernel.kernelapp, matplotlib", "matplotlib")  # cycler[docs] requires ipython
    assert not {"ipython", "ipykernel", "metaml"} & by_name(got).keys()
    assert "ipython" in roots(locked("import IPython", "IPython"))


def test_extras_that_a_requirement_asks_for(tmp_path: Path) -> None:
    install(tmp_path, "outer", "Requires-Dist: inner[Fast]", files={"outer.py": ""})
    install(
        tmp_path,
        "inner",
        "Provides-Extra: fast",
        "Provides-Extra: slow",
        'Requires-Dist: quick; extra == "fast"',
        'Requires-Dist: snail; extra == "slow"',
        'Requires-Dist: never; python_version < "3"',
        files={"inner.py": ""},
    )
    for name in ("quick", "snail", "never"):
        install(tmp_path, name, files={f"{name}.py": ""})
    got = by_name(locked("", "outer", path=tmp_path))
    assert got.keys() == {"outer", "inner", "quick"}
    assert got["inner"]["requires"] == ['quick; extra == "fast"']
    assert locked("import snail", "outer", path=tmp_path)["packages"][-1]["name"] == "snail"


def test_parts_of_a_namespace_are_told_apart(tmp_path: Path) -> None:
    for part in ("one", "two"):
        install(tmp_path, f"corp-{part}", files={f"corp/{part}/__init__.py": ""})
    assert roots(locked("import corp.two", "corp", path=tmp_path)) == ["corp-two"]
    assert roots(locked("", "corp.one", path=tmp_path)) == ["corp-one"]
    assert roots(locked("", "corp", path=tmp_path)) == ["corp-one", "corp-two"]


def test_from_where_a_distribution_came(tmp_path: Path) -> None:
    source = tmp_path / "my source"
    (source / "mine").mkdir(parents=True)
    (source / "mine" / "__init__.py").write_text("")
    site = tmp_path / "site-packages"
    direct = {"url": source.as_uri(), "dir_info": {"editable": True}}
    install(site, "my-work", files={"my_work.pth": str(source)}, direct_url_json=json.dumps(direct), INSTALLER="uv\n")
    install(site, "of-conda", files={"of_conda.py": ""}, INSTALLER="conda\n", WHEEL="Root-Is-Purelib: true\n")
    (site / "stray.py").write_text("")
    got = locked(f"sys.path.append({str(source)!r}); import mine", "mine", "of_conda", "stray", path=site)
    mine, conda = by_name(got)["my-work"], by_name(got)["of-conda"]
    assert (mine["editable"], mine["installer"], mine["direct_url"]) == (True, "uv", direct)
    assert (conda["editable"], conda["installer"], conda["pure"]) == (False, "conda", True)
    assert "pure" not in mine
    assert got["unowned"] == ["stray"]


def test_a_module_that_shadows_a_distribution_is_not_its_own(tmp_path: Path) -> None:
    (tmp_path / "numpy.py").write_text("")
    got = locked("import numpy", "numpy", path=tmp_path)
    assert (got["packages"], got["unowned"]) == ([], ["numpy"])


def test_what_is_installed_later_is_seen(tmp_path: Path) -> None:
    code = "from metaml._session.lock import lock; assert lock(['late'])['unowned']; import pathlib\n"
    about = tmp_path / "late-1.0.dist-info"
    code += f"d = pathlib.Path({str(about)!r}); d.mkdir(); (d / 'METADATA').write_text('Version: 1.0\\n')"
    assert roots(locked(code, "late", path=tmp_path)) == ["late"]


def test_a_lazy_module_stays_as_it_is(tmp_path: Path) -> None:
    install(tmp_path, "sleepy", files={"sleepy.py": 'print("was loaded")'})
    install(tmp_path, "user", files={"user.py": ""})
    code = """
import importlib.util, user
spec = importlib.util.find_spec("sleepy")
spec.loader = importlib.util.LazyLoader(spec.loader)
lazy = sys.modules["sleepy"] = user.lazy = importlib.util.module_from_spec(spec)
spec.loader.exec_module(lazy)
"""
    assert "user" in roots(locked(code, "user", "sleepy", path=tmp_path))  # what else is printed is no JSON


def test_a_lock_is_quick() -> None:
    pytest.importorskip("sklearn")
    code = "import time, pandas, sklearn.ensemble, matplotlib.pyplot, ipykernel.kernelapp; start = time.perf_counter()"
    program = f"{code}\nfrom metaml._session.lock import lock\nlock(['sklearn'])\nprint(time.perf_counter() - start)"
    env = {**os.environ, "PYTHONPATH": ROOT}
    got = [
        float(subprocess.run([sys.executable, "-c", program], env=env, check=True, capture_output=True).stdout)
        for _ in range(3)
    ]
    assert min(got) < 0.5  # seconds; 0.05 on a machine at rest


MARKERS = [
    'python_version >= "3.8"',
    'python_version < "3.10"',
    'python_version == "3.*"',
    'python_version != "3.4.*"',
    'python_version ~= "3.7"',
    'python_version ~= "3.7.1"',
    "python_full_version <= '3.11.0a6'",
    "python_full_version > '3.9.0rc1'",
    "python_version in '2.7, 3.10, 3.11, 3.12'",
    "python_version not in '2.7'",
    'sys_platform == "win32" or sys_platform == "darwin"',
    'sys_platform == "linux" and platform_machine in "x86_64 aarch64"',
    '(os_name == "nt" or os_name == "posix") and implementation_name == "cpython"',
    'os_name == "nt" and os_name == "posix" or "linux" == sys_platform',
    'implementation_version >= "3.8"',
    "platform_python_implementation != 'PyPy'",
    'platform_system == "Linux"',
    'extra == "Fast_Path"',
    "python_version >= '3.8' and (extra == 'a' or extra == 'fast-path')",
]


@pytest.mark.parametrize("marker", MARKERS)
def test_a_marker_holds_as_packaging_says(marker: str) -> None:
    from packaging.markers import Marker

    for extra in ("", "a", "fast-path"):
        assert holds(marker, {extra}) is Marker(marker).evaluate({"extra": extra})


def test_all_requirements_here_are_read_as_packaging_does() -> None:
    from importlib.metadata import distributions

    from packaging.requirements import Requirement

    count = 0
    for dist in distributions():
        for text in dist.requires or ():
            ours, theirs = parse(text), Requirement(text)
            assert ours is not None
            assert ours.name == normalized(theirs.name)
            assert ours.extras == {normalized(extra) for extra in theirs.extras}
            for extra in ("", *(dist.metadata.get_all("Provides-Extra") or ())):
                want = theirs.marker is None or theirs.marker.evaluate({"extra": extra})
                assert holds(ours.marker, {normalized(extra)}) is want, text
            count += 1
    assert count > 50


@pytest.mark.parametrize(
    "marker", ["", "python_version", "a == 'b'", "('x' == 'x'", "os_name ?? 'x'", "os_name == 'x' y"]
)
def test_a_marker_that_cannot_be_read_holds(marker: str) -> None:
    assert holds(marker)


@pytest.mark.parametrize(
    ("text", "marker"),
    [
        ("a", ""),
        ("a[x,y]>=1;os_name=='nt'", "os_name=='nt'"),
        ("a @ https://host/a;b.whl", ""),
        ("a @ https://host/a;b.whl ; os_name == 'nt'", "os_name == 'nt'"),
        ("a (>=1.0) ; extra == 'x'", "extra == 'x'"),
    ],
)
def test_the_marker_of_a_requirement(text: str, marker: str) -> None:
    read = parse(text)
    assert read is not None
    assert (read.name, read.marker) == ("a", marker)


def test_what_an_interrupted_pip_left_is_no_distribution(tmp_path: Path) -> None:
    install(tmp_path, "whole", files={"whole.py": ""})
    # pip moves what it replaces to a folder whose name begins with ~, and an interrupted one leaves it there.
    install(tmp_path, "~hole", files={"whole.py": ""})
    lock = locked("", "whole", path=tmp_path)
    assert roots(lock) == ["whole"]


def test_a_version_that_the_metadata_lacks_is_that_of_the_folder(tmp_path: Path) -> None:
    install(tmp_path, "bare", files={"bare.py": ""})
    (tmp_path / "bare-1.0.dist-info" / "METADATA").unlink()
    assert by_name(locked("", "bare", path=tmp_path))["bare"]["version"] == "1.0"
