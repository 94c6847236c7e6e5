"""Scan Python code on all cores: a linter without locks.

    python scan.py                      the standard library of this interpreter
    python scan.py FOLDER --threads     own code, compared with bare threads
    python scan.py --help               all options

Each file is parsed and analysed by a behaviour of its own.  What the files
have in common, totals per package and an index of function bodies, lives in
cowns.  ``codescan/behaviours.py`` shows how; the other files of that folder
are the linter itself.
"""

import sys

from codescan.command import main

if __name__ == "__main__":
    sys.exit(main())
