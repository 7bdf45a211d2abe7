// Hears connection.blocked and connection.unblocked. Usage: blocked.js HOST PORT
// Publishes until it is blocked, says so, and waits until it is not.
'use strict';
const { connect, channelOf, check } = require('./checks');

(async () => {
  const connection = await connect();
  const channel = await channelOf(connection);
  const { queue } = await channel.assertQueue('', { exclusive: true });
  const blocked = new Promise((done) => { connection.on('blocked', done); });
  const unblocked = new Promise((done) => { connection.on('unblocked', done); });
  const publish = setInterval(() => channel.sendToQueue(queue, Buffer.from('x')), 200);
  await check('blocked', async () => {
    const reason = await blocked;
    if (!/memory/.test(reason)) throw new Error(`blocked for ${reason}`);
  });
  clearInterval(publish);
  await check('unblocked', async () => {
    await unblocked;
    await channel.checkQueue(queue);
  });
  await connection.close();
  process.exit(0);
})();
