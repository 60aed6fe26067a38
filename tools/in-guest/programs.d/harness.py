# SPDX-License-Identifier: GPL-2.0
"""What the tests with real programs share: KTAP, the kernel's counters, processes."""

import contextlib
import hashlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
import traceback

# More and larger, for the part programs-long of tools/check.
LONG = bool(os.environ.get("KTLS_LONG"))
# Seconds that a case may take, on a busy machine.
PATIENCE = 120
ERRORS = ("TlsDecryptError", "TlsRxNoPadViolation", "TlsRxRekeyError", "TlsTxRekeyError")
CERTIFICATES = "/tmp/certificates"

number = 0
failures = 0
processes = []


def counters():
    """/proc/net/tls_stat: name to value."""
    with open("/proc/net/tls_stat", encoding="ascii") as file:
        return {name: int(value) for name, value in (line.split() for line in file)}


def eventually(condition, seconds=PATIENCE):
    """Does the condition become true in time?"""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def check(good, message):
    """A case fails with the message unless the first is true."""
    if not good:
        raise AssertionError(message)


def result(good, name, seconds=None):
    """One line of the KTAP."""
    global number, failures
    number += 1
    failures += not good
    comment = "" if seconds is None else f" # {seconds:.1f} s"
    print("ok" if good else "not ok", number, name + comment, flush=True)


def skip(name, reason):
    """A case that cannot be run here."""
    global number
    number += 1
    print(f"ok {number} {name} # SKIP {reason}", flush=True)


def finish():
    """Ends the KTAP, and the program."""
    print(f"1..{number}")
    sys.exit(failures > 0)


def check_counters(before, expected):
    """Did the kernel do what was expected, without an error, and is all of it over?"""
    def over():
        now = counters()
        return not any(now["TlsCurr" + what] for what in ("TxSw", "RxSw", "TxDevice", "RxDevice"))

    check(eventually(over, 20), "some TLS sockets are still counted as current")
    now = counters()
    for name in ERRORS:
        expected.setdefault(name, 0)
    for name, count in expected.items():
        delta = now[name] - before[name]
        good = delta in count if isinstance(count, range) else delta == count
        check(good, f"{name} has grown by {delta}, not by {count}")


@contextlib.contextmanager
def case(name, **expected):
    """
    One case of the KTAP: good if nothing is raised within, and each of the counters that
    are named has grown by its number, or one in its range. Processes started within end
    with it.
    """
    def too_late(*_):
        raise TimeoutError(f"no end within {PATIENCE} s")

    signal.signal(signal.SIGALRM, too_late)
    signal.alarm(PATIENCE)
    began = time.monotonic()
    before = counters()
    good = False
    try:
        yield
        signal.alarm(PATIENCE)
        end_processes()
        check_counters(before, expected)
        good = True
    except (Exception, subprocess.SubprocessError) as error:
        for line in traceback.format_exception_only(error):
            print("#", line.rstrip().replace("\n", "\n# "))
        frames = traceback.extract_tb(error.__traceback__)
        print("# in", ", ".join(f"{frame.name}:{frame.lineno}" for frame in frames))
        show_logs()
    finally:
        signal.alarm(0)
        end_processes()
    result(good, name, time.monotonic() - began)


#
# Processes
#


class Process(subprocess.Popen):
    """A process with a log of what it says on stderr, ended with the case."""

    def __init__(self, command, **options):
        self.name = os.path.basename(command[0])
        self.log = f"/tmp/log.{len(processes)}.{self.name}"
        with open(self.log, "wb") as log:
            options.setdefault("stdin", subprocess.DEVNULL)
            options.setdefault("stdout", log)
            super().__init__(command, stderr=log, **options)
        processes.append(self)

    def wait_until_in(self, function):
        """Until it sleeps in a function of the kernel, since it is ready then."""
        def there():
            with open(f"/proc/{self.pid}/wchan", encoding="ascii") as file:
                return function in file.read()

        check(eventually(there, 30), f"{self.name} does not get to {function}")

    def end(self):
        """Waits for its own end, which must be a good one."""
        check(self.wait(PATIENCE) == 0, f"{self.name} has ended with {self.returncode}")


def run(*command, **options):
    """A command that must succeed; its output."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, **options)
    check(done.returncode == 0, f"{' '.join(command)}: {done.returncode}, {done.stdout}{done.stderr}")
    return done.stdout


def end_processes():
    """Of the case that is over."""
    for process in processes:
        if process.poll() is None:
            process.terminate()
    for process in processes:
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe:
                with contextlib.suppress(OSError):
                    pipe.close()
    processes.clear()


def show_logs():
    """The last words of all processes of the case, and where those hang that still run."""
    for process in processes:
        with open(process.log, errors="replace") as file:
            for line in file.readlines()[-8:]:
                print(f"# {process.name}: {line.rstrip()[:160]}")
        if process.poll() is None:
            with contextlib.suppress(OSError), open(f"/proc/{process.pid}/stack", encoding="ascii") as file:
                print(f"# {process.name} is in {' '.join(line.split()[1].split('+')[0] for line in file)}")
    for line in subprocess.run(("ss", "-tn"), capture_output=True, text=True, check=False).stdout.splitlines():
        print("#", " ".join(line.split()))


def wait_for_port(port):
    """Until somebody listens there."""
    def listening():
        return any(line.split()[1].endswith(f":{port:04X}") and line.split()[3] == "0A"
                   for file in ("/proc/net/tcp", "/proc/net/tcp6")
                   for line in open(file, encoding="ascii").readlines()[1:])

    check(eventually(listening, 30), f"nobody listens on port {port}")


#
# Data
#


def data(size, seed=1):
    """The same random bytes each time."""
    return random.Random(seed).randbytes(size)


def digest(content):
    """SHA-256, in hexadecimal, of bytes."""
    return hashlib.sha256(content).hexdigest()


def file_digest(path):
    """SHA-256, in hexadecimal, of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Feeder(threading.Thread):
    """Writes bytes to a pipe from behind, which stays open."""

    def __init__(self, pipe, content):
        super().__init__(daemon=True)
        self.pipe = pipe
        self.content = content
        self.start()

    def run(self):
        with contextlib.suppress(OSError):
            self.pipe.write(self.content)
            self.pipe.flush()


class Reader(threading.Thread):
    """Reads so many bytes from a pipe from behind; what came is in "content"."""

    def __init__(self, pipe, size):
        super().__init__(daemon=True)
        self.pipe = pipe
        self.size = size
        self.content = bytearray()
        self.start()

    def run(self):
        while len(self.content) < self.size:
            part = os.read(self.pipe.fileno(), 1 << 16)
            if not part:
                return
            self.content += part

    def check(self, expected):
        """Waits until all is there, which must be what is expected."""
        self.join(PATIENCE)
        check(digest(self.content) == digest(expected),
              f"{len(self.content)} bytes came, of {len(expected)}, or others")


#
# Certificates: an authority, and one for localhost that serves as client, too
#


def certificates():
    """The folder with ca.pem, cert.pem and key.pem."""
    if os.path.exists(CERTIFICATES):
        return CERTIFICATES
    os.mkdir(CERTIFICATES)
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2")
    run("openssl", "req", "-x509", *key, "-subj", "/CN=authority",
        "-addext", "keyUsage=critical,keyCertSign", "-keyout", "ca-key.pem", "-out", "ca.pem",
        cwd=CERTIFICATES)
    run("openssl", "req", "-x509", *key, "-subj", "/CN=localhost", "-CA", "ca.pem", "-CAkey", "ca-key.pem",
        "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
        "-addext", "basicConstraints=critical,CA:FALSE",
        "-addext", "keyUsage=critical,digitalSignature",
        "-addext", "extendedKeyUsage=serverAuth,clientAuth",
        "-keyout", "key.pem", "-out", "cert.pem", cwd=CERTIFICATES)
    return CERTIFICATES
