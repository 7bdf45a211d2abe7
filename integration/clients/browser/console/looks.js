// How every page looks: no serious fault that keeps people out, in light and dark, nothing that is too wide for a phone.
// Pictures of it for people to look at.
'use strict';
const { readFileSync } = require('fs');
const { act, assert, base, check, login, pictures } = require('./lead');

const DESKTOP = { width: 1440, height: 900 };
const PHONE = { width: 390, height: 844 };
const AXE = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');

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

async function look(page, name, whole = true) {
  const faults = [];
  // Nothing is pointed at.
  await page.mouse.move(1, DESKTOP.height - 1);
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    for (const [device, size] of [['desktop', DESKTOP], ['phone', PHONE]]) {
      await page.setViewportSize(size);
      const path = `${pictures}/${name}-${colorScheme}-${device}.png`;
      await page.screenshot({ path, fullPage: whole && device === 'phone', animations: 'disabled' });
      if (device === 'phone') {
        const wide = await page.evaluate(() => document.documentElement.scrollWidth);
        if (wide > PHONE.width) faults.push(`${wide} pixels wide on a phone`);
      }
      // The rules are the same for both sizes, and they take a while.
      if ((device === 'desktop') === (colorScheme === 'light')) faults.push(...await axe(page, `${colorScheme} ${device}`));
    }
  }
  await page.setViewportSize(DESKTOP);
  assert(!faults.length, faults.join('; '));
}

// What axe-core calls serious or critical.
async function axe(page, where) {
  if (!await page.evaluate(() => 'axe' in window)) await page.addScriptTag({ content: AXE });
  const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }));
  const bad = violations.filter(({ impact }) => impact === 'serious' || impact === 'critical');
  return bad.map(({ id, impact, nodes }) => {
    const which = nodes.slice(0, 3).map((node) => `${node.target.join(' ')} ${node.any.concat(node.all).map((one) => one.message).join(', ').slice(0, 160)}`);
    return `${where}: ${impact} ${id} in ${nodes.length}: ${which.join(' | ')}`;
  });
}
