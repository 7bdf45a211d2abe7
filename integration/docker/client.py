"""Publishes with confirms and consumes, comes back whenever it is cut off, and says every second how it goes.

AMQP_URL is where it connects, GATEWAYS the names of those who may answer there. In its lines "open" is what was confirmed
and has not been consumed: 0 again soon after every loss; "waited" is the longest time without a confirm in that second.
"""
import contextlib
import os
import signal
import socket
import sys
import threading
import time
import urllib.parse
import uuid

import pika
from pika.exceptions import AMQPError

URL = os.environ["AMQP_URL"]
GATEWAYS = os.environ.get("GATEWAYS", "").split()
QUEUE = "trial"
PAUSE = 0.02  # after each publish
REMEMBERED = 10_000  # messages that are known again when they come twice


class Tally:
    """What the publisher and the consumer, each a thread, have seen."""

    def __init__(self):
        self.lock = threading.Lock()
        self.run = uuid.uuid4().hex  # messages of an earlier run may be in the queue
        self.published = self.confirmed = self.consumed = self.connections = 0
        self.open, self.seen = set(), set()
        self.last_confirm, self.waited = None, 0.0

    def connected(self):
        with self.lock:
            self.connections += 1

    def publish(self):
        with self.lock:
            self.published += 1
            return self.published

    def confirm(self, number):
        with self.lock:
            self.confirmed += 1
            self.waited = max(self.waited, self.waiting())
            self.last_confirm = time.monotonic()
            if number not in self.seen:
                self.open.add(number)

    def consume(self, number):
        with self.lock:
            if number in self.seen:
                return
            self.consumed += 1
            self.open.discard(number)
            self.seen.add(number)
            if len(self.seen) > 2 * REMEMBERED:
                self.seen = {known for known in self.seen if known > number - REMEMBERED}

    def waiting(self):
        return 0.0 if self.last_confirm is None else time.monotonic() - self.last_confirm

    def line(self):
        with self.lock:
            waited, self.waited = max(self.waited, self.waiting()), 0.0
            return (f"published {self.published} confirmed {self.confirmed} consumed {self.consumed} "
                    f"open {len(self.open)} reconnects {max(self.connections - 2, 0)} waited {waited:.2f}s")


@contextlib.contextmanager
def channel(tally):
    """A channel of a connection of its own, with the queue declared."""
    parameters = pika.URLParameters(URL)
    # Whoever connects while the address moves gets no answer, and the kernel asks again only after a second. So it is
    # better to begin anew soon.
    parameters.socket_timeout = 0.25
    parameters.stack_timeout = 2
    # An idle connection whose gateway is gone without a word is noticed after this many seconds.
    parameters.heartbeat = 4
    parameters.blocked_connection_timeout = 10
    connection = pika.BlockingConnection(parameters)
    try:
        opened = connection.channel()
        # On all three nodes: what was confirmed outlives each of them.
        opened.queue_declare(QUEUE, durable=True, arguments={"x-queue-type": "quorum"})
        tally.connected()
        yield opened
    finally:
        with contextlib.suppress(AMQPError, OSError):
            connection.close()


def publisher(tally):
    with channel(tally) as opened:
        opened.confirm_delivery()
        persistent = pika.BasicProperties(delivery_mode=2)
        while True:
            number = tally.publish()
            # Returns when the broker has confirmed. If it raises, the message may have arrived or not: only what was
            # confirmed is promised.
            opened.basic_publish("", QUEUE, f"{tally.run} {number}".encode(), persistent, mandatory=True)
            tally.confirm(number)
            opened.connection.sleep(PAUSE)


def consumer(tally):
    with channel(tally) as opened:
        opened.basic_qos(prefetch_count=100)
        for method, _, body in opened.consume(QUEUE):
            run, number = body.decode().split()
            if run == tally.run:
                tally.consume(int(number))
            opened.basic_ack(method.delivery_tag)


def again_and_again(work, tally):
    told = None
    while True:
        try:
            work(tally)
        except (AMQPError, OSError) as error:
            text = f"{work.__name__}: {str(error) or repr(error)}"
            if text != told:
                say(text)
            told = text
        time.sleep(0.05)


class Gateways:
    """Tells by hardware addresses which gateway our packets to the shared address go to."""

    def __init__(self):
        self.shared = socket.gethostbyname(urllib.parse.urlsplit(URL).hostname)
        self.known = {}

    def active(self):
        table = neighbours()
        for name in GATEWAYS:
            with contextlib.suppress(OSError):
                address = socket.gethostbyname(name)
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
                    probe.sendto(b"", (address, 9))  # so that the kernel asks for its hardware address
                if address in table:
                    self.known[table[address]] = name
        return self.known.get(table.get(self.shared), "?")


def neighbours():
    with open("/proc/net/arp", encoding="ascii") as table:
        rows = [line.split() for line in table.readlines()[1:]]
    return {row[0]: row[3] for row in rows if row[3] != "00:00:00:00:00:00"}


def say(text):
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    tally, gateways = Tally(), Gateways()
    for work in publisher, consumer:
        threading.Thread(target=again_and_again, args=(work, tally), daemon=True).start()
    while True:
        time.sleep(1)
        say(f"{tally.line()} gateway {gateways.active()}")


if __name__ == "__main__":
    main()
