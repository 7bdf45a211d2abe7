// A look at a page: no serious fault that keeps people out, in light and dark, nothing that is too wide for a phone.
// Pictures of it for people to look at.
'use strict';
const { readFileSync } = require('fs');
const { assert, pictures } = require('./lead');

const DESKTOP = { width: 1440, height: 900 };
const PHONE = { width: 390, height: 844 };
const AXE = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');

module.exports = async function look(page, name, whole = true) {
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
};

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
