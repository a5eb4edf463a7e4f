"""Puts a program of ours together, checks it and becomes it: the first thing that a container executes (start.go).

It is executed by whatever Python an image has, so that Python 2 must be able to read it.
"""

import sys

if not getattr(sys.flags, "safe_path", False):
    del sys.path[0]  # -c searches the working directory first

import os


def fail(message, name, code, text):
    """Says in the log and in the termination message why the program of that name does not start, and ends."""
    text = name + ": " + text + "\n"
    sys.stderr.write(text)
    sys.stderr.flush()
    try:
        with open(message, "w") as f:
            f.write(text)
    except Exception as e:
        sys.stderr.write(name + ": the termination message cannot be written: " + str(e) + "\n")
    sys.exit(code)


def read(folder, name):
    """Joins the parts of a file: NAME.0, NAME.1 and so on."""
    parts = []
    while os.path.exists(os.path.join(folder, name + "." + str(len(parts)))):
        with open(os.path.join(folder, name + "." + str(len(parts))), "rb") as f:
            parts.append(f.read())
    return b"".join(parts)


def members(packed):
    """The members of a gzip file, each of which says in its extra field how long it is (cmd/internal/podbinary)."""
    at = 0
    while at < len(packed):
        size = len(packed)
        if packed[at + 3] & 4 and packed[at + 12 : at + 16] == b"ML\x04\x00":
            size = int.from_bytes(packed[at + 16 : at + 20], "little")
        yield packed[at : at + size]
        at += max(size, 1)


def unpack(packed):
    """Unpacks the members of a gzip file beside each other: zlib lets other threads run meanwhile."""
    import _thread
    import zlib

    def begin(member):
        done, data = _thread.allocate_lock(), []
        done.acquire()

        def work():
            try:
                data.append(zlib.decompress(member, 31))  # 31: gzip
            finally:
                done.release()

        try:
            _thread.start_new_thread(work, ())
        except RuntimeError:  # no more threads may be started
            work()
        return done, data

    for done, data in [begin(member) for member in members(packed)]:
        done.acquire()
        yield data[0]


def start(message, name, python_flag, folder, to, digests, *arguments):
    """Starts the program of that name, with the interpreter behind python_flag where that is not empty.

    digests is ARCHITECTURE=SHA256 of what the folder has, with commas between them.
    """
    version = ".".join(map(str, sys.version_info[:2]))
    if sys.version_info < (3, 10):
        fail(message, name, 44, "the image has Python " + version + ", and MetaML needs 3.10 or newer")
    try:
        import hashlib
        import zlib  # noqa: F401
    except ImportError as e:
        fail(message, name, 44, "the image's Python is incomplete: " + str(e))
    machine = os.uname()[4]
    architecture = {"x86_64": "amd64", "aarch64": "arm64", "arm64": "arm64"}.get(machine, machine)
    known = dict(pair.split("=") for pair in digests.split(","))
    if architecture not in known:
        fail(message, name, 44, "the node is " + architecture + ", and the pod is for " + " and ".join(sorted(known)))
    program = os.path.join(to, name)
    try:
        packed = read(folder, name + "-linux-" + architecture + ".gz")
        if hashlib.sha256(packed).hexdigest() != known[architecture]:
            fail(message, name, 43, name + " did not come whole: " + str(len(packed)) + " bytes of it are in " + folder)
        with open(program, "wb") as f:
            for data in unpack(packed):
                f.write(data)
        os.chmod(program, 0o700)
    except OSError as e:
        fail(message, name, 43, name + " cannot be unpacked: " + str(e))
    # It need not search again for the Python that was found.
    python = [python_flag, sys.executable] if python_flag and sys.executable else []
    try:
        os.execv(program, [program] + python + list(arguments))
    except OSError as e:
        fail(message, name, 44, name + " cannot be executed: " + str(e))


start(*sys.argv[1:])
