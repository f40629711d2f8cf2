// SPDX-License-Identifier: Apache-2.0
import { readFile } from 'node:fs/promises';
import { parseAllDocuments } from 'yaml';
import { parseQuantity } from '../../src/base/quantity.ts';
import { twins } from './score.ts';
import type { Sizing, Twin } from './score.ts';

/** Any object of the example manifests; the parts that are looked at. */
export interface ExampleObject {
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly spec: Record<string, unknown>;
}

/** The objects of the two twins, as manifests/examples has them. */
export interface Workloads {
  readonly deployments: readonly ExampleObject[];
  /** DemandForecasts and HPAs, which need Headstart. */
  readonly scaling: readonly ExampleObject[];
  readonly sizing: Sizing;
  /** Demand per pod that both HPAs aim at. */
  readonly targetPerPod: number;
}

const examples = new URL('../../manifests/examples/', import.meta.url);

/** Reads both twins. @throws Error when the manifests lack what is looked for */
export async function readWorkloads(): Promise<Workloads> {
  const objects = (await Promise.all(twins.map(readTwin))).flat();
  const hpa = find(objects, 'HorizontalPodAutoscaler').spec as unknown as HpaSpec;
  const forecast = find(objects, 'DemandForecast').spec as { capacityPerReplica: string };
  const target = hpa.metrics[0]?.external.target.averageValue ?? '';
  return {
    deployments: objects.filter(({ kind }) => kind === 'Deployment'),
    scaling: objects.filter(({ kind }) => kind !== 'Deployment'),
    sizing: {
      capacityPerPod: parseQuantity(forecast.capacityPerReplica, 'capacityPerReplica'),
      minReplicas: hpa.minReplicas,
      maxReplicas: hpa.maxReplicas,
    },
    targetPerPod: parseQuantity(target, 'averageValue'),
  };
}

interface HpaSpec {
  readonly minReplicas: number;
  readonly maxReplicas: number;
  readonly metrics: readonly { readonly external: { readonly target: { readonly averageValue: string } } }[];
}

async function readTwin(twin: Twin): Promise<ExampleObject[]> {
  const text = await readFile(new URL(`${twin}.yaml`, examples), 'utf8');
  return parseAllDocuments(text).map((document) => document.toJS() as ExampleObject);
}

function find(objects: readonly ExampleObject[], kind: string): ExampleObject {
  const found = objects.find((object) => object.kind === kind);
  if (found === undefined) throw new Error(`manifests/examples: no ${kind} of the twins`);
  return found;
}

/** The Deployments with as many pods as the HPA would give a demand, so that the show begins settled. */
export function settledDeployments(workloads: Workloads, demand: number): ExampleObject[] {
  const { minReplicas, maxReplicas } = workloads.sizing;
  const replicas = Math.min(maxReplicas, Math.max(minReplicas, Math.ceil(demand / workloads.targetPerPod)));
  return workloads.deployments.map((deployment) => ({ ...deployment, spec: { ...deployment.spec, replicas } }));
}

/** A List for kubectl. */
export function asList(items: readonly unknown[]): string {
  return JSON.stringify({ apiVersion: 'v1', kind: 'List', items });
}
