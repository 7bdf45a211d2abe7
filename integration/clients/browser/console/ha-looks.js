// How the page of virtual routers and the overview look when there are some, and when something is wrong with them.
'use strict';
const { act, base, check, go, login } = require('./lead');
const look = require('./look');

module.exports = async function looks(page) {
  const state = (is) => page.locator('.section-head .badge', { hasText: is }).first().waitFor();
  await page.goto(`${base}/ui/`);
  await login(page, 'admin');
  await check('looks-of-an-active-router', page, async () => {
    await go(page, '/ha', 'High availability');
    await state('active');
    await look(page, 'high-availability-active');
  });
  await check('looks-of-the-question-of-a-release', page, async () => {
    await page.getByRole('button', { name: 'Release the addresses of lab', exact: true }).click();
    await page.locator('dialog').waitFor();
    await look(page, 'high-availability-question', false);
    await page.keyboard.press('Escape');
  });
  await check('looks-of-an-alarm', page, async () => {
    await act('double 10.77.0.100');
    await page.locator('.notice', { hasText: '10.77.0.100 is also on another host' }).waitFor();
    await look(page, 'high-availability-alarm');
  });
  await check('looks-of-a-fault', page, async () => {
    await act('cut gw1');
    await state('fault');
    await look(page, 'high-availability-fault');
    await go(page, '/', 'Overview');
    await page.locator('.routers .badge.bad').first().waitFor();
    await look(page, 'high-availability-overview');
  });
};
