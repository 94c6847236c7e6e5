"""Installs bocpy for the running interpreter, from source where it must be.

Wheels exist for builds with the GIL only. The source package of 0.14.0 does
not build as it is: its setup names a package, `bocpy_test`, that was left out
of the archive. An empty one in its place is enough; nothing else is changed.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

WANTED = "bocpy==0.14.0"


def pip(*arguments: str, temporary: str | None = None) -> bool:
    command = [sys.executable, "-m", "pip", "install", "--quiet", *arguments]
    environment = dict(os.environ)
    if temporary is not None:
        environment["TMPDIR"] = temporary
    done = subprocess.run(command, env=environment, capture_output=True, check=False)
    return done.returncode == 0


def main() -> int:
    if pip("--only-binary", "bocpy", WANTED):
        return 0
    with tempfile.TemporaryDirectory() as folder:
        # Fails for the reason above, and leaves the unpacked source behind.
        from_source = ["--no-clean", "--no-deps", "--no-binary", "bocpy", WANTED]
        if pip(*from_source, temporary=folder):
            return 0
        for setup in Path(folder).glob("pip-install-*/bocpy_*/setup.py"):
            missing = setup.parent / "src" / "bocpy_test"
            missing.mkdir(exist_ok=True)
            (missing / "__init__.py").touch()
            if pip(str(setup.parent)):
                return 0
    print(f"{WANTED} could not be installed", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
