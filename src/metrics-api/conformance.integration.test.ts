// SPDX-License-Identifier: Apache-2.0
import { request as httpsRequest } from 'node:https';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startControlPlane } from '../testing/control-plane.ts';
import type { ControlPlane } from '../testing/control-plane.ts';
import { frontProxyIdentity, startMetricsRole } from '../testing/metrics-server.ts';
import type { MetricsServer } from '../testing/metrics-server.ts';
import { createProcessGroup } from '../testing/process.ts';
import type { ProcessGroup } from '../testing/process.ts';
import { referenceMetric, startReferenceAdapter } from '../testing/reference-adapter.ts';

let cluster: ControlPlane;
let group: ProcessGroup;
let headstart: MetricsServer;
let reference: MetricsServer;

beforeAll(async () => {
  cluster = await startControlPlane({ nodes: 1 });
  group = await createProcessGroup('conformance');
  headstart = await startMetricsRole(cluster, group);
  reference = await startReferenceAdapter(cluster, group);
}, 600_000);

afterAll(async () => {
  await group?.stop();
  await cluster?.stop();
});
test('x', async () => {
  const id = await frontProxyIdentity(cluster);
  console.log(cluster.dir, headstart.port, reference.port, id.cert.length, referenceMetric, httpsRequest.length);
  await import('node:fs').then((fs) => {
    fs.mkdirSync('/tmp/conf', { recursive: true });
    fs.writeFileSync('/tmp/conf/env.json', JSON.stringify({ dir: cluster.dir, headstart, reference }));
    fs.writeFileSync('/tmp/conf/c.crt', id.cert);
    fs.writeFileSync('/tmp/conf/c.key', id.key);
  });
  await new Promise((r) => setTimeout(r, 900_000));
}, 1_000_000);
