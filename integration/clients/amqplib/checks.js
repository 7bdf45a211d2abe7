// One line a check on standard output: 'ok NAME' or 'FAIL NAME why'.
// With TLS if TLS_CA is set: the other variables are TLS_NAME, TLS_VERSION, TLS_CERT and TLS_KEY.
'use strict';
const fs = require('fs');
const amqp = require('amqplib');
const [host, port] = process.argv.slice(2);
const { TLS_CA, TLS_NAME, TLS_VERSION, TLS_CERT, TLS_KEY } = process.env;

const read = (file) => (file === undefined ? undefined : fs.readFileSync(file));
const version = `TLSv${TLS_VERSION}`;
const tls = TLS_CA === undefined ? {} : {
  ca: [read(TLS_CA)], servername: TLS_NAME, minVersion: version, maxVersion: version,
  cert: read(TLS_CERT), key: read(TLS_KEY),
};
const scheme = TLS_CA === undefined ? 'amqp' : 'amqps';

const url = (vhost = 'orders', user = 'app', password = 'secret', heartbeat = 30, at = port) =>
  `${scheme}://${user}:${password}@${host}:${at}/${encodeURIComponent(vhost)}?heartbeat=${heartbeat}`;

/** A connection whose errors are told by the calls that meet them. */
async function connect(...where) {
  const connection = await amqp.connect(url(...where), tls);
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

module.exports = { amqp, url, tls, connect, channelOf, check, say };
