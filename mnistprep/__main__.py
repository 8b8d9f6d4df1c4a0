"""Where the command line starts: `python -m mnistprep`, and the command `mnistprep`."""

from mnistprep import _interrupts


def run() -> None:
    """Run the command line; an interruption while it is still being loaded is a message too."""
    _interrupts.leave_at_once()
    from mnistprep.cli import main

    try:
        main()
    finally:
        _interrupts.end()


if __name__ == "__main__":
    run()
