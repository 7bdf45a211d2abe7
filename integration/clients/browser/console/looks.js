// How every page looks.
'use strict';
const { act, base, check, login } = require('./lead');
const look = require('./look');

// Name, address, and what says that the page has what it shows.
const PAGES = [
  ['overview', '/', '.track .flow'],
  ['sessions', '/sessions', 'tbody tr:nth-child(5)'],
  ['session', null, '.tap-method'],
  ['nodes', '/nodes', 'tbody .badge'],
  ['node', '/nodes/main/n1', '.charts canvas'],
  ['vhosts', '/vhosts', 'tbody tr:nth-child(2)'],
  ['users', '/vhosts?by=user', 'tbody tr'],
  ['high-availability', '/ha', '.empty'],
  ['certificates', '/certificates', 'tbody .badge'],
  ['configuration', '/config', 'tbody tr'],
  ['revision', '/config/2', 'pre.text'],
  ['events', '/events', 'tbody tr:nth-child(5)'],
  ['access', '/access', 'tbody tr'],
];
// What has to be done before there is something to see.
const PREPARE = {
  session: async (page) => {
    await page.evaluate(() => { location.hash = '/sessions?search=orders-api'; });
    await page.locator('tbody tr').nth(1).waitFor({ state: 'detached' });
    await page.getByRole('link', { name: 'orders-api' }).first().click();
    await page.getByRole('button', { name: 'Start', exact: true }).click();
    await page.locator('.tap-method', { hasText: 'basic.deliver' }).first().waitFor();
    await page.getByRole('button', { name: 'Pause', exact: true }).click();
  },
  configuration: async (page) => {
    await page.getByRole('button', { name: 'Compare', exact: true }).click();
    await page.locator('.outcome').waitFor();
  },
};

module.exports = async function looks(page) {
  await check('looks-of-login', page, async () => {
    await page.goto(`${base}/ui/`);
    await page.locator('input[name="username"]').waitFor();
    await look(page, 'login');
  });
  await login(page, 'admin');
  for (const [name, path, sign] of PAGES) {
    await check(`looks-of-${name}`, page, async () => {
      if (path) await page.evaluate((to) => { location.hash = to; }, path);
      if (PREPARE[name]) await PREPARE[name](page);
      // A line that goes straight has no height: to Playwright it is not visible.
      await page.locator(sign).first().waitFor({ state: 'attached' });
      await look(page, name);
    });
  }
  await check('looks-of-a-question', page, async () => {
    await page.evaluate(() => { location.hash = '/nodes'; });
    await page.getByRole('button', { name: 'Drain node main/n1', exact: true }).click();
    await page.locator('dialog').waitFor();
    await look(page, 'question', false);
    await page.keyboard.press('Escape');
  });
  await check('looks-of-an-alarm', page, async () => {
    await act('kill n2');
    await page.evaluate(() => { location.hash = '/'; });
    await page.locator('.alarm', { hasText: 'main/n2' }).waitFor();
    await look(page, 'alarm');
  });
  await check('looks-of-a-gateway-that-does-not-answer', page, async () => {
    await act('freeze');
    await page.locator('.stale').waitFor();
    await look(page, 'stale');
    await act('thaw');
    await page.locator('.stale').waitFor({ state: 'detached' });
  });
  await check('looks-of-the-menu', page, async () => {
    await page.locator('.user-button').click();
    await look(page, 'menu', false);
    await page.keyboard.press('Escape');
  });
};
