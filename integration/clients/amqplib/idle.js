// Connections that stay silent for an idle minute and must work afterwards.
// Usage: idle.js HOST PORT SECONDS
'use strict';
const { connect, channelOf, say } = require('./checks');
const seconds = Number(process.argv[4]);

async function silent(heartbeat) {
  const connection = await connect('orders', 'app', 'secret', heartbeat);
  const channel = await channelOf(connection);
  await new Promise((done) => { setTimeout(done, seconds * 1000); });
  await channel.assertQueue('', { exclusive: true });
  await connection.close();
}

(async () => {
  await Promise.all([0, 5, 60].map((heartbeat) => silent(heartbeat).then(
    () => say(`idle-heartbeat-${heartbeat}`),
    (problem) => say(`idle-heartbeat-${heartbeat}`, problem || 'failed'),
  )));
  process.exit(0);
})();
