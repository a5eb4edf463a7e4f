class _metaml_capture:
    """What a part of a script prints: `with _metaml_capture() as out:`, then out.stdout, out.stderr and out.show()."""

    def __init__(self, stdout=True, stderr=True, display=True):
        import io

        self._into = io.StringIO() if stdout else None, io.StringIO() if stderr else None
        self.outputs, self._display = [], display

    def __enter__(self):
        import sys

        self._before = sys.stdout, sys.stderr, globals().get("_metaml_show")
        sys.stdout, sys.stderr = self._into[0] or sys.stdout, self._into[1] or sys.stderr
        globals()["_metaml_show"] = self._shown
        return self

    def _shown(self, value):
        import contextlib

        if value is not None and self._display:
            self.outputs.append(value)
        elif value is not None:
            with contextlib.redirect_stdout(self._before[0]):
                self._before[2](value)

    def __exit__(self, *error):
        import sys

        sys.stdout, sys.stderr, globals()["_metaml_show"] = self._before

    stdout = property(lambda self: self._into[0].getvalue() if self._into[0] else "")
    stderr = property(lambda self: self._into[1].getvalue() if self._into[1] else "")

    def __str__(self):
        return self.stdout

    def show(self):
        import sys

        sys.stdout.write(self.stdout)
        sys.stderr.write(self.stderr)
        for value in self.outputs:
            _metaml_show(value)

    __call__ = show
