"""`python -m gateway.cli`: the same as `sekisho`."""

from gateway.cli import main

if __name__ == "__main__":
    main()
