// SPDX-License-Identifier: Apache-2.0
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from './process.ts';

/** A cluster in Docker. */
export interface KindCluster {
  readonly kubeconfigPath: string;
  readonly kubectlPath: string;
  readonly kindClusterName: string;
  stop(): Promise<void>;
}

/**
 * Creates a kind cluster from `hack/kind.yaml` with the HPA's sync period set; its kubeconfig goes to `dir`.
 * @throws Error with what kind said
 */
export async function startKind(
  dir: string,
  options: { readonly hpaSyncPeriodSeconds: number; readonly log: (line: string) => void },
): Promise<KindCluster> {
  const name = `headstart-${randomBytes(3).toString('hex')}`;
  const kubeconfigPath = join(dir, 'admin.kubeconfig');
  const stop = async (): Promise<void> => {
    await run('kind', ['delete', 'cluster', '--name', name, '--kubeconfig', kubeconfigPath]);
  };
  const template = await readFile(join(import.meta.dirname, '../../hack/kind.yaml'), 'utf8');
  const config = template.replace(/value: 15s$/m, `value: ${options.hpaSyncPeriodSeconds}s`);
  options.log(`creating the kind cluster ${name}, a minute or two …`);
  const args = ['create', 'cluster', '--name', name, '--kubeconfig', kubeconfigPath, '--wait', '180s', '--config', '-'];
  const created = await run('kind', args, { input: config });
  if (created.code !== 0) {
    await stop();
    throw new Error(`kind create cluster: ${created.stderr.trim()}`);
  }
  return { kubeconfigPath, kubectlPath: 'kubectl', kindClusterName: name, stop };
}
