def _metaml_figures():
    """Saves the figures that a cell drew beside the script, and closes them, as a notebook shows them below the cell."""
    import os
    import sys

    pyplot = sys.modules.get("matplotlib.pyplot")
    for number in pyplot.get_fignums() if pyplot else ():
        figure = pyplot.figure(number)
        if figure.axes or figure.texts or figure.images:
            _metaml_backend.saved += 1
            name = "NAME-%d.png" % _metaml_backend.saved
            figure.savefig(os.path.join(_metaml_backend.folder, name), bbox_inches="tight")
            print("saved the figure", name, file=sys.stderr)
        pyplot.close(figure)


class _metaml_backend:
    """The module by which matplotlib draws: into memory, and plt.show() saves. It is loaded when matplotlib is."""

    folder = __import__("os").path.dirname(__import__("os").path.abspath(__file__))
    saved = 0

    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name == "_metaml_backend":
            return __import__("importlib.machinery").machinery.ModuleSpec(name, cls)

    create_module = staticmethod(lambda spec: None)

    @staticmethod
    def exec_module(module):
        from matplotlib.backends.backend_agg import FigureCanvasAgg

        module.FigureCanvas = FigureCanvasAgg
        module.show = lambda *args, **options: _metaml_figures()


__import__("sys").meta_path.append(_metaml_backend)
__import__("os").environ["MPLBACKEND"] = "module://_metaml_backend"
