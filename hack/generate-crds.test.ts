// SPDX-License-Identifier: Apache-2.0
import { expect, test } from 'vitest';
import { generated, staleFiles } from './generate-crds.ts';

test('the committed CRDs are what the schemas give', async () => {
  expect(generated().size).toBeGreaterThan(0);
  expect(await staleFiles(new URL('../', import.meta.url))).toEqual([]);
});
