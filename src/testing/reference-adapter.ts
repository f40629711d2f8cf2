// SPDX-License-Identifier: Apache-2.0
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ensureReferenceAdapter } from '../../hack/reference-adapter/build.ts';
import { createAuthority } from './certificates.ts';
import type { ControlPlane } from './control-plane.ts';
import { whenReady } from './metrics-server.ts';
import type { MetricsServer } from './metrics-server.ts';
import { freePort } from './ports.ts';
import type { ProcessGroup } from './process.ts';

const namespace = 'reference';
const name = 'reference-adapter';

/** Three external metrics are built into it: `my-external-metric` with `foo=bar` or `foo=baz`, `other-external-metric`. */
export const referenceMetric = { metric: 'my-external-metric', label: 'foo', value: 'bar' };

/** The reference, allowed to do what a delegating extension server must; it may be started, and again once it is gone. */
export interface ReferenceAdapter {
  /** With a file, it serves the external metrics in it (hack/reference-adapter/metrics_file.go) and not the built-in ones. */
  start(group: ProcessGroup, metricsFile?: string): Promise<MetricsServer>;
}

/** Builds the Go test adapter where the cache does not have it, and gives it a ServiceAccount and a certificate. */
export async function installReferenceAdapter(
  cluster: ControlPlane,
  log: (line: string) => void = () => undefined,
): Promise<ReferenceAdapter> {
  const command = await ensureReferenceAdapter(log);
  await cluster.kubectlOk(['apply', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects() }));
  const kubeconfig = await cluster.kubeconfigForServiceAccount(namespace, name);
  const authority = await createAuthority('reference-adapter-ca');
  const serverName = `${name}.${namespace}.svc`;
  const pair = await authority.issue({ commonName: name, dnsNames: [serverName, 'localhost'], usage: 'server' });
  const file = (suffix: string): string => join(cluster.dir, `${name}.${suffix}`);
  await writeFile(file('crt'), pair.certPem);
  await writeFile(file('key'), pair.keyPem, { mode: 0o600 });
  const port = await freePort();
  const args = [
    '--bind-address=127.0.0.1',
    `--secure-port=${port}`,
    `--tls-cert-file=${file('crt')}`,
    `--tls-private-key-file=${file('key')}`,
    `--lister-kubeconfig=${kubeconfig}`,
    `--authentication-kubeconfig=${kubeconfig}`,
    `--authorization-kubeconfig=${kubeconfig}`,
  ];
  return {
    start: async (group, metricsFile) => {
      const startMs = performance.now();
      const fromFile = metricsFile === undefined ? [] : [`--external-metrics-file=${metricsFile}`];
      const process = await group.start({ name, command, args: [...args, ...fromFile] });
      const server = { name, port, serverName, caPem: authority.certPem, process };
      await whenReady(server);
      return { ...server, readyMs: performance.now() - startMs };
    },
  };
}

function objects(): unknown[] {
  const subjects = [{ kind: 'ServiceAccount', name, namespace }];
  const rbac = 'rbac.authorization.k8s.io';
  return [
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } },
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name, namespace } },
    {
      apiVersion: `${rbac}/v1`,
      kind: 'ClusterRoleBinding',
      metadata: { name: `${name}:system:auth-delegator` },
      roleRef: { apiGroup: rbac, kind: 'ClusterRole', name: 'system:auth-delegator' },
      subjects,
    },
    {
      apiVersion: `${rbac}/v1`,
      kind: 'RoleBinding',
      metadata: { name, namespace: 'kube-system' },
      roleRef: { apiGroup: rbac, kind: 'Role', name: 'extension-apiserver-authentication-reader' },
      subjects,
    },
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name, namespace },
      spec: { type: 'ExternalName', externalName: 'localhost' },
    },
  ];
}
