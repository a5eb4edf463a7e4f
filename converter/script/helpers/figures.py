def _metaml_figures(*args, **options):
    """Saves the figures that are open beside the script and closes them, as a notebook shows them below a cell."""
    for number in _metaml_pyplot.get_fignums() if _metaml_pyplot else ():
        _metaml_save(_metaml_pyplot.figure(number))
        _metaml_pyplot.close(number)


def _metaml_save(figure):
    import os
    import sys

    if figure.axes or figure.texts or figure.images:
        _metaml_figures.saved += 1
        name = "NAME-%d.png" % _metaml_figures.saved
        figure.savefig(os.path.join(os.path.dirname(os.path.abspath(__file__)), name), bbox_inches="tight")
        print("saved the figure", name, file=sys.__stderr__)


_metaml_figures.saved = 0
try:
    import matplotlib.pyplot as _metaml_pyplot
except ImportError:
    _metaml_pyplot = None
else:
    _metaml_pyplot.switch_backend("agg")
    _metaml_pyplot.show = _metaml_figures
