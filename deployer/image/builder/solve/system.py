"""Install packages of the system, as apt knows them: argv are their names."""

import subprocess
import sys

subprocess.run(["apt-get", "update", "-q"], check=True)
command = ["apt-get", "install", "-q", "--yes", "--no-install-recommends", "--", *sys.argv[1:]]
sys.exit(subprocess.run(command, check=False).returncode)
