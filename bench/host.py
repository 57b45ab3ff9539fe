"""What Linux says about this machine and its processes: /proc, and nothing else."""

import os
import platform
from pathlib import Path

import msgspec

TICK_S = 1 / os.sysconf("SC_CLK_TCK")


class Host(msgspec.Struct, frozen=True, kw_only=True):
    """Where a run was made; numbers of two hosts are not to be compared."""

    cpu: str
    cores: int
    memory_mb: int
    kernel: str
    python: str
    postgres: str
    fsync: bool


def describe_host(*, postgres: str, fsync: bool) -> Host:
    """This host. postgres: the server's version; fsync: whether it writes through."""
    return Host(
        cpu=_field("/proc/cpuinfo", "model name") or platform.machine(),
        cores=len(os.sched_getaffinity(0)),
        memory_mb=int((_field("/proc/meminfo", "MemTotal") or "0 kB").split()[0]) // 1024,
        kernel=platform.release(),
        python=platform.python_version(),
        postgres=postgres,
        fsync=fsync,
    )


def cpu_s(pid: int) -> float:
    """CPU time of a process and of its children that ended, in seconds; 0.0 when it is gone. 10 ms is its grain."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0.0
    return sum(int(each) for each in stat.rpartition(")")[2].split()[11:15]) * TICK_S


def children(pid: int) -> list[int]:
    """A process's children."""
    try:
        return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def family_cpu_s(pid: int) -> float:
    """CPU time of a process and all its children, living and ended: a database server whole."""
    return cpu_s(pid) + sum(cpu_s(child) for child in children(pid))


def rss_mb(pid: int) -> float:
    """Resident memory of a process in MiB; 0.0 when it is gone."""
    try:
        return int((_field(f"/proc/{pid}/status", "VmRSS") or "0 kB").split()[0]) / 1024
    except OSError:
        return 0.0


def _field(path: str, name: str) -> str:
    for line in Path(path).read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return ""
