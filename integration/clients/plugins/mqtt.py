"""MQTT 3.1.1 with paho. Usage: mqtt.py HOST PORT"""
import queue
import uuid
from paho.mqtt import client as mqtt
from checks import HOST, PORT, check, tls

WAIT = 15


class Client:
    def __init__(self, name=None, password='secret', clean=True, will=None):
        self.came, self.subscribed, self.answers = queue.Queue(), queue.Queue(), queue.Queue()
        self.paho = mqtt.Client(
            mqtt.CallbackAPIVersion.VERSION2, name or f'paho-{uuid.uuid4()}', clean)
        self.paho.username_pw_set('app', password)
        if tls():
            self.paho.tls_set_context(tls())
        if will:
            self.paho.will_set(will, b'last will', qos=1)
        self.paho.on_connect = lambda *facts: self.answers.put(facts[3])
        self.paho.on_subscribe = lambda *_: self.subscribed.put(None)
        self.paho.on_message = lambda _, __, message: self.came.put(message)

    def __enter__(self):
        self.paho.connect(HOST, PORT, keepalive=5)
        self.paho.loop_start()
        answer = self.answers.get(timeout=WAIT)
        assert answer.value == 0, answer
        return self

    def __exit__(self, *_):
        self.paho.disconnect()
        self.paho.loop_stop()

    def subscribe(self, topic, qos=1):
        self.paho.subscribe(topic, qos)
        self.subscribed.get(timeout=WAIT)

    def publish(self, topic, body, **more):
        sent = self.paho.publish(topic, body, qos=1, **more)
        sent.wait_for_publish(WAIT)
        assert sent.is_published(), topic

    def next(self):
        return self.came.get(timeout=WAIT).payload


def topic():
    return f'test/{uuid.uuid4()}'


def round_trip(count, body):
    with Client() as one, Client() as other:
        here = topic()
        one.subscribe(here)
        for number in range(count):
            other.publish(here, b'%d' % number + body)
        got = [one.next() for _ in range(count)]
        assert got == [b'%d' % number + body for number in range(count)], got[:3]


def retained():
    here = topic()
    with Client() as one:
        one.publish(here, b'kept', retain=True)
    with Client() as other:
        other.subscribe(here)
        assert other.next() == b'kept'
        other.publish(here, b'', retain=True)


def session_is_kept():
    here, name = topic(), f'kept-{uuid.uuid4()}'
    with Client(name, clean=False) as one:
        one.subscribe(here)
    with Client() as other:
        other.publish(here, b'while away')
    with Client(name, clean=False) as one:
        assert one.next() == b'while away'
    with Client(name):
        pass


def last_will():
    here = topic()
    with Client() as one:
        one.subscribe(here)
        with Client(will=here) as dying:
            dying.paho.socket().close()
        assert one.next() == b'last will'


def keepalive():
    with Client() as one:
        here = topic()
        one.subscribe(here)
        try:  # longer than one and a half of its keepalive
            one.came.get(timeout=9)
            raise AssertionError('something came')
        except queue.Empty:
            one.publish(here, b'alive')
        assert one.next() == b'alive'


def wrong_password():
    client = Client(password='wrong')
    client.paho.connect(HOST, PORT)
    client.paho.loop_start()
    answer = client.answers.get(timeout=WAIT)
    client.paho.disconnect()
    client.paho.loop_stop()
    assert answer.is_failure, answer


check('round-trip', lambda: round_trip(100, b''))
check('1-mb-messages', lambda: round_trip(3, b'x' * 1_000_000))
check('retained', retained)
check('session-is-kept', session_is_kept)
check('last-will', last_will)
check('keepalive', keepalive)
check('wrong-password', wrong_password)
