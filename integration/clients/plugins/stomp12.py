"""STOMP 1.2 with stomp.py. Usage: stomp12.py HOST PORT"""
import os
import queue
import time
import uuid
import stomp
from checks import HOST, PORT, check

WAIT = 15


class Client(stomp.ConnectionListener):
    def __init__(self, password='secret', heartbeats=(0, 0)):
        self.came, self.receipts, self.errors = queue.Queue(), queue.Queue(), []
        self.stomp = stomp.Connection12(
            [(HOST, PORT)], vhost='/', heartbeats=heartbeats, reconnect_attempts_max=1)
        if 'TLS_CA' in os.environ:  # it looks for the address in the server's certificate
            self.stomp.set_ssl(
                [(HOST, PORT)], ca_certs=os.environ['TLS_CA'],
                cert_file=os.environ.get('TLS_CERT'), key_file=os.environ.get('TLS_KEY'))
        self.stomp.set_listener('', self)
        self.password = password

    def __enter__(self):
        self.stomp.connect('app', self.password, wait=True)
        return self

    def __exit__(self, *_):
        self.stomp.disconnect()

    def on_message(self, frame):
        self.came.put(frame)

    def on_receipt(self, frame):
        self.receipts.put(frame.headers['receipt-id'])

    def on_error(self, frame):
        self.errors.append(frame)

    def next(self):
        return self.came.get(timeout=WAIT)

    def send(self, where, body, **headers):
        receipt = str(uuid.uuid4())
        self.stomp.send(where, body, receipt=receipt, **headers)
        return receipt

    def confirmed(self, receipt):
        assert self.receipts.get(timeout=WAIT) == receipt


def somewhere(kind='queue'):
    return f'/{kind}/stomp-{uuid.uuid4()}'


AUTO_DELETE = {'auto-delete': 'true', 'durable': 'false'}


def round_trip(count, body):
    with Client() as client:
        here = somewhere()
        client.stomp.subscribe(here, '1', 'client-individual', headers=AUTO_DELETE)
        for number in range(count):
            client.confirmed(client.send(here, f'{number}{body}', headers=AUTO_DELETE))
        for number in range(count):
            frame = client.next()
            assert frame.body == f'{number}{body}', frame.body[:50]
            client.stomp.ack(frame.headers['ack'])


def topics():
    with Client() as one, Client() as other:
        here = somewhere('topic')
        for client in one, other:
            client.stomp.subscribe(here, '1', headers={'receipt': 'subscribed'})
            client.confirmed('subscribed')
        one.send(here, 'to all')
        assert [client.next().body for client in (one, other)] == ['to all', 'to all']


def not_acknowledged_comes_again():
    here = somewhere()
    with Client() as client:
        client.confirmed(client.send(here, 'again'))
        client.stomp.subscribe(here, '1', 'client-individual')
        assert client.next().headers.get('redelivered') == 'false'
    with Client() as client:
        client.stomp.subscribe(here, '1', 'client-individual')
        frame = client.next()
        assert frame.body == 'again' and frame.headers['redelivered'] == 'true', frame
        client.stomp.ack(frame.headers['ack'])


def transactions():
    with Client() as client:
        here = somewhere()
        client.stomp.subscribe(here, '1', headers=AUTO_DELETE)
        for end, body in ((client.stomp.abort, 'never'), (client.stomp.commit, 'now')):
            name = client.stomp.begin()
            client.stomp.send(here, body, transaction=name, **AUTO_DELETE)
            end(name)
        assert client.next().body == 'now'


def heartbeats():
    with Client(heartbeats=(1000, 1000)) as client:
        time.sleep(5)
        client.confirmed(client.send('/topic/alive', 'x'))


def wrong_password():
    client = Client(password='wrong')
    try:
        with client:
            pass
    except stomp.exception.ConnectFailedException:
        assert client.errors and 'refused' in client.errors[0].body, client.errors
        return
    raise AssertionError('accepted')


check('round-trip', lambda: round_trip(100, ''))
check('1-mb-messages', lambda: round_trip(3, 'x' * 1_000_000))
check('topics', topics)
check('not-acknowledged-comes-again', not_acknowledged_comes_again)
check('transactions', transactions)
check('heartbeats', heartbeats)
check('wrong-password', wrong_password)
