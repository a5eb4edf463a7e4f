class _metaml_handle:
    """What display(..., display_id=True) gives: its update() shows another value below."""

    def __init__(self, display_id=None):
        self.display_id = display_id

    def display(self, value, **options):
        _metaml_display(value)

    update = display

    def __repr__(self):
        return f"<DisplayHandle display_id={self.display_id}>"
