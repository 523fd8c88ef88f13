"""Figures as a person reads them."""

from datetime import timedelta


def human_size(size_bytes: float) -> str:
    """Render bytes in binary units, one digit after the point."""
    units = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
    size, unit = size_bytes, units[0]
    for unit in units:
        if size < 1024 or unit == units[-1]:  # noqa: PLR2004
            break
        size /= 1024
    return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"


def human_age(age: timedelta) -> str:
    """Render how long ago something was, in its largest whole unit."""
    seconds = age.total_seconds()
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"
