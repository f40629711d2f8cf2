// SPDX-License-Identifier: Apache-2.0
import type { TSchema } from '@sinclair/typebox';
import type { PrinterColumn } from './v1alpha1/demand-forecast.ts';
import { apiGroup } from './labels.ts';

/** What a CRD says besides its schema. */
export interface CrdDescription {
  readonly kind: string;
  readonly plural: string;
  readonly singular: string;
  readonly shortNames: readonly string[];
  readonly columns: readonly PrinterColumn[];
}

/**
 * The CustomResourceDefinition of a kind, from its one schema. TypeBox gives JSON Schema; a structural schema wants
 * `description` for kubectl explain and no symbols, which a JSON round trip takes care of.
 */
export function customResourceDefinition(description: CrdDescription, schema: TSchema): Record<string, unknown> {
  const openAPIV3Schema = JSON.parse(JSON.stringify(schema, withoutDefaulted)) as {
    properties: Record<string, unknown>;
  };
  openAPIV3Schema.properties = {
    apiVersion: { type: 'string' },
    kind: { type: 'string' },
    metadata: { type: 'object' },
    ...openAPIV3Schema.properties,
  };
  const { kind, plural, singular, shortNames, columns } = description;
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.${apiGroup}` },
    spec: {
      group: apiGroup,
      scope: 'Namespaced',
      names: { kind, listKind: `${kind}List`, plural, singular, shortNames, categories: ['headstart'] },
      versions: [
        {
          name: 'v1alpha1',
          served: true,
          storage: true,
          ...('status' in openAPIV3Schema.properties ? { subresources: { status: {} } } : {}),
          additionalPrinterColumns: columns,
          schema: { openAPIV3Schema },
        },
      ],
    },
  };
}

interface ObjectSchema {
  readonly properties?: Readonly<Record<string, { readonly default?: unknown }>>;
  readonly required?: readonly string[];
}

/** The apiserver fills in defaults: for a user, what has one is not required. */
function withoutDefaulted(_key: string, value: unknown): unknown {
  const { properties, required } = (value ?? {}) as ObjectSchema;
  if (properties === undefined || !Array.isArray(required)) return value;
  const rest = required.filter((name) => properties[name]?.default === undefined);
  const { required: _all, ...others } = value as Record<string, unknown>;
  return rest.length === 0 ? others : { ...others, required: rest };
}
