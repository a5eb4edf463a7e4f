"""Values that cross a border: what annotations stand for, signatures, JSON, typed rows. It imports `metaml._errors`
alone.
"""
