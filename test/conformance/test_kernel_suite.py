"""jupyter_kernel_test's whole suite against our kernel."""

from __future__ import annotations

import os

import jupyter_kernel_test as jkt

NAME = os.environ.get("METAML_TEST_KERNEL", "metaml")


class SuiteTests(jkt.KernelTests):  # type: ignore[misc]  # it ships no types
    """Every test of the suite; none may be skipped, so every sample is given."""

    kernel_name = NAME
    language_name = "python"
    file_extension = ".py"
    code_hello_world = "print('hello, world')"
    code_stderr = "import sys; print('test', file=sys.stderr)"
    completion_samples = [
        {"text": "zi", "matches": {"zip"}},
        {"text": "prin", "matches": {"print"}},
    ]
    complete_code_samples = ["1", "print('hello, world')", "def f(x):\n  return x*2\n\n\n"]
    incomplete_code_samples = ["print('''hello", "def f(x):\n  x*2"]
    invalid_code_samples = ["import = 7q"]
    code_page_something = "zip?"
    code_generate_error = "raise ValueError"
    code_execute_result = [
        {"code": "1+2+3", "result": "6"},
        {"code": "[n*n for n in range(1, 4)]", "result": "[1, 4, 9]"},
    ]
    code_display_data = [
        {"code": "from IPython.display import HTML, display; display(HTML('<b>test</b>'))", "mime": "text/html"},
        {"code": "from IPython.display import Math, display; display(Math('\\\\frac{1}{2}'))", "mime": "text/latex"},
    ]
    code_history_pattern = "1?2*"
    # As in ipykernel's own run of the suite: IPython answers "range" with session 0, which the suite does not expect.
    supported_history_operations = ("tail", "search")
    code_inspect_sample = "zip"
    code_clear_output = "from IPython.display import clear_output; clear_output()"


class WelcomeTests(jkt.IopubWelcomeTests):  # type: ignore[misc]  # it ships no types
    """The message by which a subscriber knows that it will miss nothing from now on."""

    kernel_name = NAME
    support_iopub_welcome = True
