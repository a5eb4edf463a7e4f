class _metaml_rich:
    """What IPython.display makes of data for a browser; a script shows that it is there."""

    def __init__(self, data=None, *args, **options):
        self.data = data
        self.__dict__.update(options)

    def __repr__(self):
        return f"<IPython.{'lib' if self.__class__.__name__ in _metaml_lib else 'core'}.display.{self.__class__.__name__} object>"


_metaml_lib = "Audio", "Code", "FileLink", "FileLinks", "IFrame", "ScribdDocument", "VimeoVideo", "YouTubeVideo"


def _metaml_ignore(*args, **options):
    """What a script has no use for, such as clear_output()."""


def _metaml_display(name):
    # A name of the module IPython.display.
    import types

    if name in ("display", "DisplayHandle"):
        return {"display": display, "DisplayHandle": _metaml_handle}[name]
    if name == "update_display":
        return lambda value, **options: display(value)
    if name == "*":
        names = types.SimpleNamespace()
        for each in _metaml_names:
            setattr(names, each, _metaml_display(each))
        return names
    if name[:1].isupper():
        return type(name, (_metaml_rich,), {})
    if name.startswith("display_"):
        return lambda *values, **options: display(*values)
    return _metaml_ignore


_metaml_names = (
    "display DisplayHandle update_display HTML Markdown Latex Math SVG Image JSON GeoJSON Javascript Audio Video "
    "YouTubeVideo VimeoVideo IFrame FileLink FileLinks Code Pretty TextDisplayObject DisplayObject ProgressBar "
    "clear_output display_html display_markdown display_svg display_png display_jpeg display_latex display_json "
    "display_javascript display_pretty publish_display_data set_matplotlib_formats set_matplotlib_close"
).split()
