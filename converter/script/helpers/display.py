def _metaml_display(*values, **options):
    """Shows values as text, one below the other."""
    for value in values:
        print(None) if value is None else _metaml_show(value)
