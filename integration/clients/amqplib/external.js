// Logs in by its certificate, and stays. Usage: external.js HOST PORT VHOST
// Says 'connected' once it works.
'use strict';
const assert = require('assert');
const { amqp, tls } = require('./checks');
const [hostname, port, vhost] = process.argv.slice(2);

async function main() {
  const credentials = amqp.credentials.external();
  const connection = await amqp.connect(
    { protocol: 'amqps', hostname, port, vhost, heartbeat: 30 }, { ...tls, credentials });
  const channel = await connection.createConfirmChannel();
  const { queue } = await channel.assertQueue('', { exclusive: true });
  channel.sendToQueue(queue, Buffer.from('hello'));
  await channel.waitForConfirms();
  assert.strictEqual((await channel.get(queue, { noAck: true })).content.toString(), 'hello');
  console.log('connected');
  setTimeout(() => process.exit(), 90000);
}

main().catch((problem) => { console.error(problem); process.exit(1); });
