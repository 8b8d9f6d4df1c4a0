"""What is thrown at mnistprep in great numbers; run.py runs it and writes docs/reliability.md."""
