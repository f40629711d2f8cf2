// SPDX-License-Identifier: Apache-2.0
import { metricNames } from '../api/labels.ts';
import { jsonDocument } from './documents.ts';
import type { Document } from './documents.ts';

/** The version that external metrics are served in. */
export const version = 'v1beta1';
/** What a metric answers with. */
export const listKind = 'ExternalMetricValueList';
/** The kind of the items of that list. */
export const itemKind = 'ExternalMetricValue';
/** The media type of aggregated discovery; kube-aggregator looks at all three parameters. */
export const aggregatedDiscoveryType = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList';

/** Every discovery document, for the groups that the metrics are served in. */
export interface Discovery {
  /** `/apis`, for those who ask for plain JSON. */
  readonly groupList: Document;
  /** `/apis`, for those who ask for aggregated discovery. */
  readonly aggregated: Document;
  /** `/apis/<group>` and `/apis/<group>/v1beta1`, by group. */
  readonly groups: ReadonlyMap<string, { readonly group: Document; readonly resources: Document }>;
}

/**
 * Describes the metrics as resources. The names are static and there are always some: an empty list makes every kubectl
 * call complain. The only verb is get, so that garbage collection, quota and the namespace controller keep away. Shapes:
 * apimachinery pkg/apis/meta/v1/types.go, api apidiscovery/v2/types.go.
 */
export function createDiscovery(groups: readonly string[]): Discovery {
  return {
    groupList: jsonDocument({ kind: 'APIGroupList', apiVersion: 'v1', groups: groups.map(describeGroup) }),
    aggregated: jsonDocument({
      kind: 'APIGroupDiscoveryList',
      apiVersion: 'apidiscovery.k8s.io/v2',
      metadata: {},
      items: groups.map(describeAggregated),
    }),
    groups: new Map(
      groups.map((group) => [
        group,
        {
          group: jsonDocument({ kind: 'APIGroup', apiVersion: 'v1', ...describeGroup(group) }),
          resources: jsonDocument(describeResources(group)),
        },
      ]),
    ),
  };
}

function describeGroup(group: string): { readonly name: string } & Record<string, unknown> {
  const groupVersion = { groupVersion: `${group}/${version}`, version };
  return { name: group, versions: [groupVersion], preferredVersion: groupVersion };
}

function describeResources(group: string): unknown {
  return {
    kind: 'APIResourceList',
    apiVersion: 'v1',
    groupVersion: `${group}/${version}`,
    resources: metricNames.map((name) => ({
      name,
      singularName: '',
      namespaced: true,
      kind: listKind,
      verbs: ['get'],
    })),
  };
}

function describeAggregated(group: string): unknown {
  const resources = metricNames.map((resource) => ({
    resource,
    responseKind: { group, version, kind: listKind },
    scope: 'Namespaced',
    singularResource: '',
    verbs: ['get'],
  }));
  return {
    metadata: { name: group, creationTimestamp: null },
    versions: [{ version, resources, freshness: 'Current' }],
  };
}
