"""What an image has of what a program requires: JSON of pod.Installed, for the distributions and modules in argv."""

import json
import sys
from importlib.util import find_spec


def installed(name):
    """The version of a distribution, "" where it has none, None where it is not there."""
    # It takes longer than all else here, and a program may need no package.
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(name) or ""
    except PackageNotFoundError:
        return None
    except Exception:
        return ""


def found(module):
    """Whether an import would find a module."""
    try:
        return find_spec(module) is not None
    except Exception:
        return False


required = json.loads(sys.argv[1])
packages = {name: installed(name) for name in required.get("packages", {})}
missing = {name for name, have in packages.items() if have is None}
print(
    json.dumps(
        {
            "python": ".".join(map(str, sys.version_info[:2])),
            "packages": packages,
            "modules": {module: found(module) for module, of in required.get("modules", {}).items() if of in missing},
        }
    )
)
