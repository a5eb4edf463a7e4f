class _metaml_capture:
    """What a part of the script prints: `with _metaml_capture() as out:`, then out.stdout, out.stderr and out.show()."""

    def __enter__(self):
        import contextlib
        import io

        self._out, self._err = io.StringIO(), io.StringIO()
        self._both = contextlib.ExitStack()
        if self.capture_out:
            self._both.enter_context(contextlib.redirect_stdout(self._out))
        if self.capture_err:
            self._both.enter_context(contextlib.redirect_stderr(self._err))
        return self

    def __init__(self, stdout=True, stderr=True):
        self.capture_out, self.capture_err, self.outputs = stdout, stderr, []

    def __exit__(self, *error):
        self._both.close()

    stdout = property(lambda self: self._out.getvalue())
    stderr = property(lambda self: self._err.getvalue())
    __str__ = property(lambda self: lambda: self.stdout)

    def show(self):
        import sys

        sys.stdout.write(self.stdout)
        sys.stderr.write(self.stderr)

    __call__ = show
