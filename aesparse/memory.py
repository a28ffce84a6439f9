"""How much memory this process may use."""

from pathlib import Path

try:
    import resource
except ImportError:  # Windows
    resource = None

__all__ = ["host_memory"]

_CGROUPS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def host_memory() -> int:
    """Bytes this process may use: the machine's, or less where a limit is set."""
    import psutil  # slower to import than to ask

    limits = [psutil.virtual_memory().total]
    if resource is not None:
        soft, _ = resource.getrlimit(resource.RLIMIT_AS)
        if soft != resource.RLIM_INFINITY:
            limits.append(soft)
    for name in _CGROUPS:
        try:
            limits.append(int(Path(name).read_text(encoding="utf-8")))
        except (OSError, ValueError):  # no such limit, or "max"
            continue
    return min(limits)
