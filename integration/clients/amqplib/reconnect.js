// Loses its connection and comes back. Usage: reconnect.js HOST PORT [PORT...]
// Says 'connected' once it works; tries the ports in turn.
'use strict';
const { amqp, url, tls, channelOf, say } = require('./checks');
const ports = process.argv.slice(3);
const end = Date.now() + 90000;

async function openAny() {
  const clientProperties = { connection_name: 'amqplib-reconnect' };
  let problem;
  for (const port of ports) {
    const at = url('orders', 'app', 'secret', 30, port);
    try {
      return await amqp.connect(at, { ...tls, clientProperties, timeout: 10000 });
    } catch (error) { problem = error; }
  }
  throw problem;
}

async function roundTrip(connection) {
  const channel = await channelOf(connection, 'createConfirmChannel');
  const { queue } = await channel.assertQueue('', { exclusive: true });
  channel.sendToQueue(queue, Buffer.from('hello'));
  await channel.waitForConfirms();
  const message = await channel.get(queue, { noAck: true });
  if (message.content.toString() !== 'hello') throw new Error('another message');
  await channel.close();
}

(async () => {
  const connection = await openAny();
  connection.on('error', () => {});
  const lost = new Promise((done) => { connection.on('close', done); });
  await roundTrip(connection);
  console.log('connected');
  await lost;
  say('loss-is-noticed');
  let problem = 'no time left';
  while (problem !== undefined && Date.now() < end) {
    try {
      const again = await openAny();
      again.on('error', () => {});
      await roundTrip(again);
      await again.close();
      problem = undefined;
    } catch (error) {
      problem = error;
      await new Promise((done) => { setTimeout(done, 200); });
    }
  }
  say('reconnect', problem);
  process.exit(0);
})();
