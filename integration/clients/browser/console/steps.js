// What people do with the console, one after the other, with the content security policy in force.
'use strict';
const { act, assert, base, check, go, login, logout, open } = require('./lead');

module.exports = async function steps(page) {
  const step = (name, run) => check(name, page, run);
  const row = (text) => page.locator('tbody tr', { hasText: text });
  const node = (name) => page.locator('tbody tr', { has: page.getByRole('link', { name, exact: true }) });
  const said = (text) => page.locator('.toast', { hasText: text }).waitFor();
  // The button of the question that is asked.
  const yes = (name) => page.locator('dialog').getByRole('button', { name }).click();
  const button = (name) => page.getByRole('button', { name, exact: true });
  // Does it again until that shows.
  const insist = async (act, sign) => {
    for (let attempt = 0; attempt < 10; attempt += 1) {
      await act();
      if (await sign.waitFor({ timeout: 4000 }).then(() => true, () => false)) return;
    }
    await sign.waitFor();
  };
  const choose = async (name, value) => {
    await page.locator('.user-button').click();
    await page.locator('.user-panel select').nth(name === 'language' ? 0 : 1).selectOption(value);
    await page.locator('.user-button').click();
    await page.locator('.user-panel').waitFor({ state: 'detached' });
  };

  await step('a-wrong-password-is-refused', async () => {
    await page.goto(`${base}/ui/`);
    await login(page, 'operator', 'wrong');
    await page.getByText('User or password is wrong.').waitFor();
  });
  await step('the-right-password-opens-the-overview', async () => {
    await login(page, 'operator');
    await page.getByRole('heading', { level: 1, name: 'Overview' }).waitFor();
    for (const place of ['amqp', 'amqps', 'main', 'blue', 'n1', 'n2', 'b1']) {
      await page.locator('.place', { has: page.locator('b', { hasText: new RegExp(`^${place}$`) }) }).first().waitFor();
    }
    await page.getByText('Nothing is wrong.').waitFor();
  });
  let back;
  await step('a-node-that-dies-is-an-alarm', async () => {
    await act('kill n2');
    await page.locator('.alarm', { hasText: 'main/n2' }).waitFor();
    await page.locator('.place.bad', { hasText: 'n2' }).waitFor();
    await go(page, '/nodes', 'Nodes');
    await node('n2').locator('.badge.bad', { hasText: 'down' }).waitFor();
    back = act('start n2');
  });
  await step('a-node-shows-its-checks', async () => {
    await go(page, '/nodes/main/n1', 'main/n1');
    await row('amqp').locator('.badge', { hasText: 'passed' }).first().waitFor();
    await page.getByText(/^rabbit.*@/).or(page.getByText(/main.*@/)).first().waitFor();
  });
  await step('vhosts-and-users-are-listed', async () => {
    await go(page, '/vhosts', 'Vhosts and users');
    await row('orders').getByText('main').first().waitFor();
    await row('billing').waitFor();
    await page.getByRole('tab', { name: 'Users' }).click();
    await row('app').waitFor();
  });
  await step('the-certificate-is-listed', async () => {
    await go(page, '/certificates', 'Certificates');
    await row('localhost').getByText('days left').waitFor();
    await row('localhost').locator('summary').click();
    await page.getByText('mq.example.com').first().waitFor();
  });
  await step('without-virtual-routers-the-page-says-what-they-are-for', async () => {
    await go(page, '/ha', 'High availability');
    await page.getByText('No virtual routers are configured', { exact: false }).waitFor();
  });
  await step('a-session-is-found-and-followed', async () => {
    await go(page, '/sessions', 'Sessions');
    await page.locator('input[type="search"]').first().fill('orders-api');
    await row('orders-api').waitFor();
    await page.locator('tbody tr').filter({ hasNotText: 'orders-api' }).first().waitFor({ state: 'detached' });
    await page.getByRole('link', { name: 'orders-api' }).first().click();
    await page.getByRole('heading', { level: 1, name: /^Session \d+$/ }).waitFor();
    await page.getByRole('button', { name: 'Start', exact: true }).click();
    await page.locator('.tap-method', { hasText: 'basic.publish' }).first().waitFor();
    await page.locator('.tap-method', { hasText: 'basic.deliver' }).first().waitFor();
    assert(await page.locator('.tap-bodies input').getAttribute('aria-disabled') === 'true', 'bodies are for admin');
    await page.getByRole('button', { name: 'Stop', exact: true }).click();
  });
  await step('the-language-is-changed-and-back', async () => {
    await go(page, '/', 'Overview');
    await choose('language', 'zh-CN');
    await page.getByRole('heading', { level: 1, name: '总览' }).waitFor();
    await page.locator('html[lang="zh-CN"]').waitFor();
    await page.reload();
    await page.getByRole('heading', { level: 1, name: '总览' }).waitFor();
    await choose('language', 'en');
    await page.getByRole('heading', { level: 1, name: 'Overview' }).waitFor();
  });
  await step('the-theme-is-changed-and-back', async () => {
    const ground = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
    const light = await ground();
    await choose('theme', 'dark');
    assert(await ground() !== light, 'dark looks as light');
    await page.reload();
    await page.getByRole('heading', { level: 1, name: 'Overview' }).waitFor();
    assert(await ground() !== light, 'dark is forgotten');
    await choose('theme', 'system');
    assert(await ground() === light, 'dark stays');
  });
  await step('a-page-is-reached-by-keys', async () => {
    // The two keys belong together for a second only, which a busy machine may take between them.
    await insist(() => page.keyboard.type('gn'), page.getByRole('heading', { level: 1, name: 'Nodes' }));
  });
  await step('the-node-is-back', async () => {
    await node('n2').locator('.badge.good', { hasText: 'up' }).waitFor({ timeout: 120000 });
    await back;
  });
  await step('a-cluster-is-rebalanced-after-a-look-at-what-moves', async () => {
    // All came to n1 when n2 died.
    await button('Rebalance cluster main').click();
    await page.locator('dialog').getByText(/^\d+, \d+ of them move$/).waitFor();
    await yes(/^Rebalance/);
    await said('being moved');
    await page.locator('.below progress').waitFor();
    await page.locator('.below progress').waitFor({ state: 'detached' });
    await insist(() => button('Rebalance cluster main').click(), page.locator('.toast', { hasText: 'spread evenly' }));
    assert(await node('n2').locator('td.col-sessions').innerText() !== '0', 'nobody came to n2');
  });
  await step('a-session-that-is-closed-is-told-320', async () => {
    await act('forget');
    await go(page, '/sessions?search=orders-job', 'Sessions');
    await page.getByRole('button', { name: /^Close session \d+$/ }).first().click();
    await yes(/^Close session/);
    await said('is being closed');
    const told = await act('told orders-job');
    assert(told.startsWith('320 '), `the client was told ${told}`);
  });
  await step('a-filter-that-cannot-be-is-told-of', async () => {
    await go(page, '/sessions?source=10.0', 'Sessions');
    await page.getByRole('alert').filter({ hasText: 'source' }).waitFor();
    await button('Clear all').click();
    await row('orders-api').waitFor();
  });
  await step('sessions-that-fit-a-filter-are-closed-together', async () => {
    await act('forget');
    await go(page, '/sessions?vhost=billing', 'Sessions');
    await button('Close 2 …').click();
    await page.locator('dialog .confirm-filter', { hasText: 'billing' }).waitFor();
    await yes('Close 2 sessions');
    await said('2 sessions are being closed');
    for (const client of ['billing-api', 'billing-report']) {
      const told = await act(`told ${client}`);
      assert(told.startsWith('320 '), `${client} was told ${told}`);
    }
  });
  await step('a-node-is-drained-and-enabled-again', async () => {
    await go(page, '/nodes', 'Nodes');
    await button('Drain node main/n1').click();
    await yes('Drain');
    await node('n1').locator('.badge', { hasText: 'draining' }).waitFor();
    await node('n1').locator('progress').waitFor();
    await page.waitForFunction(() => {
      const bar = document.querySelector('progress');
      return bar && bar.value === bar.max;
    });
    await button('Enable node main/n1').click();
    await node('n1').locator('.badge.good', { hasText: 'up' }).waitFor();
  });
  await step('the-weight-of-a-node-is-changed-and-back', async () => {
    await go(page, '/nodes/main/n2', 'main/n2');
    for (const weight of ['3', '1']) {
      await page.getByLabel('Weight', { exact: true }).fill(weight);
      await button('Set').click();
      await said(`has the weight ${weight} now`);
    }
  });
  await step('a-changed-file-is-compared-and-reloaded', async () => {
    await go(page, '/config', 'Configuration');
    await page.getByText('holds what is in force').waitFor();
    await act('configure max_connections = 500');
    await page.getByText('holds something else now').waitFor();
    await button('Compare').click();
    await page.locator('.diff .added', { hasText: 'max_connections = 500' }).waitFor();
    await button('Reload').click();
    await yes('Reload');
    await said('Revision 2 is in force.');
    await page.getByText(/^revision 2, by/).waitFor();
    assert(await button('Roll back to revision 1').count() === 0, 'an operator may roll back');
  });
  await step('events-tell-it-all', async () => {
    await go(page, '/events', 'Events and audit');
    for (const text of ['main/n2', 'drain', 'PATCH nodes/main/n1', 'config', 'operator']) await row(text).first().waitFor();
    await page.getByLabel('Kind').selectOption('operator');
    await row('node').first().waitFor();
  });
  await step('a-viewer-may-not-write', async () => {
    await logout(page);
    await login(page, 'viewer');
    await go(page, '/nodes', 'Nodes');
    const drain = page.getByRole('button', { name: /^Drain node main\/n1 \(This takes the role operator/ });
    assert(await drain.getAttribute('aria-disabled') === 'true', 'the button may be pressed');
    await drain.click({ force: true });
    assert(await page.locator('dialog').count() === 0, 'and asks');
    await drain.hover({ force: true });
    await page.locator('.tip', { hasText: 'takes the role operator' }).waitFor();
    await go(page, '/config', 'Configuration');
    // The heading comes first.
    await page.locator('.page-actions button').nth(2).waitFor();
    const off = await page.locator('.page-actions button').evaluateAll((all) => all.map((b) => b.getAttribute('aria-disabled')));
    assert(off.length === 3 && off.every((one) => one === 'true'), `buttons of the configuration: ${off}`);
    const status = await page.evaluate(async () => {
      const who = await (await fetch('/api/v1/whoami')).json();
      const headers = { 'Content-Type': 'application/json', 'X-CSRF-Token': who.csrf_token };
      const body = JSON.stringify({ admin_state: 'draining' });
      return (await fetch('/api/v1/nodes/main/n1', { method: 'PATCH', headers, body })).status;
    });
    assert(status === 403, `the API answers ${status}`);
  });
  await step('an-admin-rolls-back', async () => {
    await logout(page);
    await login(page, 'admin');
    await go(page, '/config', 'Configuration');
    await button('Roll back to revision 1').click();
    await yes(/^Roll back/);
    await said('Revision 3 is in force.');
  });
  await step('an-admin-makes-a-token', async () => {
    await go(page, '/access', 'Access');
    for (const name of ['admin', 'operator', 'viewer']) await row(name).first().waitFor();
    await page.getByLabel('Name of the token').fill('grafana');
    await button('Make a token').click();
    await page.locator('.made pre', { hasText: '[[admin.token]]' }).waitFor();
  });
  await step('an-admin-ends-the-login-of-another', async () => {
    const other = await open(page.context().browser(), {}, []);
    await other.goto(`${base}/ui/`);
    await login(other, 'viewer');
    await other.getByRole('heading', { level: 1, name: 'Overview' }).waitFor();
    await button('End the login of viewer').click();
    await yes('End');
    await said('The login of viewer has ended.');
    await other.locator('input[name="username"]').waitFor();
    // One's own is for everybody to end.
    await login(other, 'viewer');
    await go(other, '/access', 'Access');
    await other.getByRole('button', { name: 'End the login of viewer' }).click();
    await other.locator('dialog').getByRole('button', { name: 'End' }).click();
    await other.locator('input[name="username"]').waitFor();
    await other.context().close();
  });
  await step('a-gateway-that-does-not-answer-is-told-of', async () => {
    await go(page, '/', 'Overview');
    await act('freeze');
    await page.locator('.stale').waitFor();
    await act('thaw');
    await page.locator('.stale').waitFor({ state: 'detached' });
  });
};
