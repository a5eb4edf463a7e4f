package pymodule

import "strconv"

// `python -c` and `python -m` search the current folder first, so that a json.py which lies there is executed in place
// of the library's (Python documentation, "The initialization of the sys.path module search path"). From Python 3.11 on
// -P leaves it out; this does the same on 3.10 and is not inherited, as PYTHONSAFEPATH would be. `sys` is built in: no
// file is read for it.
const withoutCurrentFolder = "import sys\nif not getattr(sys.flags, 'safe_path', False): del sys.path[0]\n"

const runModule = withoutCurrentFolder +
	"import runpy\nrunpy.run_module(sys.argv.pop(1), run_name='__main__', alter_sys=True)"

// RunModule gives the arguments for a Python that runs a module as -m does, but searches for no module in the current
// folder.
func RunModule(name string, args ...string) []string {
	return append([]string{"-c", runModule, name}, args...)
}

// runTensorBoard leaves out of the trials' folders what earlier attempts left and what is kept for later ones: as far
// as the trial went on from it, it is in the trial's output, too. A TensorBoard that is made in another way shows all.
const runTensorBoard = withoutCurrentFolder + `import os, re, runpy
try:
    from tensorboard.backend.event_processing import io_wrapper
    every = io_wrapper.GetLogdirSubdirectories
    earlier = re.compile(r'\d+/(attempt-\d+|checkpoints|restoring)(/|$)')
    io_wrapper.GetLogdirSubdirectories = lambda top: (
        found for found in every(top) if not earlier.match(os.path.relpath(found, top)))
except (ImportError, AttributeError):
    pass
runpy.run_module('tensorboard.main', run_name='__main__', alter_sys=True)
`

// RunTensorBoard gives the arguments for a Python that shows the event files under logs, the folder of a run's trials,
// on a port of this machine; 0 is any. TensorBoard's data server would open a second port, without a password as the
// first, so it is left out.
func RunTensorBoard(logs string, port int, more ...string) []string {
	args := []string{"--logdir", logs, "--host", "127.0.0.1", "--port", strconv.Itoa(port), "--load_fast=false"}
	return append([]string{"-c", runTensorBoard}, append(args, more...)...)
}

// RunCode gives the arguments for a Python that runs code as -c does, but searches for no module in the current folder.
func RunCode(code string, args ...string) []string {
	return append([]string{"-c", withoutCurrentFolder + code}, args...)
}
