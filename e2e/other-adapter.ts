// SPDX-License-Identifier: Apache-2.0
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { ControlPlane } from '../src/testing/control-plane.ts';
import { createAuthority } from '../src/testing/certificates.ts';

const group = 'external.metrics.k8s.io';
const root = `/apis/${group}/v1beta1`;
const service = { namespace: 'keda', name: 'keda-operator-metrics-apiserver' };

/** An adapter that was there first: serves `queue_length` to HPAs as the owner of the APIService. */
export interface OtherAdapter {
  /** What `queue_length` is. */
  setQueue(length: number): void;
  /** Applies its APIService as its own installer does, over whatever is there. */
  claim(): Promise<void>;
  close(): Promise<void>;
}

/** Starts the adapter on loopback; `claim` tells the cluster of it. */
export async function startOtherAdapter(controlPlane: ControlPlane): Promise<OtherAdapter> {
  let queue = 0;
  const authority = await createAuthority('keda-ca');
  const dnsNames = [`${service.name}.${service.namespace}.svc`];
  const { certPem, keyPem } = await authority.issue({ commonName: service.name, dnsNames, usage: 'server' });
  const server = createServer({ cert: certPem, key: keyPem }, (request, response) => {
    const body = answer(request.url ?? '', queue);
    response.writeHead(body === undefined ? 404 : 200, { 'content-type': 'application/json' });
    response.end(JSON.stringify(body ?? { kind: 'Status', apiVersion: 'v1', status: 'Failure', code: 404 }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const apply = async (object: unknown): Promise<void> =>
    void (await controlPlane.kubectlOk(['apply', '-f', '-'], JSON.stringify(object)));
  await apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: service.namespace } });
  const spec = { type: 'ExternalName', externalName: 'localhost' };
  await apply({ apiVersion: 'v1', kind: 'Service', metadata: service, spec });
  return {
    setQueue: (length) => {
      queue = length;
    },
    claim: async () =>
      await apply({
        apiVersion: 'apiregistration.k8s.io/v1',
        kind: 'APIService',
        metadata: { name: `v1beta1.${group}` },
        spec: {
          group,
          version: 'v1beta1',
          groupPriorityMinimum: 100,
          versionPriority: 100,
          caBundle: Buffer.from(authority.certPem).toString('base64'),
          service: { ...service, port },
        },
      }),
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function answer(url: string, queue: number): unknown {
  const [path = ''] = url.split('?');
  if (path === root) {
    const resource = { name: 'queue_length', singularName: '', namespaced: true, kind: 'ExternalMetricValueList' };
    const resources = [{ ...resource, verbs: ['get'] }];
    return { kind: 'APIResourceList', apiVersion: 'v1', groupVersion: `${group}/v1beta1`, resources };
  }
  if (path === '/openapi/v2') return { swagger: '2.0', info: { title: 'keda', version: 'v1' }, paths: {} };
  if (!path.startsWith(`${root}/namespaces/`) || !path.endsWith('/queue_length')) return undefined;
  const item = { metricName: 'queue_length', metricLabels: {}, timestamp: new Date().toISOString(), value: `${queue}` };
  return { kind: 'ExternalMetricValueList', apiVersion: `${group}/v1beta1`, metadata: {}, items: [item] };
}
