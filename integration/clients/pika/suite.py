"""What applications do with RabbitMQ, with pika's blocking connection. Usage: suite.py HOST PORT"""
import time
import uuid
import pika
from pika import exceptions
from checks import check, connect


def collect(channel, queue, count, prefetch=50, seconds=30):
    """Consumes and acknowledges `count` messages, or as many as come."""
    got = []
    channel.basic_qos(prefetch_count=prefetch)
    for method, _, body in channel.consume(queue, inactivity_timeout=seconds):
        if method is None:
            break
        got.append(body)
        channel.basic_ack(method.delivery_tag)
        if len(got) == count:
            break
    channel.cancel()
    return got


def confirms(vhost):
    with connect(vhost) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        queue = channel.queue_declare('', exclusive=True).method.queue
        for number in range(200):
            channel.basic_publish('', queue, b'%d' % number, mandatory=True)
        assert collect(channel, queue, 200) == [b'%d' % n for n in range(200)]


def empty_body():
    with connect() as connection:
        channel = connection.channel()
        queue = channel.queue_declare('', exclusive=True).method.queue
        channel.basic_publish('', queue, b'')
        assert collect(channel, queue, 1) == [b'']


def prefetch():
    with connect() as connection:
        channel = connection.channel()
        queue = channel.queue_declare('', exclusive=True).method.queue
        for number in range(30):
            channel.basic_publish('', queue, b'%d' % number)
        channel.basic_qos(prefetch_count=10)
        got = []
        channel.basic_consume(queue, lambda _, method, __, ___: got.append(method.delivery_tag))
        end = time.time() + 20
        while len(got) < 10 and time.time() < end:
            connection.process_data_events(time_limit=1)
        channel.queue_declare(queue, passive=True)  # a round trip: an 11th would be here by now
        connection.process_data_events(time_limit=0)
        assert len(got) == 10, got
        channel.basic_ack(got[-1], multiple=True)
        while len(got) < 20 and time.time() < end:
            connection.process_data_events(time_limit=1)
        assert len(got) == 20, got


def requeue():
    with connect() as connection:
        channel = connection.channel()
        queue = channel.queue_declare('', exclusive=True).method.queue
        channel.confirm_delivery()
        channel.basic_publish('', queue, b'again')
        method, _, _ = channel.basic_get(queue)
        channel.basic_nack(method.delivery_tag, requeue=True)
        method, _, body = channel.basic_get(queue)
        assert method.redelivered and body == b'again', method
        channel.basic_reject(method.delivery_tag, requeue=False)
        assert channel.basic_get(queue)[0] is None


def transactions():
    with connect() as connection:
        channel, other = connection.channel(), connection.channel()
        queue = channel.queue_declare('', exclusive=True).method.queue
        channel.tx_select()
        channel.basic_publish('', queue, b'rolled back')
        channel.tx_rollback()
        assert other.basic_get(queue)[0] is None
        channel.basic_publish('', queue, b'committed')
        channel.tx_commit()
        method, _, body = other.basic_get(queue)
        assert body == b'committed', body
        other.basic_ack(method.delivery_tag)


def large():
    body = uuid.uuid4().bytes * (10 * 1024 * 1024 // 16)
    with connect() as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        queue = channel.queue_declare('', exclusive=True).method.queue
        channel.basic_publish('', queue, body)
        assert collect(channel, queue, 1) == [body]


def many_channels():
    with connect() as connection:
        channels = [connection.channel() for _ in range(500)]
        queue = channels[0].queue_declare('', exclusive=True).method.queue
        for channel in channels:
            channel.basic_publish('', queue, b'%d' % channel.channel_number)
        assert len(set(collect(channels[-1], queue, 500))) == 500
        for channel in channels[::2]:
            channel.close()


def returned():
    with connect() as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        try:
            channel.basic_publish('', f'nobody-{uuid.uuid4()}', b'x', mandatory=True)
        except exceptions.UnroutableError as error:
            assert error.messages[0].method.reply_code == 312
            return
        raise AssertionError('not returned')


def properties():
    sent = pika.BasicProperties(
        content_type='text/plain', headers={'a': 1, 'b': {'c': [1, 'two', None]}}, priority=3,
        delivery_mode=2, correlation_id='c', reply_to='r', expiration='60000', message_id='m',
        timestamp=1700000000, type='t', user_id='app', app_id='suite')
    with connect() as connection:
        channel = connection.channel()
        queue = channel.queue_declare('', exclusive=True).method.queue
        channel.queue_bind(queue, 'amq.topic', 'eu.#')
        channel.confirm_delivery()
        channel.basic_publish('amq.topic', 'eu.de.berlin', b'x', sent)
        _, got, _ = channel.basic_get(queue, auto_ack=True)
        assert got == sent, got


def exclusive():
    name = f'exclusive-{uuid.uuid4()}'
    owner, other = connect(), connect()
    owner.channel().queue_declare(name, exclusive=True)
    try:
        other.channel().queue_declare(name, passive=True)
        raise AssertionError('not locked')
    except exceptions.ChannelClosedByBroker as error:
        assert error.reply_code == 405, error
    owner.close()
    try:
        other.channel().queue_declare(name, passive=True)
        raise AssertionError('still there')
    except exceptions.ChannelClosedByBroker as error:
        assert error.reply_code == 404, error
    other.close()


def auto_delete():
    name = f'auto-delete-{uuid.uuid4()}'
    with connect() as connection:
        channel = connection.channel()
        channel.queue_declare(name, auto_delete=True)
        tag = channel.basic_consume(name, lambda *_: None)
        channel.queue_declare(name, passive=True)
        channel.basic_cancel(tag)
        try:
            channel.queue_declare(name, passive=True)
            raise AssertionError('still there')
        except exceptions.ChannelClosedByBroker as error:
            assert error.reply_code == 404, error


def channel_error():
    with connect() as connection:
        channel = connection.channel()
        try:
            channel.queue_declare(f'nobody-{uuid.uuid4()}', passive=True)
            raise AssertionError('it is there')
        except exceptions.ChannelClosedByBroker as error:
            assert error.reply_code == 404, error
        connection.channel().queue_declare('', exclusive=True)


def update_secret():
    with connect() as connection:
        connection.update_secret('secret', 'rotated')
        connection.channel().queue_declare('', exclusive=True)


def refused(expected, text, *where):
    def attempt():
        try:
            connect(*where).close()
        except expected as error:
            assert text in repr(error), error
            return
        raise AssertionError('accepted')
    return attempt


for name in ('orders', 'billing', '/'):
    check(f'confirms-and-acks-on-{name}', lambda: confirms(name))
check('empty-body', empty_body)
check('prefetch', prefetch)
check('nack-and-requeue', requeue)
check('transactions', transactions)
check('10-mib-message', large)
check('500-channels', many_channels)
check('mandatory-return', returned)
check('all-properties', properties)
check('exclusive-queue', exclusive)
check('auto-delete-queue', auto_delete)
check('channel-error', channel_error)
check('update-secret', update_secret)
check('wrong-password', refused(
    exceptions.ProbableAuthenticationError, 'ACCESS_REFUSED', 'orders', 'app', 'wrong'))
check('unknown-vhost', refused(exceptions.ProbableAccessDeniedError, '530', 'nosuch'))
check('no-permission', refused(
    exceptions.ProbableAccessDeniedError, '530', 'billing', 'limited', 'limited'))
