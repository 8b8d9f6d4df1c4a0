"""The benchmarks: mnistprep beside other tools and beside what the machine allows.

`python tests/benchmarks/run.py` measures. A group of cases is a module here, and a line in
cases.GROUPS; a case is a piece of work and the contenders that do it; a contender is a function.
"""
