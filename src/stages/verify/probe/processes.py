"""Processes and threads."""

import os
import sys

from .check import CHECK_SECONDS, Skip, expect, promised
from .commands import python, run_well


def process_checks(request):
    return promised(request, [
        ("subprocess:python", subprocess_python, []),
        ("subprocess:non-ascii", subprocess_non_ascii, []),
        ("subprocess:read-only-directory", subprocess_read_only, []),
        ("threads:late", late_threads, []),
    ])


def subprocess_python(_request):
    out = run_well(python("-c", "import sys; print(sys.executable)"))
    expect(out.rstrip("\n") == sys.executable, f"another executable: {out!r}")


def subprocess_non_ascii(_request):
    """Arguments and output are unchanged in every locale."""
    word = "zażółć-é-☃"
    code = "import sys; print(ascii(sys.argv[1])); print(sys.argv[1])"
    for locale, options in (("C", []), ("C.UTF-8", []), ("POSIX", ["-X", "utf8"])):
        out = run_well(python(*options, "-c", code, word.encode("utf-8")),
                       env={"LC_ALL": locale})
        expect(out == f"{ascii(word)}\n{word}\n", f"LC_ALL={locale}: {out!r}")


def subprocess_read_only(request):
    directory = request.scratch_dir("read-only")
    os.chmod(directory, 0o555)
    # Not isolated, so that the directory is on sys.path.
    out = run_well([sys.executable, "-B", "-c", "import json; print(json.dumps(1))"],
                   cwd=directory)
    expect(out == "1\n", repr(out))
    expect(not os.listdir(directory), f"it left {os.listdir(directory)}")


def late_threads(_request):
    # Daemon threads that ask for the GIL after finalisation call pthread_exit, which
    # needs libgcc_s before CPython 3.14. The root may not have it.
    out = run_well([sys.executable, "-I", "-B", "-c",
                    "import threading, time\n"
                    "def spin():\n"
                    "    while True:\n"
                    "        time.sleep(0.0001)\n"
                    "for _ in range(8):\n"
                    "    threading.Thread(target=spin, daemon=True).start()\n"
                    "time.sleep(0.1)\n"
                    "print('ended')"])
    expect(out == "ended\n", repr(out))


def multiprocessing_checks(request):
    return promised(request, [
        ("multiprocessing:fork", started_process("fork"), []),
        ("multiprocessing:spawn", started_process("spawn"), []),
        ("multiprocessing:pool", multiprocessing_pool, ["_multiprocessing"]),
        ("multiprocessing:shared-memory", shared_memory, ["_posixshmem"]),
    ])


def started_process(method):
    def check(_request):
        import multiprocessing
        context = multiprocessing.get_context(method)
        receiver, sender = context.Pipe(duplex=False)
        process = context.Process(target=send_square, args=(sender, 12))
        process.start()
        sender.close()
        expect(receiver.poll(CHECK_SECONDS - 40), f"no answer in {CHECK_SECONDS - 40} s")
        answer = receiver.recv()
        process.join(20)
        expect(answer == 144 and process.exitcode == 0,
               f"answer {answer}, exit code {process.exitcode}")
    return check


def send_square(sender, number):
    sender.send(square(number))


def square(number):
    return number * number


def multiprocessing_pool(_request):
    import multiprocessing
    expect_shared_memory()
    # "fork": "spawn" has a check of its own and takes longer for each process.
    with multiprocessing.get_context("fork").Pool(2) as pool:
        expect(pool.map(square, range(5)) == [0, 1, 4, 9, 16], "map")


def shared_memory(_request):
    from multiprocessing import shared_memory
    expect_shared_memory()
    memory = shared_memory.SharedMemory(create=True, size=1000)
    try:
        memory.buf[:5] = b"hello"
        other = shared_memory.SharedMemory(name=memory.name)
        expect(bytes(other.buf[:5]) == b"hello", "the other end reads otherwise")
        other.close()
    finally:
        memory.close()
        memory.unlink()


def expect_shared_memory():
    """Skip unless shared memory works; glibc keeps semaphores there too."""
    if not os.access("/dev/shm", os.W_OK):
        raise Skip("this root has no writable /dev/shm")
