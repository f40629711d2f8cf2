// SPDX-License-Identifier: Apache-2.0
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { createAuthority } from './certificates.ts';
import type { ControlPlane } from './control-plane.ts';

/** Usage of one pod's only container, as quantities; undefined where there is none. */
type Usage = (pod: string) => { readonly cpu: string; readonly memory: string } | undefined;

const groupVersion = 'metrics.k8s.io/v1beta1';
const service = { name: 'metrics-server', namespace: 'kube-system' };

/**
 * Serves metrics.k8s.io through the aggregator, as metrics-server does; what is not real are the kubelets behind it.
 * @returns what ends it; the APIService stays
 */
export async function startMetricsServer(controlPlane: ControlPlane, usage: Usage): Promise<() => Promise<void>> {
  const authority = await createAuthority('metrics-server');
  const request = {
    commonName: 'metrics-server',
    dnsNames: ['metrics-server.kube-system.svc'],
    usage: 'server',
  } as const;
  const { certPem: cert, keyPem: key } = await authority.issue(request);
  const server = createServer({ cert, key }, (incoming, response) => {
    const url = new URL(incoming.url ?? '', 'https://metrics-server');
    void answer(controlPlane, url, usage).then(
      (body) => response.setHeader('content-type', 'application/json').end(JSON.stringify(body)),
      () => response.writeHead(500).end(),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const list = { apiVersion: 'v1', kind: 'List', items: objects(port, authority.certPem) };
  await controlPlane.kubectlOk(['apply', '-f', '-'], JSON.stringify(list));
  const name = 'apiservice/v1beta1.metrics.k8s.io';
  await controlPlane.kubectlOk(['wait', '--for=condition=Available', name, '--timeout=60s']);
  return async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
}

function objects(port: number, caPem: string): object[] {
  const spec = {
    group: 'metrics.k8s.io',
    version: 'v1beta1',
    groupPriorityMinimum: 100,
    versionPriority: 100,
    caBundle: Buffer.from(caPem).toString('base64'),
    service: { ...service, port },
  };
  return [
    { apiVersion: 'v1', kind: 'Service', metadata: service, spec: { type: 'ExternalName', externalName: 'localhost' } },
    { apiVersion: 'apiregistration.k8s.io/v1', kind: 'APIService', metadata: { name: 'v1beta1.metrics.k8s.io' }, spec },
  ];
}

async function answer(controlPlane: ControlPlane, { pathname, searchParams }: URL, usage: Usage): Promise<unknown> {
  const [, namespace] = /\/namespaces\/([^/]+)\/pods$/.exec(pathname) ?? [];
  if (namespace === undefined) {
    const pods = { name: 'pods', singularName: '', namespaced: true, kind: 'PodMetrics', verbs: ['get', 'list'] };
    return { kind: 'APIResourceList', apiVersion: 'v1', groupVersion, resources: [pods] };
  }
  const selector = searchParams.get('labelSelector') ?? '';
  const names = await controlPlane.kubectlOk(['get', 'pods', '-n', namespace, '-l', selector, '-o', 'name']);
  const items = names.split('\n').flatMap((line) => {
    const [, name] = line.split('/');
    const used = name === undefined ? undefined : usage(name);
    if (used === undefined) return [];
    const containers = [{ name: 'app', usage: used }];
    return [{ metadata: { name, namespace }, timestamp: new Date().toISOString(), window: '10.5s', containers }];
  });
  return { kind: 'PodMetricsList', apiVersion: groupVersion, metadata: {}, items };
}
