def _metaml_nothing(*args, **options):
    """What a script has no use for, such as clear_output()."""
