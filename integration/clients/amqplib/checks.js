// One line a check on standard output: 'ok NAME' or 'FAIL NAME why'.
'use strict';
const amqp = require('amqplib');
const [host, port] = process.argv.slice(2);

const url = (vhost = 'orders', user = 'app', password = 'secret', heartbeat = 30, at = port) =>
  `amqp://${user}:${password}@${host}:${at}/${encodeURIComponent(vhost)}?heartbeat=${heartbeat}`;

/** A connection whose errors are told by the calls that meet them. */
async function connect(...where) {
  const connection = await amqp.connect(url(...where));
  connection.on('error', () => {});
  return connection;
}

/** A channel whose errors are told by the calls that meet them. */
async function channelOf(connection, kind = 'createChannel') {
  const channel = await connection[kind]();
  channel.on('error', () => {});
  return channel;
}

function say(name, problem) {
  const why = String((problem && problem.stack) || problem).replace(/\s+/g, ' ').slice(0, 300);
  console.log(problem === undefined ? `ok ${name}` : `FAIL ${name} ${why}`);
}

async function check(name, run) {
  let timer;
  const late = new Promise((_, fail) => {
    timer = setTimeout(() => fail(new Error('no end after 60 s')), 60000);
  });
  try {
    await Promise.race([run(), late]);
    say(name);
  } catch (problem) {
    say(name, problem || 'failed');
  }
  clearTimeout(timer);
}

module.exports = { amqp, url, connect, channelOf, check, say };
