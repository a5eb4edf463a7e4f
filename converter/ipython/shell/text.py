def _metaml_text(text, expand):
    try:
        return expand()
    except Exception:
        return text
