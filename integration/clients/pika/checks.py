"""One line a check on standard output: 'ok NAME' or 'FAIL NAME why'."""
import sys
import pika

HOST, PORT = sys.argv[1], int(sys.argv[2])


def parameters(vhost='orders', user='app', password='secret', **more):
    more.setdefault('heartbeat', 30)
    more.setdefault('blocked_connection_timeout', 30)
    login = pika.PlainCredentials(user, password)
    return pika.ConnectionParameters(HOST, PORT, vhost, login, **more)


def connect(*where, **more):
    return pika.BlockingConnection(parameters(*where, **more))


def say(name, problem=None):
    why = ' '.join(repr(problem).split())[:300]
    # One write: checks run in threads, and print writes its line end by itself.
    sys.stdout.write(f'ok {name}\n' if problem is None else f'FAIL {name} {why}\n')
    sys.stdout.flush()


def check(name, function):
    try:
        function()
        say(name)
    except Exception as problem:  # whatever goes wrong is the answer
        say(name, problem)
