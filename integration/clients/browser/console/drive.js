// What people do with the console, then how it looks: in one browser, each on a page of its own that nothing may go wrong on.
'use strict';
const { assert, check, launch, open } = require('./lead');

module.exports = (steps, looks) => (async () => {
  const browser = await launch();
  const problems = [];
  const page = await open(browser, {}, problems);
  await steps(page);
  await check('no-error-and-nothing-against-the-policy', page, async () => assert(!problems.length, problems.join('; ')));
  await page.context().close();
  // axe-core is put into the pages from outside, which their policy forbids.
  const faults = [];
  const looked = await open(browser, { bypassCSP: true }, faults);
  await looks(looked);
  await check('no-error-while-looking', looked, async () => assert(!faults.length, faults.join('; ')));
  await browser.close();
  process.exit(0);
})().catch((error) => { console.error(error); process.exit(1); });
