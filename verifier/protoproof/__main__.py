"""``python -m protoproof`` is ``protoproof``."""

from protoproof.cli.app import main

if __name__ == "__main__":
    main()
