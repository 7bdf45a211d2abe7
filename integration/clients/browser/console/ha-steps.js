// What people see of two virtual routers, `lab` and `six` (a sync group), and do with them. The test has two gateways:
// `gw1`, which is looked at here and has the higher priority, and `gw2`.
'use strict';
const { act, assert, base, check, go, login, logout } = require('./lead');

const NAMES = ['lab', 'six'];

module.exports = async function steps(page) {
  const step = (name, run) => check(name, page, run);
  const router = (name) => page.locator('.section', { has: page.getByRole('heading', { level: 2, name, exact: true }) });
  // In its head, or as a line of the overview.
  const state = (of, is) => of.locator('.section-head .badge, .router-state .badge', { hasText: is }).waitFor();
  // What stands beside a word.
  const fact = (name, title, value) => router(name).locator(`dt:text-is("${title}") + dd`, { hasText: value }).waitFor();
  const latest = (name, text) => router(name).locator('.timeline li').first().filter({ hasText: text }).waitFor();
  const line = (name) => page.locator('.routers li', { has: page.getByRole('link', { name, exact: true }) });
  const button = (name) => page.getByRole('button', { name, exact: true });
  const dialog = page.locator('dialog');
  const said = (text) => page.locator('.toast', { hasText: text }).first().waitFor();
  const release = async () => {
    await button('Release the addresses of lab').click();
    await dialog.getByRole('button', { name: 'Release' }).click();
    await said('lab: the addresses go to the peer.');
  };

  await step('the-overview-shows-the-virtual-routers', async () => {
    await page.goto(`${base}/ui/`);
    await login(page, 'operator');
    for (const name of NAMES) {
      await state(line(name), 'active');
      await line(name).getByText('no peer heard: backups keep silent').waitFor();
    }
    await line('lab').getByText('10.77.0.100').waitFor();
    await line('six').getByText('fd77::100').waitFor();
  });
  await step('the-page-tells-who-has-the-addresses-and-since-when', async () => {
    await go(page, '/ha', 'High availability');
    for (const name of NAMES) {
      await state(router(name), 'active');
      await fact(name, 'They are', /^on this gateway$/);
      await fact(name, 'Priority', /^100$/);
      // Who is active hears no backup: that is no fault.
      await fact(name, 'Peer', 'none heard: backups keep silent while this gateway is active');
      await fact(name, 'Interface', 'eth0');
      await fact(name, 'Sync group', 'edge');
      await fact(name, 'Dropped', 'none');
      await latest(name, 'backup → active');
    }
    await fact('lab', 'Addresses', '10.77.0.100');
    await fact('six', 'Addresses', 'fd77::100');
    await fact('lab', 'VRID', '51 (VRRP v3)');
  });
  await step('a-virtual-router-of-the-overview-leads-to-its-own-page', async () => {
    await go(page, '/', 'Overview');
    await line('six').getByRole('link', { name: 'six' }).click();
    await state(router('six'), 'active');
    assert(await router('lab').count() === 0, 'another one is shown as well');
    await go(page, '/ha/nobody', 'High availability');
    await page.getByText('There is no virtual router nobody.').waitFor();
  });
  await step('a-release-that-is-called-off-moves-nothing', async () => {
    await go(page, '/ha', 'High availability');
    await button('Release the addresses of lab').click();
    await dialog.getByRole('heading', { name: 'Release the addresses of lab?' }).waitFor();
    await dialog.getByText('closed with 320').waitFor();
    await dialog.getByText('sync group edge go together').waitFor();
    await dialog.getByRole('button', { name: 'Cancel' }).click();
    await dialog.waitFor({ state: 'detached' });
    const released = await page.evaluate(async () => (await (await fetch('/api/v1/virtual-routers/lab')).json()).released);
    assert(released === false, `released: ${released}`);
    await state(router('lab'), 'active');
  });
  await step('a-release-gives-the-addresses-of-the-group-to-the-peer', async () => {
    await release();
    for (const name of NAMES) {
      await state(router(name), 'backup');
      await latest(name, 'active → backup');
      await fact(name, 'They are', /^not on this gateway$/);
      await router(name).getByText('An operator gave the addresses to the peer.').waitFor();
      await button(`Reclaim the addresses of ${name}`).waitFor();
    }
    await fact('lab', 'Peer', /^10\.77\.0\.12, priority 90, heard .* ago$/);
    await fact('six', 'Peer', /^fe80::.*, priority 90, heard .* ago$/);
    await act('holder gw2');
  });
  await step('the-overview-shows-the-backup-and-its-peer', async () => {
    await go(page, '/', 'Overview');
    for (const name of NAMES) await state(line(name), 'backup');
    await line('lab').getByText(/^peer 10\.77\.0\.12, priority 90, heard .* ago$/).waitFor();
  });
  await step('a-reclaim-takes-the-addresses-back', async () => {
    await go(page, '/ha', 'High availability');
    await button('Reclaim the addresses of lab').click();
    await dialog.getByRole('button', { name: 'Reclaim' }).click();
    await said('lab: this gateway may have its addresses again.');
    for (const name of NAMES) {
      await state(router(name), 'active');
      await latest(name, 'backup → active');
      await fact(name, 'They are', /^on this gateway$/);
    }
    await act('holder gw1');
  });
  await step('the-end-of-the-peer-is-a-takeover', async () => {
    await release();
    for (const name of NAMES) await state(router(name), 'backup');
    await act('holder gw2');
    await act('kill gw2');
    for (const name of NAMES) {
      await state(router(name), 'active');
      await latest(name, 'backup → active');
      await button(`Release the addresses of ${name}`).waitFor();
    }
    await act('holder gw1');
  });
  await step('what-nobody-takes-comes-back', async () => {
    const before = await router('lab').locator('.timeline li').count();
    await release();
    await router('lab').locator('.timeline li').nth(before + 1).waitFor();
    await latest('lab', 'backup → active');
    await page.locator('.timeline li', { hasText: 'nobody took over in time' }).first().waitFor();
    await state(router('lab'), 'active');
    await button('Release the addresses of lab').waitFor();
  });
  await step('a-link-that-is-down-is-a-fault', async () => {
    await act('cut gw1');
    for (const name of NAMES) {
      await state(router(name), 'fault');
      await latest(name, 'active → fault');
    }
    const off = page.getByRole('button', { name: 'Release the addresses of lab (The addresses are not on this gateway.)' });
    assert(await off.getAttribute('aria-disabled') === 'true', 'what is not here may be released');
    await go(page, '/', 'Overview');
    await state(line('lab'), 'fault');
    await act('heal gw1');
    await state(line('lab'), 'active');
  });
  await step('events-tell-of-the-transitions-and-of-who-released', async () => {
    await go(page, '/events', 'Events and audit');
    await page.locator('tbody tr', { hasText: 'POST virtual-routers/lab/release' }).filter({ hasText: 'operator' }).first().waitFor();
    await page.getByLabel('Kind').selectOption('virtual-router');
    await page.locator('tbody tr', { hasText: 'lab' }).filter({ hasText: 'fault' }).first().waitFor();
  });
  await step('a-viewer-may-not-release', async () => {
    await logout(page);
    await login(page, 'viewer');
    await go(page, '/ha', 'High availability');
    const off = page.getByRole('button', { name: /^Release the addresses of lab \(This takes the role operator/ });
    assert(await off.getAttribute('aria-disabled') === 'true', 'the button may be pressed');
    await off.click({ force: true });
    assert(await dialog.count() === 0, 'and asks');
    await off.hover({ force: true });
    await page.locator('.tip', { hasText: 'takes the role operator' }).waitFor();
    const status = await page.evaluate(async () => {
      const who = await (await fetch('/api/v1/whoami')).json();
      const headers = { 'Content-Type': 'application/json', 'X-CSRF-Token': who.csrf_token };
      return (await fetch('/api/v1/virtual-routers/lab/release', { method: 'POST', headers, body: '{}' })).status;
    });
    assert(status === 403, `the API answers ${status}`);
    await act('holder gw1');
  });
};
