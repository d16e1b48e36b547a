"""Make the virtual environment with both distributions of this repository and all that tests and demo need."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main() -> int:
    if sys.version_info < (3, 11):  # noqa: UP036 - it is run by whatever Python the machine has
        found = ".".join(str(part) for part in sys.version_info[:2])
        print(f"Python 3.11 or later is needed, this is {found}: run `make PYTHON=python3.11 …`", file=sys.stderr)
        return 1
    target = Path(sys.argv[1]).resolve()
    python = target / "bin" / "python"
    if not python.exists():
        print(f"Making a virtual environment in {target.name} …")
        try:
            venv.create(target, with_pip=True)
        except (subprocess.CalledProcessError, OSError) as error:
            print(f"cannot make it ({error}): install the package python3-venv and try again", file=sys.stderr)
            return 1
    print("Installing the service, the client and what they need …", flush=True)
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    done = subprocess.run([*install, "-e", str(ROOT / "troveclient"), "-e", f"{ROOT}[test,demo]"], check=False)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
