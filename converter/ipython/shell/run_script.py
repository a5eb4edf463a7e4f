def _metaml_run_script(command, script, check=True, expand=None):
    import shlex, subprocess, sys
    try:
        command = expand() if expand else command
    except Exception:
        pass
    sys.stdout.flush()
    subprocess.run(shlex.split(command), input=script.encode(), check=check)
