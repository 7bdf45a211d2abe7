"""Logs in by its certificate, and stays. Usage: external.py HOST PORT VHOST
Says 'connected' once it works."""
import sys
import time
import pika
from checks import parameters

login = parameters(sys.argv[3])
login.credentials = pika.credentials.ExternalCredentials()
connection = pika.BlockingConnection(login)
channel = connection.channel()
channel.confirm_delivery()
queue = channel.queue_declare('', exclusive=True).method.queue
channel.basic_publish('', queue, b'hello', mandatory=True)
assert channel.basic_get(queue, auto_ack=True)[2] == b'hello'
print('connected', flush=True)
end = time.time() + 90
while time.time() < end:
    connection.process_data_events(time_limit=1)
