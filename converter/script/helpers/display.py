def _metaml_display(*values, **options):
    """Shows values as text, one below the other."""
    for value in values:
        _metaml_show(type("None", (), {"__repr__": lambda self: "None"})() if value is None else value)
