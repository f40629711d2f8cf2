// SPDX-License-Identifier: Apache-2.0
import { forecastLabel, metricNames } from '../api/labels.ts';
import type { MetricName } from '../api/labels.ts';
import { itemKind, listKind, version } from './discovery.ts';
import { jsonDocument } from './documents.ts';
import type { Document } from './documents.ts';

/** The OpenAPI documents, for the groups that the metrics are served in. */
export interface OpenApi {
  /** `/openapi/v2`. Without it kube-apiserver logs an error a minute, forever. */
  readonly v2: Document;
  /** `/openapi/v3`, which names the documents below with their hashes. */
  readonly v3Index: Document;
  /** `/openapi/v3/apis/<group>/v1beta1`, by group. */
  readonly v3: ReadonlyMap<string, Document>;
}

type Json = Readonly<Record<string, unknown>>;

/** How the two versions of OpenAPI differ, for what is described here. */
interface Dialect {
  readonly definitions: string;
  /** All are required: an empty selector is refused. */
  parameter(place: 'path' | 'query', name: string, description: string): Json;
  response(description: string, schema: Json): Json;
}

const swagger: Dialect = {
  definitions: '#/definitions/',
  parameter: (place, name, description) => ({
    in: place,
    name,
    description,
    required: true,
    type: 'string',
    uniqueItems: true,
  }),
  response: (description, schema) => ({ description, schema }),
};

const openApi3: Dialect = {
  definitions: '#/components/schemas/',
  parameter: (place, name, description) => ({
    in: place,
    name,
    description,
    required: true,
    schema: { type: 'string', uniqueItems: true },
  }),
  response: (description, schema) => ({ description, content: { 'application/json': { schema } } }),
};

const descriptions: Readonly<Record<MetricName, string>> = {
  predicted_demand:
    'Demand to scale for: the larger of observed demand and forecast (in mode Preview observed demand).',
  observed_demand: 'The last observation of demand, while it is fresh.',
  forecast_demand: 'The forecast alone, for dashboards and dry runs.',
};
const definitionPrefix = 'io.k8s.metrics.pkg.apis.external_metrics.v1beta1.';

/** Describes the three metrics, each a list that a GET gives. */
export function createOpenApi(groups: readonly string[], productVersion: string): OpenApi {
  const info = { title: 'Headstart', version: productVersion };
  const v3 = new Map(
    groups.map((group) => [
      group,
      jsonDocument({
        openapi: '3.0.0',
        info,
        paths: describePaths([group], openApi3),
        components: { schemas: describeSchemas(groups, openApi3) },
      }),
    ]),
  );
  return {
    v2: jsonDocument({
      swagger: '2.0',
      info,
      paths: describePaths(groups, swagger),
      definitions: describeSchemas(groups, swagger),
    }),
    v3Index: jsonDocument({ paths: Object.fromEntries([...v3].map(describeLeaf)) }),
    v3,
  };
}

function describeLeaf([group, { hash }]: readonly [string, Document]): readonly [string, Json] {
  const path = `apis/${group}/${version}`;
  return [path, { serverRelativeURL: `/openapi/v3/${path}?hash=${hash}` }];
}

function describePaths(groups: readonly string[], dialect: Dialect): Json {
  return Object.fromEntries(
    groups.flatMap((group) =>
      metricNames.map((metric) => [
        `/apis/${group}/${version}/namespaces/{namespace}/${metric}`,
        {
          parameters: [dialect.parameter('path', 'namespace', 'Namespace of the DemandForecast.')],
          get: describeGet(group, metric, dialect),
        },
      ]),
    ),
  );
}

function describeGet(group: string, metric: MetricName, dialect: Dialect): Json {
  const list = { $ref: `${dialect.definitions}${definitionPrefix}${listKind}` };
  const selector = `Picks one DemandForecast: ${forecastLabel}=<its name>.`;
  return {
    description: descriptions[metric],
    operationId: operationId(group, metric),
    tags: [`${camelCase(group)}_${version}`],
    ...(dialect === swagger ? { schemes: ['https'], produces: ['application/json'] } : {}),
    parameters: [dialect.parameter('query', 'labelSelector', selector)],
    responses: {
      200: dialect.response('OK', list),
      401: { description: 'Unauthorized' },
      404: { description: 'Nothing is known that could be published.' },
    },
    'x-kubernetes-action': 'list',
    'x-kubernetes-group-version-kind': { group, version, kind: listKind },
  };
}

/**
 * The definitions use no shared ones (Quantity, ListMeta): the aggregator would rename every copy that differs from its
 * own by a comma.
 */
function describeSchemas(groups: readonly string[], dialect: Dialect): Json {
  const kinds = (kind: string): Json[] => groups.map((group) => ({ group, version, kind }));
  const text = (description: string): Json => ({ type: 'string', description });
  const properties = {
    apiVersion: text('Group and version.'),
    kind: text('Kind.'),
  };
  const item = {
    ...properties,
    metricName: text('Name of the metric.'),
    metricLabels: {
      type: 'object',
      additionalProperties: { type: 'string' },
      description: `The label ${forecastLabel}, with the name of the DemandForecast.`,
    },
    timestamp: { ...text('When the value holds.'), format: 'date-time' },
    window: { type: 'integer', format: 'int64', description: 'Seconds that the value stands for.' },
    value: text('A Quantity, in integer milli.'),
  };
  return {
    [definitionPrefix + itemKind]: {
      type: 'object',
      description: 'A value of a metric.',
      required: ['metricName', 'metricLabels', 'timestamp', 'value'],
      properties: item,
      'x-kubernetes-group-version-kind': kinds(itemKind),
    },
    [definitionPrefix + listKind]: {
      type: 'object',
      description: 'Values of a metric; there is exactly one.',
      required: ['items'],
      properties: {
        ...properties,
        metadata: { type: 'object', description: 'Always empty.' },
        items: {
          type: 'array',
          items: { $ref: `${dialect.definitions}${definitionPrefix}${itemKind}` },
          description: 'The values.',
        },
      },
      'x-kubernetes-group-version-kind': kinds(listKind),
    },
  };
}

function operationId(group: string, metric: MetricName): string {
  return `list${capitalize(camelCase(group))}${capitalize(version)}Namespaced${capitalize(camelCase(metric))}`;
}

function camelCase(text: string): string {
  return text.replaceAll(/[._-]+([a-z0-9])/g, (_match, letter: string) => letter.toUpperCase());
}

function capitalize(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
