"""Try a source: python -m tasks.mofa.try SOURCE|FILE.toml [--page FILE|URL] [--record DIRECTORY]. See try_source.py."""

import sys

from tasks.mofa.try_source import main

if __name__ == "__main__":
    sys.exit(main())
