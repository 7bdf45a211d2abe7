"""AMQP 1.0 with Qpid Proton. Usage: suite.py HOST PORT"""
import sys
import time
from proton import ConnectionException, Message, Timeout
from proton.reactor import AtMostOnce
from proton.utils import BlockingConnection, LinkDetached

HOST, PORT = sys.argv[1:3]
QUEUE = f'/queue/proton-{time.time_ns()}'


def check(name, function):
    try:
        function()
        print(f'ok {name}', flush=True)
    except Exception as problem:  # whatever goes wrong is the answer
        print(f'FAIL {name}', ' '.join(repr(problem).split())[:300], flush=True)


def connect(vhost='orders', user='app', password='secret', mechanisms='PLAIN', heartbeat=None):
    login = f'{user}:{password}@' if user else ''
    return BlockingConnection(
        f'amqp://{login}{HOST}:{PORT}', timeout=15, allowed_mechs=mechanisms,
        virtual_host=f'vhost:{vhost}' if vhost else None, heartbeat=heartbeat)


def round_trip(vhost, body, count=1):
    connection = connect(vhost)
    receiver = connection.create_receiver(QUEUE, credit=10)
    sender = connection.create_sender(QUEUE)
    for _ in range(count):
        sender.send(Message(body=body, durable=True))
        got = receiver.receive(timeout=15)
        receiver.accept()
        assert got.body == body, len(got.body)
    connection.close()


def presettled():
    connection = connect()
    sender = connection.create_sender(QUEUE, options=AtMostOnce())
    for number in range(50):
        sender.send(Message(body=number))
    receiver = connection.create_receiver(QUEUE, credit=50)
    got = []
    for _ in range(50):
        got.append(receiver.receive(timeout=15).body)
        receiver.accept()
    assert got == list(range(50)), got
    connection.close()


def idle():
    connection = connect(heartbeat=6)
    receiver = connection.create_receiver(QUEUE, credit=1)
    try:
        receiver.receive(timeout=20)
        raise AssertionError('a message of nobody')
    except Timeout:
        pass
    connection.create_sender(QUEUE).send(Message(body='late'))
    assert receiver.receive(timeout=15).body == 'late'
    receiver.accept()
    connection.close()


def anonymous():
    connection = connect(vhost=None, user=None, mechanisms='ANONYMOUS')
    connection.create_sender(QUEUE).send(Message(body='x'))
    connection.close()
    round_trip_left = connect(vhost=None)
    receiver = round_trip_left.create_receiver(QUEUE, credit=1)
    assert receiver.receive(timeout=15).body == 'x'
    receiver.accept()
    round_trip_left.close()


def refused(**login):
    def attempt():
        try:
            connection = connect(**login)
            connection.create_sender(QUEUE)
        except (ConnectionException, LinkDetached):
            return
        connection.close()
        raise AssertionError('accepted')
    return attempt


for name in ('/', 'orders', 'billing', None):
    check(f'round-trip-on-{name}', lambda: round_trip(name, 'hello'))
check('1-mb-message', lambda: round_trip('orders', 'x' * 1000000))
check('100-messages', lambda: round_trip('orders', {'a': 1, 'b': [1, 2]}, 100))
check('presettled', presettled)
check('anonymous', anonymous)
check('idle-20-seconds', idle)
check('wrong-password', refused(password='wrong'))
check('unknown-vhost', refused(vhost='nosuch'))
check('no-permission', refused(vhost='billing', user='limited', password='limited'))
