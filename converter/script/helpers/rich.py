def _metaml_rich(name, shown=None):
    """A class of IPython.display. What it makes for a browser is a line that says so in a script, a text stays text."""

    def __init__(self, data=None, *args, **options):
        self.__dict__.update(options, data=data)

    return type(name, (), {"__init__": __init__, "__repr__": lambda self: shown or str(self.data)})
