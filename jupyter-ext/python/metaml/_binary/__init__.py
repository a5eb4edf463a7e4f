"""Finding the binary `metaml` and speaking with it. It imports `metaml._errors` alone."""
