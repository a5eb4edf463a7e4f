def _metaml_show(value):
    """Prints a value as a notebook shows the last expression of a cell: nothing for None."""
    if value is not None:
        print(repr(value))
