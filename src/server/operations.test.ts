// SPDX-License-Identifier: Apache-2.0
import { expect, test } from 'vitest';
import { createMetrics } from '../observability/metrics.ts';
import { createOperationsServer } from './operations.ts';

test('readiness says what is missing; metrics are in the exposition format', async () => {
  let missing: string | undefined = 'the cache of DemandForecasts has not synced';
  const server = createOperationsServer({ registry: createMetrics('1.2.3').registry, notReady: () => missing });
  const notReady = await server.inject('/readyz');
  expect([notReady.statusCode, notReady.body]).toEqual([503, missing]);
  missing = undefined;
  expect((await server.inject('/readyz')).statusCode).toBe(200);
  expect((await server.inject('/livez')).body).toBe('ok');
  const metrics = await server.inject('/metrics');
  expect(metrics.headers['content-type']).toContain('text/plain');
  expect(metrics.body).toContain('headstart_build_info{version="1.2.3"');
});
