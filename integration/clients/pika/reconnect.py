"""Loses its connection and comes back. Usage: reconnect.py HOST PORT [PORT...]
Says 'connected' once it works; tries the ports in turn."""
import sys
import time
import pika
from pika import exceptions
from checks import parameters, say


def open_any():
    ports = sys.argv[2:]
    tries = [parameters(client_properties={'connection_name': 'pika-reconnect'}) for _ in ports]
    for one, port in zip(tries, ports):
        one.port = int(port)
    return pika.BlockingConnection(tries)


def round_trip(connection):
    channel = connection.channel()
    channel.confirm_delivery()
    queue = channel.queue_declare('', exclusive=True).method.queue
    channel.basic_publish('', queue, b'hello', mandatory=True)
    assert channel.basic_get(queue, auto_ack=True)[2] == b'hello'
    channel.close()


end = time.time() + 90
first = open_any()
round_trip(first)
print('connected', flush=True)
try:
    while time.time() < end:
        first.process_data_events(time_limit=1)
    say('loss-is-noticed', 'still connected')
except exceptions.AMQPConnectionError:
    say('loss-is-noticed')
problem = 'no time left'
while time.time() < end:
    try:
        again = open_any()
        round_trip(again)
        again.close()
        problem = None
        break
    except exceptions.AMQPError as error:
        problem = error
        time.sleep(0.2)
say('reconnect', problem)
