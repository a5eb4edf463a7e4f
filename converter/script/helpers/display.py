class _metaml_handle:
    """What display(..., display_id=True) gives."""

    def __init__(self, display_id):
        self.display_id = display_id

    def display(self, value, **options):
        display(value)

    update = display


def display(*values, display_id=None, **options):
    """Shows values as text, one below the other."""
    for value in values:
        _metaml_show(value) if value is not None else print(None)
    return _metaml_handle(display_id) if display_id else None
