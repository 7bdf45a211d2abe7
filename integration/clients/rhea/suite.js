// AMQP 1.0 with rhea. Usage: suite.js HOST PORT
'use strict';
const rhea = require('rhea');
const [host, port] = process.argv.slice(2);
const queue = `/queue/rhea-${process.pid}-${Date.now()}`;

async function check(name, run) {
  let timer;
  const late = new Promise((_, fail) => {
    timer = setTimeout(() => fail(new Error('no end after 45 s')), 45000);
  });
  try {
    await Promise.race([run(), late]);
    console.log(`ok ${name}`);
  } catch (problem) {
    console.log(`FAIL ${name} ${String(problem).replace(/\s+/g, ' ').slice(0, 300)}`);
  }
  clearTimeout(timer);
}

function connect(container, vhost, more = {}) {
  return container.connect({
    host, port: Number(port), hostname: vhost && `vhost:${vhost}`, username: 'app',
    password: 'secret', reconnect: false, idle_time_out: 4000, ...more,
  });
}

/** Sends `count` messages after `delay` ms and takes them back in order. */
function bounce(vhost, count, delay = 0) {
  return new Promise((done, fail) => {
    const container = rhea.create_container();
    let [sent, got, accepted] = [0, 0, 0];
    const finish = (context) => {
      if (got === count && accepted === count) context.connection.close();
    };
    container.on('sendable', (context) => {
      while (sent < count && context.sender.sendable()) {
        context.sender.send({ body: `message ${sent++}`, durable: true });
      }
    });
    container.on('message', (context) => {
      if (context.message.body !== `message ${got++}`) fail(new Error('out of order'));
      finish(context);
    });
    container.on('accepted', (context) => { accepted++; finish(context); });
    container.on('connection_close', done);
    container.on('connection_error', (context) => fail(context.connection.error));
    container.on('disconnected', (context) => fail(new Error(`lost: ${context.error}`)));
    const connection = connect(container, vhost);
    connection.open_receiver({ source: queue, credit_window: 50 });
    setTimeout(() => connection.open_sender(queue), delay);
  });
}

function tenSessions() {
  return new Promise((done, fail) => {
    const container = rhea.create_container();
    let open = 0;
    container.on('disconnected', () => fail(new Error('lost')));
    container.on('connection_close', done);
    const connection = connect(container, 'orders');
    for (let n = 0; n < 10; n++) {
      const session = connection.create_session();
      session.begin();
      session.open_sender(`${queue}-${n}`).on('sender_open', () => {
        if (++open === 10) connection.close();
      });
    }
  });
}

/** The broker says no, in whatever way the library tells it. */
function refused(vhost, more) {
  return new Promise((done, fail) => {
    const container = rhea.create_container();
    container.on('sender_open', (context) => {
      context.connection.close();
      fail(new Error('accepted'));
    });
    const answers = ['connection_error', 'connection_close', 'disconnected', 'protocol_error'];
    for (const answer of [...answers, 'error']) container.on(answer, done);
    connect(container, vhost, more).open_sender(queue);
  });
}

(async () => {
  for (const vhost of ['/', 'orders', 'billing']) {
    await check(`300-messages-on-${vhost}`, () => bounce(vhost, 300));
  }
  await check('no-vhost-named', () => bounce(undefined, 10));
  await check('idle-15-seconds', () => bounce('orders', 5, 15000));
  await check('10-sessions', tenSessions);
  await check('wrong-password', () => refused('orders', { password: 'wrong' }));
  await check('unknown-vhost', () => refused('nosuch'));
  process.exit(0);
})();
