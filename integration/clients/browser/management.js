// The management UI in Chromium, as a person uses it. Usage: management.js HOST PORT
// By HTTPS if TLS_CA is set.
// One line a check on standard output: 'ok NAME' or 'FAIL NAME why'. With SCREENSHOTS set, pictures of what it saw go there.
'use strict';
const { createHash } = require('crypto');
const { readFileSync } = require('fs');
const tls = require('tls');
const { chromium } = require('playwright-core');
const [host, port] = process.argv.slice(2);
const scheme = process.env.TLS_CA === undefined ? 'http' : 'https';

const base = `${scheme}://${host}:${port}/`;
const queue = `browser-${process.pid}-${Date.now()}`;
const problems = [];

let page;

async function check(name, run) {
  try {
    await run();
    await picture(name);
    console.log(`ok ${name}`);
  } catch (problem) {
    await picture(`failed-${name}`);
    console.log(`FAIL ${name} ${String(problem.stack || problem).replace(/\s+/g, ' ').slice(0, 600)}`);
  }
}

async function picture(name) {
  const directory = process.env.SCREENSHOTS;
  if (directory) await page.screenshot({ path: `${directory}/${scheme}-${port}-${name}.png` }).catch(console.error);
}

function assert(holds, why) {
  if (!holds) throw new Error(why);
}

// The browser knows authorities only from a database of its own. So the server's key is found out and checked here, and
// the browser is told to take that and no other.
function serverKey() {
  const { TLS_CA, TLS_NAME } = process.env;
  return new Promise((resolve, reject) => {
    const socket = tls.connect({ host, port, ca: readFileSync(TLS_CA), servername: TLS_NAME }, () => {
      const key = socket.getPeerX509Certificate().publicKey.export({ type: 'spki', format: 'der' });
      socket.end();
      resolve(createHash('sha256').update(key).digest('base64'));
    });
    socket.on('error', reject);
  });
}

(async () => {
  // A browser of root's has no sandbox.
  const args = ['--no-sandbox', '--no-proxy-server'];
  if (scheme === 'https') args.push(`--ignore-certificate-errors-spki-list=${await serverKey()}`);
  const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args });
  page = await (await browser.newContext()).newPage();
  page.setDefaultTimeout(30000);
  page.on('pageerror', (error) => problems.push(String(error)));
  page.on('requestfailed', (request) => {
    // A page that is left gives up what it was still asking for.
    const why = request.failure().errorText;
    if (why !== 'net::ERR_ABORTED') problems.push(`${request.url()}: ${why}`);
  });
  page.on('response', (response) => {
    if (response.status() >= 500) problems.push(`${response.url()}: ${response.status()}`);
  });

  await check('log-in', async () => {
    await page.goto(base);
    await login();
    await page.locator('a[href="#/queues"]').first().waitFor();
  });
  await check('nodes-are-listed', async () => {
    await page.goto(`${base}#/`);
    await page.locator('table.list a[href^="#/nodes/"]').first().waitFor();
  });
  await check('declare-a-queue', async () => {
    await page.goto(`${base}#/queues`);
    await page.getByRole('heading', { name: 'Add a new queue' }).click();
    const form = page.locator('form[action="#/queues"][method="put"]');
    await form.locator('input[name="name"]').fill(queue);
    await form.locator('input[type="submit"]').click();
    await row().waitFor();
  });
  await check('queues-are-listed-again', async () => {
    await page.goto(`${base}#/connections`);
    // A page that is left too soon says that it could not connect.
    await page.getByRole('heading', { name: 'All connections' }).waitFor();
    await page.goto(`${base}#/queues`);
    await row().waitFor();
  });
  await check('publish-and-get', async () => {
    await row().locator('a').first().click();
    await page.getByRole('heading', { name: 'Publish message' }).click();
    const form = page.locator('form[action="#/exchanges/publish"]');
    await form.locator('textarea[name="payload"]').fill('from a browser');
    await form.locator('input[type="submit"]').click();
    await page.getByText('Message published').waitFor();
    await page.locator('.form-popup-info span', { hasText: 'Close' }).click();
    await page.getByRole('heading', { name: 'Get messages' }).click();
    await page.locator('form[action="#/queues/get"] input[type="submit"]').click();
    await page.getByText('from a browser').first().waitFor();
  });
  await check('no-request-failed', async () => {
    assert(!problems.length, problems.join('; '));
    assert(await page.locator('.status-error').count() === 0, 'it could not connect at some time');
  });
  await browser.close();

  async function login() {
    await page.locator('input[name="username"]').fill('admin');
    await page.locator('input[name="password"]').fill('admin');
    await page.locator('input[type="submit"]').click();
  }

  function row() {
    return page.locator('table.list tr', { hasText: queue });
  }
})().catch((error) => { console.error(error); process.exit(1); });
