// SPDX-License-Identifier: Apache-2.0
import { readdir, readFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { clonePoolSchema } from '../../src/api/v1alpha1/clone-pool.ts';
import { cloneTemplateSchema } from '../../src/api/v1alpha1/clone-template.ts';
import { demandForecastSchema } from '../../src/api/v1alpha1/demand-forecast.ts';
import { readWorkloads, settledDeployments } from './workloads.ts';
import type { ExampleObject } from './workloads.ts';

const folder = new URL('../../manifests/examples/', import.meta.url);
const files = (await readdir(folder)).filter((name) => name.endsWith('.yaml'));

const schemas = new Map<string, unknown>([
  ['DemandForecast', demandForecastSchema],
  ['ClonePool', clonePoolSchema],
  ['CloneTemplate', cloneTemplateSchema],
]);

interface Schema {
  readonly properties?: Readonly<Record<string, Schema>>;
}

/** Fields of a value that its schema does not have. */
function unknownFields(value: unknown, { properties }: Schema): string[] {
  if (properties === undefined || typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, inner]) => {
    const schema = properties[name];
    return schema === undefined ? [name] : unknownFields(inner, schema);
  });
}

describe('each example', () => {
  test.each(files)('%s is YAML whose objects of our kinds have only fields that there are', async (file) => {
    const documents = parseAllDocuments(await readFile(new URL(file, folder), 'utf8'));
    expect(documents.flatMap(({ errors }) => errors)).toEqual([]);
    const ours = documents.map((document) => document.toJS() as ExampleObject).filter(({ kind }) => schemas.has(kind));
    expect(ours).not.toEqual([]);
    const unknown = ours.flatMap(({ kind, spec }) =>
      unknownFields({ spec }, JSON.parse(JSON.stringify(schemas.get(kind))) as Schema),
    );
    expect(unknown).toEqual([]);
  });
});

describe('the twins', () => {
  test('are the same but for their name, their mode and the metric predicted_demand', async () => {
    const read = async (twin: string, other: string): Promise<string> => {
      const text = await readFile(new URL(`${twin}.yaml`, folder), 'utf8');
      return text.replaceAll(twin, other).replace(/^#.*\n/gm, '');
    };
    const predictive = await read('predictive', 'twin');
    const reactive = await read('reactive', 'twin');
    const onlyPredictive = predictive.split('\n').filter((line) => !reactive.split('\n').includes(line));
    expect(onlyPredictive).toEqual([
      '  mode: Auto',
      '  gate: {override: true}',
      '        metric: {name: predicted_demand, selector: {matchLabels: {forecast: twin}}}',
    ]);
    expect(reactive.split('\n').filter((line) => !predictive.split('\n').includes(line))).toEqual(['  mode: Preview']);
  });

  test('have the sizes that the load is made for', async () => {
    const workloads = await readWorkloads();
    expect(workloads.sizing).toEqual({ capacityPerPod: 50, minReplicas: 2, maxReplicas: 100 });
    expect(workloads.targetPerPod).toBe(35);
    expect(workloads.deployments.map(({ metadata }) => metadata.name)).toEqual(['reactive', 'predictive']);
    expect(workloads.scaling).toHaveLength(4);
  });

  test.each([
    ['what the HPA would have', 500, 15],
    ['at least the minimum', 10, 2],
    ['at most the maximum', 100_000, 100],
  ])('begin with %s', async (_, demand, replicas) => {
    const settled = settledDeployments(await readWorkloads(), demand);
    expect(settled.map(({ spec }) => spec['replicas'])).toEqual([replicas, replicas]);
  });
});
