"""Run the command line as `python -m mnistprep`."""

from mnistprep.cli import main

if __name__ == "__main__":
    main()
