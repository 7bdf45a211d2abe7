"""One line a check on standard output: 'ok NAME' or 'FAIL NAME why'.
With TLS if TLS_CA is set: the other variables are TLS_NAME, TLS_VERSION, TLS_CERT and TLS_KEY."""
import os
import ssl
import sys
import pika

HOST, PORT = sys.argv[1], int(sys.argv[2])


def tls():
    if 'TLS_CA' not in os.environ:
        return None
    version = {'1.2': ssl.TLSVersion.TLSv1_2, '1.3': ssl.TLSVersion.TLSv1_3}
    context = ssl.create_default_context(cafile=os.environ['TLS_CA'])
    context.minimum_version = context.maximum_version = version[os.environ['TLS_VERSION']]
    if 'TLS_CERT' in os.environ:
        context.load_cert_chain(os.environ['TLS_CERT'], os.environ['TLS_KEY'])
    return pika.SSLOptions(context, os.environ['TLS_NAME'])


def parameters(vhost='orders', user='app', password='secret', **more):
    more.setdefault('heartbeat', 30)
    more.setdefault('blocked_connection_timeout', 30)
    more.setdefault('ssl_options', tls())
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
