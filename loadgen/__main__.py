"""`python -m loadgen`: see `loadgen.cli`."""

import sys

if __name__ == "__main__":
    try:
        from loadgen.cli import main

        sys.exit(main())
    except KeyboardInterrupt:  # while the modules were being imported: later ones are handled where the run is
        sys.exit(130)
