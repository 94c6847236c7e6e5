"""Where a thread comes by that waits in native code for something long."""


def look_up() -> None:
    """Do nothing: before a function runs, Python raises what another thread wants to be raised in this one."""
