// The web console in Chromium. Usage: main.js HOST PORT PASSWORD_OF_ADMIN PASSWORD_OF_OPERATOR PASSWORD_OF_VIEWER
// 'ok NAME' or 'FAIL NAME why' goes to standard output for each check, 'do WHAT' for what the test is to do; it answers
// with a line. Pictures of all pages go to $SCREENSHOTS/console.
'use strict';
const { assert, check, launch, open } = require('./lead');
const looks = require('./looks');
const steps = require('./steps');

(async () => {
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
