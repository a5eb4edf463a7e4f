"""``python -m metaml._loader``."""

from metaml._loader.loader import main

main()
