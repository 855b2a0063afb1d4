# Ordinary work of a Python program: children, threads, files, sockets, signals, and its library.
import asyncio, concurrent.futures, ctypes, hashlib, json, mmap, os, re, selectors, signal, socket, sqlite3, ssl
import subprocess, tempfile, threading, time, zlib
with tempfile.TemporaryDirectory() as directory:
    path = os.path.join(directory, "f")
    with open(path, "w") as file:
        print("b", "a", sep="\n", file=file)
    assert subprocess.run(["sort", path], capture_output=True, check=True).stdout == b"a\nb\n"
    with open(path, "r+b") as file, mmap.mmap(file.fileno(), 0) as memory:
        assert memory[:1] == b"b"
    base = sqlite3.connect(os.path.join(directory, "base"))
    base.execute("create table t (x)")
    base.execute("insert into t values (7)")
    base.commit()
    assert base.execute("select x from t").fetchone() == (7,)
    base.close()
assert re.fullmatch(r"(\w+)=(?P<value>\w+)", "key=value")["value"] == "value"
assert sorted([3, 1, 2], reverse=True) == [3, 2, 1]
ours, theirs = socket.socketpair()
child = os.fork()
if not child:
    theirs.send(b"hello")
    os._exit(3)
with selectors.DefaultSelector() as selector:
    selector.register(ours, selectors.EVENT_READ)
    assert selector.select(10)
assert ours.recv(5) == b"hello"
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3
said = []
thread = threading.Thread(target=said.append, args=(42,))
thread.start()
thread.join()
assert said == [42]
with concurrent.futures.ThreadPoolExecutor(4) as pool:
    assert list(pool.map(abs, [-1, -2])) == [1, 2]


async def talk():
    process = await asyncio.create_subprocess_exec("echo", "hi", stdout=subprocess.PIPE)
    return (await process.communicate())[0]


assert asyncio.run(talk()) == b"hi\n"
signal.signal(signal.SIGALRM, lambda number, frame: said.append(number))
signal.setitimer(signal.ITIMER_REAL, 0.01)
while said[-1] != signal.SIGALRM:
    time.sleep(0.01)
assert hashlib.sha256(b"x").hexdigest().startswith("2d711642")
assert zlib.decompress(zlib.compress(b"x")) == b"x" and json.loads("[1]") == [1]
assert ctypes.CDLL(None).abs(-7) == 7
ssl.create_default_context()
print("works")
