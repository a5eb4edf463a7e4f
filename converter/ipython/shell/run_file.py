def _metaml_run_file(path, args="", module=False, inside=False, name="__main__"):
    import os, runpy, shlex, sys
    argv, folders = sys.argv, sys.path[:]
    sys.argv = [path, *shlex.split(args)]
    try:
        if module:
            names = runpy.run_module(path, run_name="__main__", alter_sys=True)
        else:
            sys.path.insert(0, os.path.dirname(os.path.abspath(path)))
            names = runpy.run_path(path, globals() if inside else None, run_name=name)
    except SystemExit as exited:
        if exited.code not in (None, 0):
            raise
        names = {}
    finally:
        sys.argv, sys.path[:] = argv, folders
    globals().update({name: value for name, value in names.items() if not name.startswith("__")})
