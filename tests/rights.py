"""How a process is made to obey the modes of files, though the tests run as root, who need not."""

import os
from collections.abc import Sequence

_ABOVE_MODES = "-dac_override,-dac_read_search"
OBEYING: Sequence[str] = () if os.geteuid() else ("setpriv", f"--bounding-set={_ABOVE_MODES}", f"--inh-caps={_ABOVE_MODES}")
"""What a command line begins with, so that a file of mode 0444 takes no writes."""
