"""Where this package lies, and which frames of a traceback are its own."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import types

#: The package's folder.
FOLDER = os.path.dirname(os.path.abspath(__file__))
#: The folder on ``sys.path`` that has it.
SITE = os.path.dirname(FOLDER)


def below_our_frames(trace: types.TracebackType | None) -> types.TracebackType | None:
    """A traceback without the frames at its top that are this package's: it begins in the user's code, or is None."""
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(FOLDER + os.sep):
        trace = trace.tb_next
    return trace
