"""Where the suite runs: on Linux, which it asks what no peer can see, such as who has read what and who is left.

The models themselves run elsewhere too.
"""

from __future__ import annotations

import sys

collect_ignore_glob = [] if sys.platform == "linux" else ["test_*.py"]
