"""Hears connection.blocked and connection.unblocked. Usage: blocked.py HOST PORT
Publishes until it is blocked, says so, and waits until it is not."""
import time
from checks import connect, say

heard = []
connection = connect()
connection.add_on_connection_blocked_callback(lambda _, frame: heard.append(frame.method.reason))
connection.add_on_connection_unblocked_callback(lambda *_: heard.append('unblocked'))
channel = connection.channel()
queue = channel.queue_declare('', exclusive=True).method.queue
end = time.time() + 60
while not heard and time.time() < end:
    channel.basic_publish('', queue, b'x')
    connection.process_data_events(time_limit=0.2)
say('blocked', None if heard and 'memory' in heard[0] else heard)
while len(heard) < 2 and time.time() < end:
    connection.process_data_events(time_limit=0.2)
channel.basic_publish('', queue, b'after')
channel.queue_declare(queue, passive=True)
say('unblocked', None if heard[1:] == ['unblocked'] else heard)
connection.close()
