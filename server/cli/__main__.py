"""`python -m server.cli`."""

import sys

from server.cli.commands import main

sys.exit(main())
