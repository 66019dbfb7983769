"""Gives single processes another time of day, while the machine and all other processes keep theirs.

A program asks for the time by functions that the kernel puts into every process, the vDSO. Go does so without any library, so
nothing can be put before them by `LD_PRELOAD`. The first instruction of each is replaced here by a jump to code in the
unused end of the same page, which asks the kernel and adds seconds. As with a clock that somebody sets, only the time of
day changes: timers and time-outs run by the monotonic clock. For x86-64.
"""

import contextlib
import os
import platform
import signal
import struct
import time
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

MACHINE = "x86_64"
SECONDS = b"%s%s"
"""Where the four bytes of the seconds go."""
STUBS: Mapping[str, bytes] = {
    # mov eax, SYS_clock_gettime; syscall; test eax, eax; jnz end; test edi, edi (0: the time of day); jnz end;
    # add qword [rsi], SECONDS; end: ret
    "__vdso_clock_gettime": bytes.fromhex("b8e4000000 0f05 85c0 750b 85ff 7507 488106") + SECONDS + b"\xc3",
    # mov eax, SYS_gettimeofday; syscall; test rdi, rdi; jz end; add qword [rdi], SECONDS; end: ret
    "__vdso_gettimeofday": bytes.fromhex("b860000000 0f05 4885ff 7407 488107") + SECONDS + b"\xc3",
    # mov eax, SYS_time with no place for the result; syscall; add rax, SECONDS; test rdx, rdx; jz end; mov [rdx], rax; end: ret
    "__vdso_time": bytes.fromhex("4889fa 31ff b8c9000000 0f05 4805") + SECONDS + bytes.fromhex("4885d2 7403 488902 c3"),
}
"""Function of the vDSO → what runs in its place."""
ENTRY = 8
"""Bytes at the beginning of a function that are replaced at once: a jump of five, and what was there."""
STILL, STILL_SECONDS = {"T", "t", "Z", "X"}, 10
"""States of a thread that runs nothing: stopped, or at its end."""
DYNSYM = 11
"""Type of the section that has the symbols. Numbers and formats here are ELF's."""


def patches(image: bytes, seconds: int) -> dict[int, bytes]:
    """Offset in the vDSO → bytes to write there, so that its functions return a time that is `seconds` later. With 0, the bytes
    are the original ones.

    The code is not moved, because a thread may be executing it.

    Raises:
        ValueError: this vDSO lacks a function, or has no room.
    """
    functions = symbols(image)
    missing = STUBS.keys() - functions.keys()
    if missing:
        raise ValueError(f"the vDSO of this kernel has no {', '.join(sorted(missing))}")
    if not seconds:
        return {functions[name]: image[functions[name] :][:ENTRY] for name in STUBS}
    place = len(image.rstrip(b"\0")) + ENTRY
    writes = {}
    for name, stub in STUBS.items():
        entry = functions[name]
        jump = b"\xe9" + struct.pack("<i", place - entry - 5)  # counted from behind itself
        writes[place] = stub.replace(SECONDS, struct.pack("<i", seconds))
        writes[entry] = jump + image[entry:][len(jump) : ENTRY]
        place += len(writes[place])
    if place > len(image):
        raise ValueError(f"the vDSO of this kernel has no room for {place - len(image)} more bytes")
    return writes


def symbols(image: bytes) -> dict[str, int]:
    """Function → where it is in the image."""
    [begin], [size, count] = struct.unpack_from("<Q", image, 0x28), struct.unpack_from("<HH", image, 0x3A)
    sections = [struct.unpack_from("<IIQQQQIIQQ", image, begin + size * number) for number in range(count)]
    addresses = {}
    for _, kind, _, _, offset, length, names, _, _, each in sections:
        if kind == DYNSYM:
            texts = sections[names][4]
            for at in range(offset, offset + length, each):
                name, _, _, _, value, _ = struct.unpack_from("<IBBHQQ", image, at)
                addresses[image[texts + name :].split(b"\0", 1)[0].decode()] = value
    return addresses


def image() -> bytes:
    """The vDSO as the kernel made it: that of this process, for all have the same."""
    begin, end = _where("self")
    with Path("/proc/self/mem").open("rb", buffering=0) as memory:
        memory.seek(begin)
        return memory.read(end - begin)


def set_clock(pids: Collection[int], seconds: int) -> None:
    """Sets the clock of these processes, with all threads, `seconds` ahead, or behind if negative. 0 corrects it again.

    Programs that they execute later have the right clock, and so have the times that the kernel writes, such as those of
    files. All processes are stopped meanwhile, so that their clocks jump at once. Processes that end meanwhile are skipped.
    The caller needs the rights of a debugger.

    Raises:
        OSError: this is not x86-64, or one of the processes may not be written to.
        ValueError: the vDSO of this kernel is not as expected.
        TimeoutError: a process does not stop.
    """
    if platform.machine() != MACHINE:
        raise OSError(f"processes get a clock of their own on {MACHINE} only, and this is {platform.machine()}")
    wanted = patches(image(), seconds)
    with _still(pids):
        for pid in pids:
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                begin, _ = _where(pid)
                _write(pid, {begin + place: piece for place, piece in wanted.items()})


def _write(pid: int, pieces: Mapping[int, bytes]) -> None:
    memory = os.open(f"/proc/{pid}/mem", os.O_WRONLY)
    try:
        for address, piece in pieces.items():
            os.pwrite(memory, piece, address)
    finally:
        os.close(memory)


@contextlib.contextmanager
def _still(pids: Collection[int]) -> Iterator[None]:
    """No thread of these runs meanwhile."""
    try:
        _signal(pids, signal.SIGSTOP)
        deadline = time.monotonic() + STILL_SECONDS
        while moving := [pid for pid in pids if _states(pid) - STILL]:
            if time.monotonic() > deadline:
                raise TimeoutError(f"processes {', '.join(map(str, moving))} do not stand still")
            time.sleep(0.01)
        yield
    finally:
        _signal(pids, signal.SIGCONT)


def _signal(pids: Collection[int], which: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, which)


def _states(pid: int) -> set[str]:
    """The states of all threads of a process, as in proc(5)."""
    states = set()
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            states.add((task / "stat").read_text().rpartition(")")[2].split()[0])
    return states


def _where(pid: int | str) -> tuple[int, int]:
    """Addresses of the vDSO in a process.

    Raises:
        ProcessLookupError: it has ended, and has no memory any more.
    """
    for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
        if line.endswith("[vdso]"):
            begin, end = line.split()[0].split("-")
            return int(begin, 16), int(end, 16)
    raise ProcessLookupError(f"process {pid} has no vDSO")
