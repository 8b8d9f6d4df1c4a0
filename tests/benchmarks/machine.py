"""What a run was made on: the machine, the system, the versions of everybody."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = (
    "mnistprep", "numpy", "pillow", "torch", "torchvision", "opencv-python-headless", "pandas",
    "polars", "pyarrow", "datumaro", "datasets", "webdataset", "tfrecord", "tensorflow-cpu",
    "idx2numpy", "h5py", "scipy", "scikit-learn", "liac-arff", "safetensors",
    "google-crc32c", "click",
)  # fmt: skip
_GPU = "import torch; print(torch.cuda.get_device_name(0) if torch.cuda.is_available() else '')"


def describe(work: Path) -> dict[str, Any]:
    """The description of this machine; `work` is the folder that files are written to."""
    versions = {name: found for name in PACKAGES if (found := _version(name))}
    return {
        "processor": _line("/proc/cpuinfo", "model name") or platform.processor(),
        "cores": len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "gpu": _gpu() if "torch" in versions else None,
        "files": filesystem(work),
        "threads": os.environ.get("OMP_NUM_THREADS"),
        "load": round(os.getloadavg()[0], 2),
        "versions": versions,
        "absent": [name for name in PACKAGES if name not in versions],
    }


def filesystem(folder: Path) -> str:
    """The kind of file system that a folder is in, such as tmpfs; empty where nobody tells."""
    try:
        mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines()]
    except OSError:
        return ""
    above = {str(folder.resolve()), *map(str, folder.resolve().parents)}
    found = [(len(point), kind) for point, kind in mounts if point in above]
    return max(found)[1] if found else ""


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _line(file: str, key: str) -> str | None:
    try:
        found = re.search(rf"^{key}\s*:\s*(.*)$", Path(file).read_text(), re.MULTILINE)
    except OSError:
        return None
    return found[1] if found else None


def _gpu() -> str | None:
    """The name of the GPU that PyTorch computes on; asked for in a process of its own."""
    asked = subprocess.run([sys.executable, "-c", _GPU], capture_output=True, text=True)
    return asked.stdout.strip() or None
