def _metaml_figures():
    """Shows the figures that are open in windows, and goes on when they are closed."""
    import sys

    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot and pyplot.get_fignums():
        pyplot.show()


def _metaml_save(figure):
    figure.show()
