"""The notebook's half: magics, decorators, the session document, and the answers about the live session."""
