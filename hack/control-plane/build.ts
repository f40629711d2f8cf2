// SPDX-License-Identifier: Apache-2.0
import { join } from 'node:path';
import { errorMessage } from '../../src/base/errors.ts';
import { ensureGoPrograms } from '../go-programs.ts';
import type { GoPrograms } from '../go-programs.ts';

/** Where the programs of a Kubernetes control plane are, by name. */
export interface ControlPlaneBinaries {
  readonly etcd: string;
  readonly apiserver: string;
  readonly controllerManager: string;
  readonly scheduler: string;
  readonly kwok: string;
  readonly kubectl: string;
}

const module = import.meta.dirname;

/** Quick ones first, so that something is seen to happen. */
const controlPlane: GoPrograms<keyof ControlPlaneBinaries> = {
  module,
  what: 'the Kubernetes control plane',
  otherwise: 'with Docker and kind installed, or KUBECONFIG set, it is not needed',
  ldflags: linkerFlags,
  programs: {
    etcd: { importPath: 'go.etcd.io/etcd/server/v3', file: 'etcd' },
    apiserver: { importPath: 'k8s.io/kubernetes/cmd/kube-apiserver', file: 'kube-apiserver' },
    controllerManager: { importPath: 'k8s.io/kubernetes/cmd/kube-controller-manager', file: 'kube-controller-manager' },
    scheduler: { importPath: 'k8s.io/kubernetes/cmd/kube-scheduler', file: 'kube-scheduler' },
    kwok: { importPath: 'sigs.k8s.io/kwok/cmd/kwok', file: 'kwok' },
    kubectl: { importPath: 'k8s.io/kubernetes/cmd/kubectl', file: 'kubectl' },
  },
};

/**
 * The programs of the control plane, built where the cache does not have them yet: about six minutes on two cores at
 * first, some seconds with a warm Go build cache.
 * @throws Error when Go is missing or a build fails, with what the compiler said
 */
export async function ensureControlPlaneBinaries(log: (line: string) => void): Promise<ControlPlaneBinaries> {
  return await ensureGoPrograms(controlPlane, log);
}

/** Without them Kubernetes says that it is v0.0.0, and some of its version checks fail. */
function linkerFlags(goMod: string): string {
  const version = /k8s\.io\/kubernetes (v(\d+)\.(\d+)\.\d+)/.exec(goMod);
  if (version === null) throw new Error(`${join(module, 'go.mod')}: no line "k8s.io/kubernetes vX.Y.Z"`);
  const variable = 'k8s.io/component-base/version';
  return [
    '-s -w',
    `-X ${variable}.gitVersion=${version[1]}`,
    `-X ${variable}.gitMajor=${version[2]}`,
    `-X ${variable}.gitMinor=${version[3]}`,
  ].join(' ');
}

if (import.meta.main) {
  const log = (line: string): boolean => process.stderr.write(`${line}\n`);
  try {
    const binaries = await ensureControlPlaneBinaries(log);
    for (const path of Object.values(binaries)) process.stdout.write(`${path}\n`);
  } catch (error) {
    log(errorMessage(error));
    process.exitCode = 1;
  }
}
