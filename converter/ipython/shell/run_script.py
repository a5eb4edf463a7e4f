def _metaml_run_script(command, script, check=True, expand=None):
    import shlex, subprocess, sys
    try:
        command = expand() if expand else command
    except Exception:
        pass
    sys.stdout.flush()
    try:
        out = sys.stdout.fileno()
    except Exception:
        out = subprocess.PIPE
    done = subprocess.run(shlex.split(command), input=script.encode(), stdout=out, check=check)
    if done.stdout:
        print(done.stdout.decode(errors="replace"), end="")
