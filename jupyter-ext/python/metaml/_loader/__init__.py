"""The processes that execute a program: the loader, which forks trials and workers, and an attempt without a loader."""
