def _metaml_run(command, expand=None):
    import os, subprocess, sys
    try:
        command = expand() if expand else command
    except Exception:
        pass
    sys.stdout.flush()
    try:
        out = sys.stdout.fileno()
    except Exception:
        out = subprocess.PIPE
    done = subprocess.run(command, shell=True, executable=os.environ.get("SHELL"), stdin=subprocess.DEVNULL, stdout=out)
    if done.stdout:
        print(done.stdout.decode(errors="replace"), end="")
