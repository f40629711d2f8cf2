// SPDX-License-Identifier: Apache-2.0
import { expect, test } from 'vitest';
import { clonePoolReasons, reasons } from '../src/api/reasons.ts';
import { catalogue } from '../src/observability/catalogue.ts';
import { generated, staleFiles } from './generate.ts';

test('the committed CRDs and reference pages are what the code gives; npm run generate makes them anew', async () => {
  expect(generated().size).toBeGreaterThan(0);
  expect(await staleFiles(new URL('../', import.meta.url))).toEqual([]);
});

test('the page of metrics has every metric, each once', () => {
  const page = generated().get('docs/reference/metrics.md') ?? '';
  for (const { name } of Object.values(catalogue)) expect(page.split(`| \`${name}\` |`)).toHaveLength(2);
});

test('the page of conditions has every reason', () => {
  const page = generated().get('docs/reference/conditions.md') ?? '';
  const all = [...Object.values(reasons), ...Object.values(clonePoolReasons)].flat();
  for (const reason of all) expect(page).toContain(`\`${reason}\``);
});
