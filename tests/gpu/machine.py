# SPDX-License-Identifier: BSD-3-Clause
"""What a machine with a GPU has, and what has to be built or brought for tests/gpu/run.py.

Nothing here fails because something is absent: it says what and why. Every program that is run has
a time limit.
"""

import ctypes
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPO = HERE.parents[1]
BUILD = (REPO / os.environ.get("C4_BUILD", "build")).resolve()
BUILT = ["bin/c4run", "bin/c4agent", "bin/c4collector", "bin/c4ctl", "lib/libnccl-profiler-c4.so",
         "lib/libc4nccl.so", "lib/libc4mpi.so", "nccl/nccl_host",
         "nccl/libnccl-profiler-record.so", "nccl/libnccl-profiler-standin.so",
         "nccl/libnccl.so.2", "nccl/libcudart.so.13"]
# Libraries every machine has, or must have its own of.
SYSTEM = re.compile(r"(linux-vdso|ld-linux-x86-64|libc|libm|libdl|libpthread|librt|libresolv)\.so")


def say(text):
    print(text, flush=True)


def output(*line, limit=60):
    """What a program says; "" if it fails, is absent or takes too long."""
    try:
        done = subprocess.run(line, capture_output=True, text=True, timeout=limit, check=False)
        return done.stdout.strip() if done.returncode == 0 else ""
    except (OSError, subprocess.TimeoutExpired):
        return ""


# ---- what is there ------------------------------------------------------------------------------

def gpus():
    """Number of CUDA devices, and why there are none."""
    try:
        cuda = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return 0, "no CUDA driver (libcuda.so.1)"
    count = ctypes.c_int(0)
    status = cuda.cuInit(0)
    if status:
        return 0, f"the CUDA driver finds no device (cuInit: {status})"
    if cuda.cuDeviceGetCount(ctypes.byref(count)) or not count.value:
        return 0, "no CUDA device"
    return count.value, ""


def wheels():
    """Directories with the CUDA libraries a PyTorch wheel has brought."""
    return [str(p) for place in sys.path for p in Path(place or ".").glob("nvidia/*/lib")]


def first_with(name, places):
    return next((p for p in places if p and list(Path(p).glob(name))), None)


def cuda_paths():
    """(where what nccl_job needs is, what is missing); headers may be missing if a built one is
    there."""
    home = Path(os.environ.get("CUDA_HOME", "/usr/local/cuda"))
    brought = wheels()
    libs = [str(home / "lib64"), "/usr/lib/x86_64-linux-gnu", *brought]
    include = [str(home / "include"), "/usr/include", *[str(Path(p).parent / "include")
                                                        for p in brought]]
    need = {"nccl.h": first_with("nccl.h", include),
            "cuda_runtime_api.h": first_with("cuda_runtime_api.h", include),
            "libnccl.so.2": first_with("libnccl.so.2", libs),
            "libcudart.so": first_with("libcudart.so.*", libs)}
    missing = [name for name, place in need.items() if place is None and
               not (name.endswith(".h") and (BUILD / "gpu" / "nccl_job").exists())]
    return need, f"missing: {', '.join(missing)}" if missing else ""


def torch_version():
    """PyTorch's version where it has CUDA, else ""."""
    return output(sys.executable, "-c", "import torch; assert torch.cuda.is_available(); "
                  "print(torch.__version__)", limit=120)


def inspector():
    """NCCL's own profiler plugin, if somebody has built it."""
    named = os.environ.get("C4_INSPECTOR")
    places = [named] if named else [
        str(BUILD / "gpu" / "libnccl-profiler-inspector.so"),
        "/usr/local/lib/libnccl-profiler-inspector.so",
        "/usr/lib/x86_64-linux-gnu/libnccl-profiler-inspector.so"]
    return next((p for p in places if Path(p).exists()), None)


def nccl_version(paths):
    code = ctypes.c_int(0)
    try:
        ctypes.CDLL(str(Path(paths["libnccl.so.2"]) / "libnccl.so.2")).ncclGetVersion(
            ctypes.byref(code))
    except (OSError, TypeError, AttributeError):
        return "unknown"
    v = code.value
    return f"{v // 10000}.{v // 100 % 100}.{v % 100}"


def versions(paths):
    said = output("nvidia-smi", "--query-gpu=name,driver_version,memory.total",
                  "--format=csv,noheader").splitlines()
    commit = BUILD / "gpu" / "commit"
    return {
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "GPU, driver": said[0] if said else "unknown",
        "NCCL": nccl_version(paths),
        "kernel": platform.release(),
        "CPU cores": str(len(os.sched_getaffinity(0))),
        "c4": (commit.read_text().strip() if commit.exists() else
               output("git", "-C", str(REPO), "rev-parse", "--short", "HEAD")) or "unknown",
    }


# ---- building -----------------------------------------------------------------------------------

def compiler():
    return shutil.which(os.environ.get("CC", "gcc")) or shutil.which("cc")


def make(limit, env=None):
    subprocess.run(["make", "-C", str(REPO), f"-j{os.cpu_count()}", f"B={BUILD}",
                    *[str(BUILD / p) for p in BUILT]], check=True, timeout=limit, env=env)


def build_c4():
    if not all((BUILD / p).exists() for p in BUILT):
        say("building c4 …")
        make(400)


def built_before(name, work):
    """A program that --pack has brought, where it cannot be built."""
    shutil.copy(BUILD / "gpu" / name, work / name)


def build_tool(name, line, work):
    """Compiles a part of tests/gpu into work; falls back to what --pack has brought."""
    cc = compiler()
    try:
        if not cc:
            raise OSError("no C compiler")
        subprocess.run([cc, "-D_GNU_SOURCE", "-std=gnu11", "-O2", "-o", str(work / name), *line],
                       check=True, timeout=120)
    except (OSError, subprocess.SubprocessError) as error:
        if not (BUILD / "gpu" / name).exists():
            raise
        say(f"{name}: {error}; taking the one that was brought")
        built_before(name, work)


def job_line(paths):
    cudart = sorted(Path(paths["libcudart.so"]).glob("libcudart.so.*"))[0].name
    line = [str(HERE / "nccl_job.c"), f"-I{paths['nccl.h']}", f"-I{paths['cuda_runtime_api.h']}"]
    for place in sorted({paths["libnccl.so.2"], paths["libcudart.so"]}):
        line += [f"-L{place}", f"-Wl,-rpath,{place}"]
    return [*line, "-l:libnccl.so.2", f"-l:{cudart}"]


def standins():
    """Where nccl_job's needs are, played by the stand-ins of tests/nccl/fake; and what is missing."""
    paths, _ = cuda_paths()
    paths["libnccl.so.2"] = paths["libcudart.so"] = str(BUILD / "nccl")
    missing = [name for name, place in paths.items() if not (place and first_with(name + "*",
                                                                                 [place]))]
    return paths, f"missing: {', '.join(missing)}" if missing else ""


def build(paths, work):
    """c4, the job and the ill network. Raises if one cannot be had. paths None: no job."""
    build_c4()
    build_tool("slow_socket.so", ["-shared", "-fPIC", str(HERE / "slow_socket.c"), "-ldl"], work)
    if paths and paths["nccl.h"]:
        build_tool("nccl_job", job_line(paths), work)
    elif paths:
        built_before("nccl_job", work)


def needed_libraries(program):
    return {Path(path) for name, path in
            re.findall(r"(\S+) => (/\S+)", output("ldd", str(program))) if not SYSTEM.match(name)}


def pack(paths):
    """All that a bare machine lacks, below BUILD: programs that find the libraries they came with.

    There: C4_BUILD=that directory tests/gpu/run.py. Its libc must not be older than ours."""
    env = {**os.environ, "LDFLAGS": "-Wl,--disable-new-dtags -Wl,-rpath,'$$ORIGIN/../deps'"}
    make(1800, env)
    shutil.rmtree(BUILD / "deps", ignore_errors=True)  # or programs would find these again
    for place in ("gpu", "deps"):
        (BUILD / place).mkdir(exist_ok=True)
    # all of them first: a copied library would be found by the next program
    for library in set().union(*(needed_libraries(BUILD / p) for p in BUILT if p[:4] == "bin/")):
        shutil.copy(library, BUILD / "deps" / library.name)
    build(paths, BUILD / "gpu")
    (BUILD / "gpu" / "commit").write_text(
        output("git", "-C", str(REPO), "describe", "--always", "--dirty") + "\n")
    for place in ("ar", "obj", "unit", "bench", "fuzz", "gen"):
        shutil.rmtree(BUILD / place, ignore_errors=True)
    size = sum(p.stat().st_size for p in BUILD.rglob("*") if p.is_file())
    say(f"{BUILD}: {size >> 20} MiB to carry; there: C4_BUILD=… tests/gpu/run.py")


# ---- MPS ----------------------------------------------------------------------------------------

class Mps:
    """The CUDA multi-process service in private directories, if it can be had.

    A client that is killed may take the service with it: renew() gives the next job a fresh one."""

    CONTROL = "nvidia-cuda-mps-control"

    def __init__(self, work, wanted=True):
        self.work, self.env, self.why, self.count = work, {}, "", 0
        if not wanted:
            self.why = "not used"
        elif not shutil.which(self.CONTROL):
            self.why = f"{self.CONTROL} is not installed"
        else:
            self.start()

    def start(self):
        self.count += 1
        env = {"CUDA_MPS_PIPE_DIRECTORY": str(self.work / f"mps-{self.count}"),
               "CUDA_MPS_LOG_DIRECTORY": str(self.work / f"mps-log-{self.count}")}
        for place in env.values():
            Path(place).mkdir()
        try:
            done = subprocess.run([self.CONTROL, "-d"], env={**os.environ, **env}, text=True,
                                  capture_output=True, timeout=15, check=False)
            failed = (done.stderr or done.stdout).strip()[:120] if done.returncode else ""
        except (OSError, subprocess.TimeoutExpired) as error:
            failed = str(error)
        if failed:
            self.why = f"did not start: {failed}"
        else:
            self.env = env

    def renew(self):
        if self.env:
            self.stop()
            self.start()

    def give_up(self, why):
        self.stop()
        self.why = why

    def stop(self):
        env, self.env = self.env, {}
        if not env:
            return
        try:
            subprocess.run([self.CONTROL], input="quit\n", text=True, timeout=10,
                           env={**os.environ, **env}, capture_output=True, check=False)
        except (OSError, subprocess.TimeoutExpired):
            self.kill(Path(env["CUDA_MPS_PIPE_DIRECTORY"]))

    def kill(self, place):
        """Ends our own control daemon, by the number it has left."""
        try:
            os.kill(int((place / f"{self.CONTROL}.pid").read_text()), signal.SIGKILL)
        except (OSError, ValueError):
            pass
