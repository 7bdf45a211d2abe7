// What the parts of the test of the console share: checks, orders to the test that runs this, and a watched browser.
'use strict';
const { mkdirSync } = require('fs');
const { createInterface } = require('readline');
const { chromium } = require('playwright-core');

const [host, port, admin, operator, viewer] = process.argv.slice(2);
const base = `http://${host}:${port}`;
const passwords = { admin, operator, viewer };
const pictures = `${process.env.SCREENSHOTS || '/tmp/screenshots'}/console`;
mkdirSync(pictures, { recursive: true });

// One line a check on standard output: 'ok NAME' or 'FAIL NAME why'.
async function check(name, page, run) {
  const begun = Date.now();
  try {
    await run();
    console.log(`ok ${name}`);
  } catch (problem) {
    await page.screenshot({ path: `${pictures}/failed-${name}.png` }).catch(console.error);
    const shown = await page.locator('body').innerText({ timeout: 5000 }).catch(String);
    const line = (text, most) => String(text).replace(/\s+/g, ' ').slice(0, most);
    console.log(`FAIL ${name} ${line(problem.stack || problem, 900)} | ${page.url()} shows: ${line(shown, 1200)}`);
  }
  if (process.env.TIMES) console.error(name, Date.now() - begun, 'ms');
}

function assert(holds, why) {
  if (!holds) throw new Error(why);
}

// Has the test do something that a browser cannot: 'do WHAT' goes out, a line with what came of it comes back.
const answers = [];
createInterface({ input: process.stdin }).on('line', (line) => answers.shift()(line)).on('close', () => process.exit(2));
function act(what) {
  return new Promise((resolve) => {
    answers.push(resolve);
    console.log(`do ${what}`);
  });
}

async function launch() {
  // A browser of root's has no sandbox.
  return chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox', '--no-proxy-server'] });
}

// A page whose errors, and whatever its content security policy kept it from, end up in `problems`.
async function open(browser, options, problems) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, locale: 'en-GB', ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(40000);
  page.on('pageerror', (error) => problems.push(String(error)));
  page.on('console', (message) => {
    // That an answer was an error, or that none came, is for the steps to judge.
    if (message.type() === 'error' && !message.text().startsWith('Failed to load resource')) problems.push(message.text());
  });
  page.on('response', (response) => {
    if (response.status() >= 500) problems.push(`${response.url()}: ${response.status()}`);
  });
  page.on('request', (request) => {
    if (!request.url().startsWith(base) && !request.url().startsWith('data:')) problems.push(`asks elsewhere: ${request.url()}`);
  });
  return page;
}

async function login(page, name, password = passwords[name]) {
  await page.locator('input[name="username"]').fill(name);
  await page.locator('input[name="password"]').fill(password);
  await page.locator('button[type="submit"]').click();
}

async function logout(page) {
  await page.locator('.user-button').click();
  await page.getByRole('button', { name: 'Log out' }).click();
  await page.locator('input[name="username"]').waitFor();
}

// To a page by its address within the console; its heading is there then.
async function go(page, path, heading) {
  await page.evaluate((to) => { location.hash = to; }, path);
  await page.getByRole('heading', { level: 1, name: heading, exact: true }).waitFor();
}

module.exports = { act, assert, base, check, go, launch, login, logout, open, pictures };
