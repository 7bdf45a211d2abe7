"""RabbitMQ streams with rstream. Usage: stream.py HOST PORT"""
import asyncio
import uuid
from rstream import Consumer, ConsumerOffsetSpecification, OffsetType, Producer
from checks import HOST, PORT, check, tls

# It comes back to this address until it is led to the node that it wants.
WHERE = dict(host=HOST, port=PORT, vhost='/', username='app', ssl_context=tls(),
             load_balancer_mode=True)
WAIT = 30


def producer(password='secret'):
    return Producer(password=password, **WHERE)


async def round_trip(count, body):
    stream = f'stream-{uuid.uuid4()}'
    async with producer() as sender:
        await sender.create_stream(stream)
        try:
            for number in range(count):
                await asyncio.wait_for(
                    sender.send_wait(stream, b'%d' % number + body), WAIT)
            got = await asyncio.wait_for(consume(stream, count), WAIT)
            assert got == [b'%d' % number + body for number in range(count)], got[:3]
        finally:
            await sender.delete_stream(stream)


async def consume(stream, count):
    got, done = [], asyncio.Event()

    async def take(message, _context):
        got.append(bytes(message))
        if len(got) == count:
            done.set()

    receiver = Consumer(password='secret', **WHERE)
    await receiver.start()
    await receiver.subscribe(
        stream, take, offset_specification=ConsumerOffsetSpecification(OffsetType.FIRST, None))
    await done.wait()
    await receiver.close()
    return got


async def wrong_password():
    try:
        async with producer('wrong'):
            pass
    except Exception as problem:  # it has a name for it, and wraps it now and then
        assert 'uthentication' in repr(problem), problem
        return
    raise AssertionError('accepted')


check('round-trip', lambda: asyncio.run(round_trip(200, b'')))
check('500-kb-messages', lambda: asyncio.run(round_trip(3, b'x' * 500_000)))
check('wrong-password', lambda: asyncio.run(wrong_password()))
