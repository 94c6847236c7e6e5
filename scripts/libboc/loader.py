"""Where the dynamic loader of this machine looks for libraries."""

import os
import re
import subprocess
from pathlib import Path

# It is not on everybody's PATH.
LDCONFIG = Path("/sbin/ldconfig")


def looks_in(folder: Path) -> bool:
    """Whether programs find a library there without being told."""
    if not LDCONFIG.exists():
        return False
    # Only to say what would be done.
    told = subprocess.run([LDCONFIG, "-N", "-X", "-v"], capture_output=True, text=True)
    searched = re.findall(r"^(/.*?):", told.stdout, re.M)
    return any(folder.resolve() == Path(name).resolve() for name in searched)


def refresh() -> None:
    """Lets the loader see what has changed in the folders where it looks, as only root can."""
    if LDCONFIG.exists() and os.geteuid() == 0:
        subprocess.run([LDCONFIG], check=True)
