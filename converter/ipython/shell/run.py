def _metaml_run(command, expand=None):
    import os, subprocess, sys
    try:
        command = expand() if expand else command
    except Exception:
        pass
    sys.stdout.flush()
    subprocess.run(command, shell=True, executable=os.environ.get("SHELL"), stdin=subprocess.DEVNULL)
