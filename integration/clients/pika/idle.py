"""Connections that stay silent for an idle minute and must work afterwards.
Usage: idle.py HOST PORT SECONDS"""
import sys
import threading
import time
from checks import check, connect

SECONDS = float(sys.argv[3])


def silent(heartbeat):
    connection = connect(heartbeat=heartbeat)
    channel = connection.channel()
    if heartbeat:
        connection.sleep(SECONDS)  # answers heartbeats, does nothing else
    else:
        time.sleep(SECONDS)
    channel.queue_declare('', exclusive=True)
    connection.close()


def consumer():
    connection = connect(heartbeat=0)
    channel = connection.channel()
    queue = channel.queue_declare('', exclusive=True).method.queue
    got = []
    channel.basic_consume(queue, lambda *message: got.append(message[3]), auto_ack=True)

    def late():
        time.sleep(SECONDS)
        with connect() as publisher:
            publisher.channel().basic_publish('', queue, b'late')

    publisher = threading.Thread(target=late)
    publisher.start()
    end = time.time() + SECONDS + 20
    while not got and time.time() < end:
        connection.process_data_events(time_limit=1)
    publisher.join()
    connection.close()
    assert got == [b'late'], got


threads = [threading.Thread(target=check, args=('idle-consumer', consumer))]
for beat in (0, 5, 10, 60, 130, 600):
    threads.append(threading.Thread(
        target=check, args=(f'idle-heartbeat-{beat}', lambda beat=beat: silent(beat))))
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
