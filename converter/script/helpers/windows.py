def _metaml_figures():
    """Shows the figures that a cell drew in windows, and goes on when they are closed."""
    import sys

    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot and pyplot.get_fignums():
        pyplot.show()
