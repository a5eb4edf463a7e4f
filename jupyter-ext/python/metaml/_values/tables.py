"""The content of arrays, tables, tensors and pictures: what :mod:`metaml._values.content` asks of numpy, pandas,
polars, torch and Pillow.

Of an array all is added up, which takes 3 ms for 100 MB, and a sample is looked at in its place. Nothing here imports a
library; what a class is comes from where it is defined.
"""

from __future__ import annotations

import functools
import hashlib
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from metaml._values.content import OPAQUE, home, measured, mro, quoted, sample

if TYPE_CHECKING:
    from metaml._values.content import Walk

__all__ = ["kind_of", "reader"]

PLACES = 1024  # of an array that are looked at
_BOXED = 500  # elements that are made an object each
_FLOATS = 128  # numbers of an array that its summary is made of
_ADDED = 1 << 31  # bytes of an array that are added up
_PIXELS = 256  # of a picture that are looked at
_COUNTABLE = frozenset(("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr"))  # modes with 8 bits a band
_COUNTED = 1 << 22  # pixels of a picture whose colours are all counted

_Reader = Callable[["Walk", Any], bytes]

#: What a class is called here, whichever module its version has it in.
_NAMES = {
    ("numpy", "ndarray"): "array",
    ("numpy", "memmap"): "array",
    ("numpy", "matrix"): "array",
    ("numpy", "MaskedArray"): "masked",
    ("numpy", "Generator"): "generator",
    ("numpy", "RandomState"): "generator",
    ("numpy", "SeedSequence"): "seeds",
    ("pandas", "DataFrame"): "frame",
    ("pandas", "Series"): "series",
    ("pandas", "Index"): "index",
    ("pandas", "MultiIndex"): "index",
    ("pandas", "RangeIndex"): "index",
    ("pandas", "Timestamp"): "moment",
    ("pandas", "Timedelta"): "moment",
    ("pandas", "NaTType"): "missing",
    ("pandas", "NAType"): "missing",
    ("pandas", "Period"): "moment",
    ("pandas", "Interval"): "interval",
    ("pandas", "BaseOffset"): "word",
    ("pandas", "ExtensionArray"): "extension",
    ("polars", "DataFrame"): "polars frame",
    ("polars", "Series"): "polars series",
    ("polars", "LazyFrame"): "lazy",
    ("metaml", "Column"): "column",
    ("torch", "Tensor"): "tensor",
    ("torch", "Generator"): "torch generator",
    ("torch", "dtype"): "word",
    ("torch", "device"): "word",
    ("torch", "Size"): "size",
    ("PIL", "ImageFile"): "picture file",
    ("PIL", "Image"): "picture",
}


def kind_of(kind: type) -> str:
    """What a class of these libraries, or one that is made of it, is; "" if it is something else."""
    for c in mro(kind):
        if named := _NAMES.get((home(c).partition(".")[0], c.__name__)):
            return named
        if home(c).partition(".")[0] == "numpy":
            if c.__name__ == "generic":
                return "scalar"
            if c.__name__ == "dtype":
                return "word"
            if c.__name__ == "BitGenerator":
                return "bits"
    return ""


def reader(kind: type) -> _Reader | None:
    """What reads an object of the class; None if it is of none of these libraries."""
    return _READERS.get(kind_of(kind))


def _array(walk: Walk, value: Any, *, add: bool = True) -> bytes:
    known = walk.arrays.get(id(value))
    if known is None:
        known = walk.arrays[id(value)] = (value, *_look(value, add=add))
    _, frame, exact, floats, whole = known
    walk.sampled |= not whole
    if frame is None:
        import numpy as np

        plain = value.view(np.ndarray)
        places = sample(plain.size, walk.room())
        walk.sampled |= len(places) < plain.size
        return walk.all(b"o" + str(plain.shape).encode(), (plain.flat[i] for i in places))
    walk.bits(exact)
    for x in floats:
        walk.number(x)
    return bytes(frame)


def _look(value: Any, *, add: bool) -> tuple[bytes | None, bytes, list[float], bool]:
    """Of an array: dtype and shape, with what is in it unless it has floating-point numbers; its numbers exactly; some
    of them; whether everything was seen. There is no first of an array of objects.
    """
    import numpy as np

    a = np.ndarray.view(value, np.ndarray)
    if a.dtype.hasobject:
        return None, b"", [], True
    frame = f"a{a.dtype.str}{a.shape}".encode()
    if a.dtype.names:
        frame += str(a.dtype.descr).encode()
    places = _places(a.size, PLACES)
    whole = len(places) == a.size
    flat: Any = (
        a.reshape(-1) if whole or a.flags.c_contiguous else a.flat
    )  # the first is a copy of what is not in order
    taken = flat if whole else flat[places]
    if padded := a.dtype.kind in "fc" and a.dtype.itemsize > (8 if a.dtype.kind == "f" else 16):
        taken = taken.astype("c16" if a.dtype.kind == "c" else "f8")  # the rest of a long double is not set
    exact = hashlib.blake2b(np.ascontiguousarray(taken).tobytes(), digest_size=16)
    if not whole and add and not padded and type(value).__name__ != "memmap" and a.nbytes <= _ADDED:
        exact.update(_sum(a))
    if a.dtype.kind not in "fc":
        return frame + exact.digest(), b"", [], whole
    some = taken[_places(taken.size, _FLOATS)]
    if a.dtype.kind == "c":
        some = np.concatenate([some.real, some.imag])
    return frame, exact.digest(), some.astype(np.float64).tolist(), whole


@functools.lru_cache(maxsize=64)
def _places(size: int, most: int) -> Any:
    """The same as :func:`sample`, as an index: many arrays have the same size."""
    import numpy as np

    return np.asarray(sample(size, most), dtype=np.intp)


def _sum(a: Any) -> bytes:
    """All elements as whole numbers, added up: it sees each change of one, and no change of places."""
    import numpy as np

    size = a.dtype.itemsize
    contiguous = a.flags.c_contiguous or a.flags.f_contiguous
    if not contiguous and a.nbytes > 1 << 23:
        return b""  # what lies apart in memory takes ten times as long
    if size == 4:
        total = np.add.reduce(_words(a, "u4"), axis=None, dtype="u8")
    elif size % 8 == 0:
        total = np.add.reduce(_words(a, "u8"), axis=None)
    elif contiguous:
        flat = a.reshape(-1, order="A").view("u1")
        total = np.add.reduce(flat[: flat.size // 8 * 8].view("u8"), axis=None)
    else:
        return b""
    return int(total).to_bytes(8, "little")


def _words(a: Any, kind: str) -> Any:
    if a.flags.c_contiguous or a.flags.f_contiguous:
        return a.reshape(-1, order="A").view(kind)
    return a.view(kind) if a.dtype.itemsize == int(kind[1]) else a.copy().reshape(-1).view(kind)


def _scalar(walk: Walk, value: Any) -> bytes:
    if value.dtype.kind in "fc":
        walk.number(float(value.real))
        walk.number(float(value.imag))
        return f"n{value.dtype.str}".encode()
    return walk.all(b"n" + value.dtype.str.encode(), (value.tobytes() if value.dtype.kind != "O" else None,))


def _masked(walk: Walk, value: Any) -> bytes:
    import numpy as np

    mask = np.ma.getmaskarray(value)
    return walk.all(b"masked", (np.where(mask, np.zeros((), value.dtype), np.ma.getdata(value)), mask))


def _generator(walk: Walk, value: Any) -> bytes:
    if value is sys.modules["numpy.random"].mtrand._rand:
        return OPAQUE  # it is everybody's, and many objects hold it
    if kind_of(type(value)) == "generator" and hasattr(type(value), "get_state"):
        return walk.all(b"rs", (value.get_state(legacy=False),))
    bits = getattr(value, "bit_generator", value)
    return walk.all(b"rng", (bits.state,))


def _missing(_: Walk, value: Any) -> bytes:
    return type(value).__name__.encode()


def _word(walk: Walk, value: Any) -> bytes:
    return walk.all(type(value).__name__.encode(), (str(value),))


def _moment(walk: Walk, value: Any) -> bytes:
    if type(value).__name__ == "Period":
        return walk.all(b"Period", (value.ordinal, value.freqstr))
    return walk.all(type(value).__name__.encode(), (value.value, str(getattr(value, "tzinfo", None))))


def _interval(walk: Walk, value: Any) -> bytes:
    return walk.all(b"interval", (value.left, value.right, value.closed))


def _seeds(walk: Walk, value: Any) -> bytes:
    return walk.all(b"seeds", (value.entropy, value.spawn_key, value.pool_size, value.n_children_spawned))


# pandas


def manager(value: Any) -> Any:
    """What keeps the columns of a table."""
    return object.__getattribute__(value, "__dict__").get("_mgr") or object.__getattribute__(value, "_mgr")


def attributes(value: Any) -> Any:
    """What people have noted at a table."""
    return object.__getattribute__(value, "__dict__").get("_attrs") or {}


def columns(value: Any) -> list[Any]:
    """What the columns of a pandas table keep their values in, without making a column of it: that might be kept."""
    found: dict[int, Any] = {}
    for block in manager(value).blocks:
        for at, place in enumerate(block.mgr_locs):
            found[place] = block.values[at] if getattr(block.values, "ndim", 1) == 2 else block.values
    return [found[i] for i in sorted(found)]


def labels(value: Any) -> Any:
    """The labels of a pandas table's columns."""
    return manager(value).axes[0]


def _frame(walk: Walk, value: Any) -> bytes:
    walk.packages.add("pandas")  # versions differ in the dtypes that they find
    inside = manager(value)
    names = labels(value)
    timed = times(names)
    for total in () if timed else added(walk, inside.blocks):
        walk.bits(total)
    with walk.shared(len(names) + 2):
        parts = [walk.visit(inside.axes[0]), walk.visit(inside.axes[1])]
        parts += [OPAQUE if i in timed else column(walk, values) for i, values in enumerate(columns(value))]
        parts.append(walk.visit(attributes(value)))
    return walk.all(b"frame", parts)


def times(names: Any) -> set[int]:
    """The places of columns that say when something ran and how long: of scikit-learn's results, of Optuna's trials."""
    if len(names) > _BOXED:
        return set()
    known = list(names)
    optuna = ("datetime_start", "datetime_complete", "duration")
    own = set(optuna) if all(isinstance(n, str) for n in known) and {*optuna[:2]} <= set(known) else set()
    return {i for i, name in enumerate(known) if measured(name) or name in own}


def added(walk: Walk, blocks: Any) -> list[bytes]:
    """What the elements of a table add up to, by dtype, whichever blocks its columns are in. A column alone may lie
    apart in memory."""
    import numpy as np

    totals: dict[str, int] = {}
    for block in blocks:
        a = block.values
        if not isinstance(a, np.ndarray) or a.dtype.itemsize not in (4, 8) or a.dtype.hasobject or a.nbytes > _ADDED:
            continue
        known = walk.arrays.get(("sum", id(a)))
        if known is None:
            known = walk.arrays["sum", id(a)] = (a, int.from_bytes(_sum(a), "little"))
        totals[a.dtype.str] = (totals.get(a.dtype.str, 0) + known[1]) % (1 << 64)
    return [f"{dtype}{totals[dtype]}".encode() for dtype in sorted(totals)]


def column(walk: Walk, values: Any) -> bytes:
    """One column of a table."""
    import numpy as np

    return _array(walk, values, add=False) if isinstance(values, np.ndarray) else walk.visit(values)


def _series(walk: Walk, value: Any) -> bytes:
    walk.packages.add("pandas")
    inside = manager(value)
    name = object.__getattribute__(value, "_name")
    return walk.all(b"series", (inside.axes[0], inside.blocks[0].values, name, attributes(value)))


def _index(walk: Walk, value: Any) -> bytes:
    walk.packages.add("pandas")
    state = object.__getattribute__(value, "__dict__")
    names = value.names if "_names" in state else state.get("_name")
    if type(value).__name__ == "RangeIndex":
        return walk.all(b"index", (state["_range"], names))
    if type(value).__name__ == "MultiIndex":
        places = _places(len(value), min(_BOXED, walk.room()))
        walk.sampled |= len(places) < len(value)
        return walk.all(b"index", (list(names), len(value), value.take(places).tolist()))
    return walk.all(b"index", (state.get("_data"), names))


def _extension(walk: Walk, value: Any) -> bytes:
    """An array of pandas's own: categories, texts, numbers with gaps, times with a zone."""
    import numpy as np

    walk.packages.add("pandas")
    head = f"ext{value.dtype.name}{len(value)}".encode()
    state = object.__getattribute__(value, "__dict__") if hasattr(value, "__dict__") else {}
    inside = getattr(value, "_ndarray", None) if home(type(value)).partition(".")[0] == "pandas" else None
    if isinstance(inside, np.ndarray):  # times; of categories their numbers; texts
        categories = value.dtype.categories if type(value).__name__ == "Categorical" else None
        return walk.all(head, (_array(walk, inside), categories, str(value.dtype) if categories is None else None))
    places = _places(len(value), min(_BOXED, walk.room()))
    walk.sampled |= len(places) < len(value)
    if "_pa_array" in state:  # texts and others in Arrow's memory, in one chunk or several
        taken = state["_pa_array"]
        return walk.all(head, (taken.null_count, taken.take(places).to_pylist()))
    if type(value).__name__ == "IntervalArray":
        return walk.all(head, (value.closed, value.left, value.right))
    if "_mask" in state and "_data" in state:  # what is below the mask is not set
        data, mask = state["_data"], state["_mask"]
        seen = np.where(mask[places], np.zeros((), data.dtype), data[places])
        return walk.all(head, (int(mask.sum()), mask[places], seen))
    if type(value).__name__ == "SparseArray":
        return walk.all(head, (value.fill_value, value.sp_index.indices, value.sp_values))
    return walk.all(head, (value[i] for i in places.tolist()))


def shape_of(value: Any, kind: type) -> dict[str, Any]:
    """Shape and dtype of what has them."""
    what = kind_of(kind)
    if what in ("array", "masked"):
        return {"shape": list(value.shape), "dtype": str(value.dtype)}
    if what == "scalar":
        return {"repr": repr(value.item())} if value.dtype.kind in "biuf" else {}
    if what == "tensor":
        return {"shape": list(value.shape), "dtype": str(value.dtype).removeprefix("torch.")}
    if what in ("picture", "picture file"):
        return {"shape": list(value.size)} | ({"dtype": value.mode} if what == "picture" else {})
    if what == "frame":
        axes = manager(value).axes
        return {"shape": [len(axes[1]), len(axes[0])]}
    if what in ("series", "index"):
        return {"shape": [len(manager(value).axes[0] if what == "series" else value)], "dtype": str(value.dtype)}
    if what == "polars frame":
        return {"shape": list(value.shape)}
    if what == "polars series":
        return {"shape": [len(value)], "dtype": str(value.dtype)}
    if what == "moment":
        return {"repr": str(value)}
    if what == "column":
        return {"dtype": str(value.values.dtype)}
    return {}


def parts_of(value: Any, kind: type) -> dict[str, Any]:
    """The columns of a table, the elements of a small array, by what they are called behind its name."""
    what = kind_of(kind)
    if what == "frame":
        timed = times(labels(value))
        return {
            f"[{quoted(name)}]": Column(part)
            for i, (name, part) in enumerate(zip(labels(value), columns(value), strict=True))
            if i not in timed
        }
    if what == "polars frame":
        return {f"[{quoted(name)}]": part for name, part in zip(value.columns, value.get_columns(), strict=True)}
    if what == "array" and value.ndim == 1 and value.size <= 32 and not value.dtype.hasobject and not value.dtype.names:
        return {f"[{i}]": x for i, x in enumerate(value.tolist())}
    return {}


class Column:
    """A column of a table that is looked at by itself."""

    def __init__(self, values: Any) -> None:
        self.values = values


def _column(walk: Walk, value: Column) -> bytes:
    return column(walk, value.values)


# polars


def _polars_frame(walk: Walk, value: Any) -> bytes:
    return walk.all(b"pl", (value.columns, *value.get_columns()))


def _polars_series(walk: Walk, value: Any) -> bytes:
    size = len(value)
    places = sample(size, min(PLACES, walk.room()))
    walk.sampled |= len(places) < size
    taken = value if len(places) == size else value.gather(list(places))
    return walk.all(b"pls", (value.name, str(value.dtype), size, value.null_count(), taken.to_list()))


def _lazy(walk: Walk, _: Any) -> bytes:
    walk.opaque += 1
    return OPAQUE


# torch


def _tensor(walk: Walk, value: Any) -> bytes:
    torch = sys.modules["torch"]
    with torch._C.DisableTorchFunctionSubclass():
        a = torch.Tensor.detach(value)
        head = f"t{a.dtype}{tuple(a.shape)}{a.requires_grad}".encode()
        if a.layout is torch.sparse_coo:
            return walk.all(head, (a._indices(), a._values()))
        if a.layout is torch.sparse_csr:
            return walk.all(head, (a.crow_indices(), a.col_indices(), a.values()))
        if a.layout is not torch.strided or a.device.type == "meta":
            walk.opaque += 1
            return head
        if a.device.type != "cpu":
            a = a.flatten()[torch.as_tensor(list(sample(a.numel(), _FLOATS)), device=a.device)].cpu()
            walk.sampled = True
        if a.dtype == torch.bfloat16:
            a = a.float() if a.numel() < 1 << 20 else a.view(torch.int16)
        if a.is_quantized:
            a = a.dequantize()
        key = ("torch", a.data_ptr(), tuple(a.shape), tuple(a.stride()), str(a.dtype))
        return head + _array(walk, walk.arrays.setdefault(key, a.resolve_conj().resolve_neg().numpy()))


def _torch_generator(walk: Walk, value: Any) -> bytes:
    if value is sys.modules["torch"].default_generator:
        return OPAQUE
    return walk.all(b"tg", (value.get_state(),))


def _size(walk: Walk, value: Any) -> bytes:
    return walk.all(b"size", (tuple(value),))


# Pillow


def _picture(walk: Walk, value: Any) -> bytes:
    """How often each colour is there, and some pixels in their places."""
    inside = object.__getattribute__(value, "__dict__")
    core = inside.get("_im") or inside.get("im")
    if core is None:
        walk.opaque += 1
        return OPAQUE
    (width, height), mode = core.size, core.mode
    palette = core.getpalette("RGB", "RGB") if mode in ("P", "PA") else None
    counted = width * height <= _COUNTED and mode in _COUNTABLE
    walk.left -= (24 if counted else 200) + (width * height >> 12)  # 4096 pixels take as long as a visit
    places = sample(width * height, _PIXELS if counted else _PIXELS * 8)
    pixels = core.pixel_access(1)
    parts: list[Any] = [mode, width, height, palette, [pixels[i % width, i // width] for i in places]]
    if counted and len(places) < width * height:
        parts.append(core.histogram())
    walk.sampled |= not counted and len(places) < width * height
    return walk.all(b"picture", (repr(parts),))


def _picture_file(walk: Walk, value: Any) -> bytes:
    """Its pixels are read when somebody looks at it, so nothing is said of them."""
    walk.opaque += 1
    return walk.all(b"picture file", (type(value).__name__, tuple(value.size)))


_READERS: dict[str, _Reader] = {
    "array": _array,
    "masked": _masked,
    "scalar": _scalar,
    "generator": _generator,
    "bits": _generator,
    "word": _word,
    "frame": _frame,
    "column": _column,
    "series": _series,
    "index": _index,
    "moment": _moment,
    "missing": _missing,
    "interval": _interval,
    "seeds": _seeds,
    "extension": _extension,
    "polars frame": _polars_frame,
    "polars series": _polars_series,
    "lazy": _lazy,
    "tensor": _tensor,
    "torch generator": _torch_generator,
    "size": _size,
    "picture": _picture,
    "picture file": _picture_file,
}
