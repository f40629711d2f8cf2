// SPDX-License-Identifier: Apache-2.0
import { expect, test } from 'vitest';
import { generated, staleFiles } from './generate-crds.ts';

test('the committed CRDs and the page of the command line are what the code gives; npm run generate makes them anew', async () => {
  expect(generated().size).toBeGreaterThan(0);
  expect(await staleFiles(new URL('../', import.meta.url))).toEqual([]);
});
