"""Agents of several processes: every way a Python makes another, servers with workers, and ways to end."""

import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request

from casebook import Ask, base, case, main, show
from openai import OpenAI

CALL = (
    "import os, sys, json, urllib.request as u; "
    "body = json.dumps({'model': sys.argv[1], 'messages': [{'role': 'user', 'content': 'violet otter ' + sys.argv[1]}]}); "
    "request = u.Request(os.environ['OPENAI_BASE_URL'] + '/chat/completions', body.encode(), {'Content-Type': 'application/json'}); "
    "print(json.load(u.urlopen(request))['usage']['prompt_tokens'], flush=True)"
)
BLIND = {"default": "a child that reads no environment", "inject": "a child that reads no environment"}
CLEAN = {
    "default": "a child with an environment of its own",
    "inject": "a child with an environment of its own",
}
HERE = os.path.dirname(os.path.abspath(__file__))


def call(ask, place="", **more):
    """One call from the process at hand."""
    body = {"model": ask.model + ("--" + place if place else ""), "messages": ask.messages(who=place)}
    answer = OpenAI().chat.completions.create(**body, **more)
    show(answer.choices[0].message.content, answer.usage.prompt_tokens)


def run(command, **more):
    """A child to its end."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, **more)
    show(done.returncode, done.stdout.strip(), done.stderr.strip()[-200:])


@case()
def parent(ask):
    call(ask)


@case()
def child_python(ask):
    run([sys.executable, "-c", CALL, ask.model])


@case()
def child_of_bash(ask):
    run(["bash", "-c", 'echo from bash; "$0" -c "$1" "$2"; true', sys.executable, CALL, ask.model])


@case()
def child_by_system(ask):
    import shlex

    show(os.system(shlex.join([sys.executable, "-c", CALL, ask.model])))


@case(unseen=BLIND, told=True)
def child_without_site(ask):
    run([sys.executable, "-S", "-c", CALL, ask.model])


@case(unseen=BLIND, told=True)
def child_isolated(ask):
    run([sys.executable, "-I", "-c", CALL, ask.model])


@case(unseen=BLIND, told=True)
def child_ignoring_environment(ask):
    run([sys.executable, "-E", "-c", CALL, ask.model])


@case(unseen=CLEAN, told=True)
def child_clean_environment(ask):
    run([sys.executable, "-c", CALL, ask.model], env={"OPENAI_BASE_URL": base()})


@case()
def child_own_pythonpath(ask):
    run(
        [sys.executable, "-c", CALL, ask.model],
        env=dict(os.environ, PYTHONPATH=os.environ.get("PYTHONPATH", "") + ":" + HERE),
    )


@case(unseen=CLEAN, told=True)
def child_replaced_pythonpath(ask):
    run([sys.executable, "-c", CALL, ask.model], env=dict(os.environ, PYTHONPATH=HERE))


def worker(name, place, directives=""):
    """What a process of multiprocessing does."""
    call(Ask(name), place)


def by_method(ask, method):
    """A process made by a method."""
    process = multiprocessing.get_context(method).Process(target=worker, args=(ask.name, method))
    process.start()
    process.join()
    show(process.exitcode)


@case()
def multiprocessing_fork(ask):
    by_method(ask, "fork")


@case()
def multiprocessing_spawn(ask):
    by_method(ask, "spawn")


@case()
def multiprocessing_forkserver(ask):
    by_method(ask, "forkserver")


def in_pool(name, index):
    """A job of a pool; nothing is printed, since workers print in any order."""
    ask = Ask(name)
    answer = OpenAI().chat.completions.create(
        model=ask.model + "--pool", messages=ask.messages(who=str(index))
    )
    return answer.usage.prompt_tokens


@case()
def process_pool(ask):
    from concurrent.futures import ProcessPoolExecutor

    with ProcessPoolExecutor(2) as pool:
        show(list(pool.map(in_pool, [ask.name] * 5, range(5))))


@case()
def multiprocessing_pool(ask):
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        show(pool.starmap(in_pool, [(ask.name, index) for index in range(4)]))


@case()
def fork_and_exit(ask):
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        call(ask, "forked")
        os._exit(7)
    show(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))


@case()
def fork_of_fork(ask):
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        inner = os.fork()
        if inner == 0:
            call(ask, "grandchild")
            os._exit(0)
        os.waitpid(inner, 0)
        os._exit(0)
    os.waitpid(pid, 0)


@case()
def exec_of_python(ask):
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        call(ask, "before")
        os.execv(sys.executable, [sys.executable, "-c", CALL, ask.model])
    show(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))


@case()
def posix_spawn(ask):
    pid = os.posix_spawn(sys.executable, [sys.executable, "-c", CALL, ask.model], os.environ)
    show(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))


@case()
def child_killed_after_call(ask):
    code = CALL + "; import signal; os.kill(os.getpid(), 9)"
    run([sys.executable, "-c", code, ask.model])


@case(unread=True)
def child_terminated_in_stream(ask):
    code = (
        "import sys; from openai import OpenAI\n"
        "for chunk in OpenAI().chat.completions.create(model=sys.argv[1], stream=True, "
        "messages=[{'role': 'user', 'content': 'violet otter <<chunks 300>>'}]):\n    print('chunk', flush=True)"
    )
    child = subprocess.Popen([sys.executable, "-c", code, ask.model], stdout=subprocess.PIPE, text=True)
    for _ in range(5):
        child.stdout.readline()
    child.send_signal(signal.SIGTERM)
    child.stdout.read()
    show(child.wait())


@case(unread=True)
def thread_at_exit(ask):
    code = (
        "import sys, threading; from openai import OpenAI\n"
        "begun = threading.Event()\n"
        "def read():\n"
        "    for chunk in OpenAI().chat.completions.create(model=sys.argv[1], stream=True, "
        "messages=[{'role': 'user', 'content': 'violet otter <<chunks 300>>'}]): begun.set()\n"
        "threading.Thread(target=read, daemon=True).start(); begun.wait()"
    )
    run([sys.executable, "-c", code, ask.model])


def free_port():
    """A port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def web(ask, *command):
    """Serve, ask four times, end with SIGTERM."""
    port = free_port()
    full = [part.replace("PORT", str(port)) for part in command]
    server = subprocess.Popen(
        [sys.executable, "-m", *full],
        cwd=HERE,
        env=dict(os.environ, WEB_MODEL=ask.model),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(300):
            with socket.socket() as link:
                if link.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        for index in range(4):
            with urllib.request.urlopen("http://127.0.0.1:{}/{}".format(port, index), timeout=30) as answer:
                show(answer.read().decode())
    finally:
        server.terminate()
        show(server.wait(20))


@case()
def gunicorn_preloaded(ask):
    web(ask, "gunicorn", "--preload", "-w", "2", "-b", "127.0.0.1:PORT", "web_app:wsgi")


@case()
def gunicorn_gevent(ask):
    web(ask, "gunicorn", "-k", "gevent", "-w", "2", "-b", "127.0.0.1:PORT", "web_app:wsgi")


@case()
def uvicorn_workers(ask):
    web(ask, "uvicorn", "--workers", "2", "--host", "127.0.0.1", "--port", "PORT", "web_app:asgi")


@case()
def gevent_greenlets(ask):
    code = (
        "from gevent import monkey; monkey.patch_all()\n"
        "import sys, gevent; from openai import OpenAI; client = OpenAI()\n"
        "def one(i): return client.chat.completions.create(model=sys.argv[1], "
        "messages=[{'role': 'user', 'content': 'violet otter %d' % i}]).usage.prompt_tokens\n"
        "print([job.get() for job in [gevent.spawn(one, i) for i in range(5)]])"
    )
    run([sys.executable, "-c", code, ask.model])


@case()
def gevent_requests(ask):
    code = (
        "from gevent import monkey; monkey.patch_all()\n"
        "import os, sys, gevent, requests\n"
        "def one(i): return requests.post(os.environ['OPENAI_BASE_URL'] + '/chat/completions', json={'model': sys.argv[1], "
        "'messages': [{'role': 'user', 'content': 'violet otter %d' % i}]}).json()['usage']['prompt_tokens']\n"
        "print([job.get() for job in [gevent.spawn(one, i) for i in range(5)]])"
    )
    run([sys.executable, "-c", code, ask.model])


THREE_BLIND = "three of eleven: -S, -I, an environment of its own"


@case(alone=True, exit=137, unseen={"default": THREE_BLIND, "inject": THREE_BLIND}, told=True)
def eleven_calls_then_sigkill(ask):
    """The agent of the recorders' comparison: eleven calls, of which three are in processes that hooks cannot enter."""
    call(ask, "parent")
    run([sys.executable, "-c", CALL, ask.model + "--child"])
    run(["bash", "-c", '"$0" -c "$1" "$2"', sys.executable, CALL, ask.model + "--bash"])
    run([sys.executable, "-S", "-c", CALL, ask.model + "--no-site"])
    run([sys.executable, "-I", "-c", CALL, ask.model + "--isolated"])
    run([sys.executable, "-c", CALL, ask.model + "--clean"], env={"OPENAI_BASE_URL": base()})
    for method in ("fork", "spawn", "forkserver"):
        by_method(ask, method)
    fork_and_exit_here(ask)
    call(ask, "last")
    os.kill(os.getpid(), signal.SIGKILL)


def fork_and_exit_here(ask):
    """A fork that leaves by os._exit."""
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        call(ask, "forked")
        os._exit(0)
    os.waitpid(pid, 0)


@case(alone=True, exit=143, unread=True)
def terminated_in_stream(ask):
    client = OpenAI()
    for index, _ in enumerate(client.chat.completions.create(**ask.chat("<<chunks 300>>", stream=True))):
        if index == 5:
            os.kill(os.getpid(), signal.SIGTERM)


@case(alone=True, exit=137)
def killed_right_after_call(ask):
    call(ask)
    os.kill(os.getpid(), signal.SIGKILL)


@case(alone=True, exit=5)
def replaced_by_exec(ask):
    call(ask, "before")
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-c", CALL + "; sys.exit(5)", ask.model + "--after"])


if __name__ == "__main__":
    main()
