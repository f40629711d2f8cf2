// SPDX-License-Identifier: Apache-2.0
import { parseAllDocuments } from 'yaml';
import type { ControlPlane } from './control-plane.ts';

/** The parts of a manifest that the harness looks at. */
export interface Manifest {
  apiVersion: string;
  kind: string;
  metadata: { name: string; namespace?: string };
  spec?: Record<string, unknown>;
  data?: Record<string, string>;
  /** Of a MutatingWebhookConfiguration. */
  webhooks?: readonly { clientConfig: { service: { port?: number } } }[];
}

interface EnvVar {
  readonly name: string;
  readonly value?: string;
  readonly valueFrom?: { readonly fieldRef?: { readonly fieldPath: string } };
}

/** What a Deployment says about the process that it runs. */
export interface RenderedRole {
  readonly deployment: string;
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly replicas: number;
  readonly command: readonly string[];
  /** Environment of replica number `index`. */
  readonly env: (index: number) => Record<string, string>;
}

/** The objects of a kustomization. */
export async function renderKustomization(controlPlane: ControlPlane, folder: string): Promise<Manifest[]> {
  const text = await controlPlane.kubectlOk(['kustomize', folder]);
  return parseAllDocuments(text).map((document) => document.toJS() as Manifest);
}

/** Reads the one container of a Deployment. */
export function renderedRole(deployment: Manifest, objects: readonly Manifest[]): RenderedRole {
  const { replicas, template } = deployment.spec as {
    replicas: number;
    template: { spec: { serviceAccountName: string; containers: Container[] } };
  };
  const [container] = template.spec.containers;
  if (container === undefined) throw new Error(`${deployment.metadata.name}: no container`);
  const { name, namespace = '' } = deployment.metadata;
  return {
    deployment: name,
    namespace,
    serviceAccount: template.spec.serviceAccountName,
    replicas,
    command: [...container.command, ...container.args],
    env: (index) => ({
      ...configMapEnv(container, objects),
      ...ownEnv(container, { 'metadata.name': `${name}-${index}`, 'metadata.namespace': namespace }),
    }),
  };
}

interface Container {
  readonly command: readonly string[];
  readonly args: readonly string[];
  readonly env?: readonly EnvVar[];
  readonly envFrom?: readonly { readonly configMapRef: { readonly name: string } }[];
}

function configMapEnv(container: Container, objects: readonly Manifest[]): Record<string, string> {
  const env: Record<string, string> = {};
  for (const { configMapRef } of container.envFrom ?? []) {
    const found = objects.find(({ kind, metadata }) => kind === 'ConfigMap' && metadata.name === configMapRef.name);
    if (found === undefined) throw new Error(`envFrom: ConfigMap ${configMapRef.name} is not in the rendering`);
    Object.assign(env, found.data);
  }
  return env;
}

function ownEnv(container: Container, fields: Readonly<Record<string, string>>): Record<string, string> {
  const entries = (container.env ?? []).map(({ name, value, valueFrom }) => {
    const resolved = value ?? fields[valueFrom?.fieldRef?.fieldPath ?? ''];
    if (resolved === undefined) throw new Error(`env ${name}: no value, and not a field that the harness knows`);
    return [name, resolved] as const;
  });
  return Object.fromEntries(entries);
}
