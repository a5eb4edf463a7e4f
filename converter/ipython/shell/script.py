def _metaml_script(command, script, check=True, expand=None):
    import shlex, subprocess, sys
    try:
        command = expand() if expand else command
    except Exception:
        pass
    sys.stdout.flush()
    done = subprocess.run(shlex.split(command), input=script.encode(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=check)
    return done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
