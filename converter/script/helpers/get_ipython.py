def get_ipython():
    """The notebook's interpreter, which a script does not have."""
