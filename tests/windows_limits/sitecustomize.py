"""Stands in for what Windows lacks or refuses: on PYTHONPATH, for a process and for those that it starts.

Modules and calls that it lacks, directories that cannot be opened, text written with other ends of lines, files that
are in use and cannot be moved or removed, characters that no name may have.
"""

import builtins
import errno
import io
import os
import types

_MISSING = ("fcntl", "resource", "pwd", "grp")
_import = builtins.__import__


def _held(path):
    """Whether this process has the file, or one under that folder, open."""
    path = os.path.realpath(path)
    if path.startswith("/dev/shm/"):
        return False
    for number in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{number}")
        except OSError:
            continue
        if target == path or target.startswith(path + os.sep):
            return True
    return False


def _limited_import(name, globals=None, locals=None, fromlist=(), level=0):
    if str((globals or {}).get("__name__", "")).startswith("dose_audit"):
        if name in _MISSING:
            raise ImportError(f"no {name} here")
        if name == "msvcrt":
            return types.SimpleNamespace(locking=_locking, LK_NBLCK=2)
    return _import(name, globals, locals, fromlist, level)


def _locking(descriptor, mode, size):
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise PermissionError(errno.EACCES, "locked") from error


builtins.__import__ = _limited_import

for name in ("fdatasync", "posix_fadvise", "writev", "pwrite", "pread", "O_DIRECTORY", "O_NONBLOCK", "sync"):
    if hasattr(os, name):
        delattr(os, name)

os.O_BINARY = 1 << 40
_as_text = {}
_open, _write, _close = os.open, os.write, os.close


def _check(path):
    if isinstance(path, (str, os.PathLike)):
        text = os.fspath(path)
        if isinstance(text, str) and any(c in os.path.basename(text) for c in '<>:"|?*'):
            raise OSError(errno.EINVAL, "no such name on Windows", text)


def limited_open(path, flags, mode=0o777, **more):
    _check(path)
    if os.path.isdir(path):
        raise PermissionError(errno.EACCES, "directories cannot be opened", str(path))
    descriptor = _open(path, flags & ~os.O_BINARY, mode, **more)
    if flags & os.O_BINARY:
        _as_text.pop(descriptor, None)
    elif flags & (os.O_WRONLY | os.O_RDWR):
        _as_text[descriptor] = os.fstat(descriptor).st_ino
    return descriptor


def limited_write(descriptor, data):
    if _as_text.get(descriptor) == os.fstat(descriptor).st_ino and b"\n" in bytes(data):
        _write(descriptor, bytes(data).replace(b"\n", b"\r\n"))
        return len(data)
    return _write(descriptor, data)


def limited_close(descriptor):
    _as_text.pop(descriptor, None)
    return _close(descriptor)


os.open, os.write, os.close = limited_open, limited_write, limited_close

_io_open = io.open


def _checked_open(file, *args, **more):
    _check(file)
    return _io_open(file, *args, **more)


builtins.open = io.open = _checked_open


def _moving(real, replaces):
    def move(source, target, **more):
        _check(target)
        if _held(source):
            raise PermissionError(errno.EACCES, "in use", str(source))
        if os.path.exists(target):
            if not replaces:
                raise FileExistsError(errno.EEXIST, "exists", str(target))
            if _held(target):
                raise PermissionError(errno.EACCES, "in use", str(target))
        return real(source, target, **more)

    return move


def _removing(real):
    def remove(path, **more):
        if "dir_fd" not in more and os.path.exists(path) and _held(path):
            raise PermissionError(errno.EACCES, "in use", str(path))
        return real(path, **more)

    return remove


os.rename, os.replace = _moving(os.rename, False), _moving(os.replace, True)
os.unlink = os.remove = _removing(os.unlink)
