// What applications do with RabbitMQ, with amqplib. Usage: suite.js HOST PORT
'use strict';
const assert = require('assert');
const crypto = require('crypto');
const { connect, channelOf, check } = require('./checks');

/** Consumes and acknowledges `count` messages. */
function collect(channel, queue, count, prefetch = 50) {
  return new Promise((done, fail) => {
    const got = [];
    channel.prefetch(prefetch);
    channel.consume(queue, (message) => {
      if (message === null) return fail(new Error('the consumer was cancelled'));
      got.push(message);
      channel.ack(message);
      if (got.length === count) done(got);
    }).catch(fail);
  });
}

async function confirms(vhost) {
  const connection = await connect(vhost);
  const channel = await channelOf(connection, 'createConfirmChannel');
  const { queue } = await channel.assertQueue('', { exclusive: true });
  for (let n = 0; n < 200; n++) channel.sendToQueue(queue, Buffer.from(`${n}`), { persistent: true });
  await channel.waitForConfirms();
  const got = await collect(channel, queue, 200);
  got.forEach((message, n) => assert.strictEqual(message.content.toString(), `${n}`));
  await connection.close();
}

async function emptyBody() {
  const connection = await connect();
  const channel = await channelOf(connection);
  const { queue } = await channel.assertQueue('', { exclusive: true });
  channel.sendToQueue(queue, Buffer.alloc(0));
  assert.strictEqual((await collect(channel, queue, 1))[0].content.length, 0);
  await connection.close();
}

async function prefetch() {
  const connection = await connect();
  const channel = await channelOf(connection);
  const { queue } = await channel.assertQueue('', { exclusive: true });
  for (let n = 0; n < 30; n++) channel.sendToQueue(queue, Buffer.from(`${n}`));
  await channel.prefetch(10);
  const got = [];
  let enough;
  const ten = new Promise((done) => { enough = done; });
  await channel.consume(queue, (message) => { if (got.push(message) === 10) enough(); });
  await ten;
  await channel.checkQueue(queue); // a round trip: an 11th would be here by now
  assert.strictEqual(got.length, 10);
  const twenty = new Promise((done) => { enough = done; });
  const wait = setInterval(() => { if (got.length >= 20) enough(); }, 10);
  channel.ack(got[9], true);
  await twenty;
  clearInterval(wait);
  await channel.checkQueue(queue);
  assert.strictEqual(got.length, 20);
  await connection.close();
}

async function requeue() {
  const connection = await connect();
  const channel = await channelOf(connection, 'createConfirmChannel');
  const { queue } = await channel.assertQueue('', { exclusive: true });
  channel.sendToQueue(queue, Buffer.from('again'));
  await channel.waitForConfirms();
  channel.nack(await channel.get(queue), false, true);
  const message = await channel.get(queue);
  assert.ok(message.fields.redelivered);
  channel.reject(message, false);
  assert.strictEqual(await channel.get(queue), false);
  await connection.close();
}

async function large() {
  const body = crypto.randomBytes(10 * 1024 * 1024);
  const connection = await connect();
  const channel = await channelOf(connection, 'createConfirmChannel');
  const { queue } = await channel.assertQueue('', { exclusive: true });
  channel.sendToQueue(queue, body);
  await channel.waitForConfirms();
  const [message] = await collect(channel, queue, 1);
  assert.ok(message.content.equals(body));
  await connection.close();
}

async function manyChannels() {
  const connection = await connect();
  const channels = [];
  for (let n = 0; n < 500; n++) channels.push(channelOf(connection));
  const all = await Promise.all(channels);
  const { queue } = await all[0].assertQueue('', { exclusive: true });
  all.forEach((channel, n) => channel.sendToQueue(queue, Buffer.from(`${n}`)));
  const got = await collect(all[499], queue, 500);
  assert.strictEqual(new Set(got.map((message) => message.content.toString())).size, 500);
  await Promise.all(all.slice(0, 250).map((channel) => channel.close()));
  await connection.close();
}

async function returned() {
  const connection = await connect();
  const channel = await channelOf(connection, 'createConfirmChannel');
  const back = new Promise((done) => { channel.on('return', done); });
  channel.publish('', `nobody-${crypto.randomUUID()}`, Buffer.from('x'), { mandatory: true });
  assert.strictEqual((await back).fields.replyCode, 312);
  await channel.waitForConfirms();
  await connection.close();
}

/** The promise fails with a text in which this is found. */
async function fails(promise, text) {
  await assert.rejects(promise, (error) => {
    assert.match(String(error), new RegExp(text));
    return true;
  });
}

async function exclusive() {
  const name = `exclusive-${crypto.randomUUID()}`;
  const [owner, other] = [await connect(), await connect()];
  await (await channelOf(owner)).assertQueue(name, { exclusive: true });
  await fails((await channelOf(other)).checkQueue(name), '405');
  await owner.close();
  await fails((await channelOf(other)).checkQueue(name), '404');
  await other.close();
}

async function autoDelete() {
  const name = `auto-delete-${crypto.randomUUID()}`;
  const connection = await connect();
  const channel = await channelOf(connection);
  await channel.assertQueue(name, { autoDelete: true });
  const { consumerTag } = await channel.consume(name, () => {});
  await channel.checkQueue(name);
  await channel.cancel(consumerTag);
  await fails(channel.checkQueue(name), '404');
  await connection.close();
}

async function channelError() {
  const connection = await connect();
  await fails((await channelOf(connection)).checkQueue(`nobody-${crypto.randomUUID()}`), '404');
  await (await channelOf(connection)).assertQueue('', { exclusive: true });
  await connection.close();
}

async function updateSecret() {
  const connection = await connect();
  await connection.updateSecret(Buffer.from('secret'), 'rotated');
  await (await channelOf(connection)).assertQueue('', { exclusive: true });
  await connection.close();
}

(async () => {
  for (const vhost of ['orders', 'billing', '/']) {
    await check(`confirms-and-acks-on-${vhost}`, () => confirms(vhost));
  }
  await check('empty-body', emptyBody);
  await check('prefetch', prefetch);
  await check('nack-and-requeue', requeue);
  await check('10-mib-message', large);
  await check('500-channels', manyChannels);
  await check('mandatory-return', returned);
  await check('exclusive-queue', exclusive);
  await check('auto-delete-queue', autoDelete);
  await check('channel-error', channelError);
  await check('update-secret', updateSecret);
  await check('wrong-password', () => fails(connect('orders', 'app', 'wrong'), '403'));
  await check('unknown-vhost', () => fails(connect('nosuch'), 'got <ConnectionClose'));
  await check('no-permission', () =>
    fails(connect('billing', 'limited', 'limited'), 'got <ConnectionClose'));
  process.exit(0);
})();
