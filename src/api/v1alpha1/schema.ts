// SPDX-License-Identifier: Apache-2.0
import { Type } from '@sinclair/typebox';
import type { TSchema } from '@sinclair/typebox';

/** A CEL rule of a CRD (x-kubernetes-validations). */
export interface CelRule {
  readonly rule: string;
  readonly message: string;
  readonly fieldPath?: string;
}

/** The rules as the schema keyword that Kubernetes reads. */
export function cel(...rules: readonly CelRule[]): Record<string, unknown> {
  return { 'x-kubernetes-validations': rules };
}

/** A string out of a closed list. */
export function oneOf<const T extends readonly string[]>(values: T, options: Record<string, unknown>) {
  return Type.Unsafe<T[number]>({ type: 'string', enum: [...values], ...options });
}

/** A Kubernetes Quantity: an integer, or a string such as 500m. */
export function quantity(options: Record<string, unknown>) {
  return Type.Unsafe<string | number>({
    anyOf: [{ type: 'integer' }, { type: 'string' }],
    'x-kubernetes-int-or-string': true,
    pattern: '^[0-9]+(\\.[0-9]+)?(n|u|m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei|[eE][+-]?[0-9]+)?$',
    ...options,
  });
}

/** A quantity greater than 0; `name` is how the message calls it. */
export function positiveQuantity(name: string, description: string) {
  return quantity({
    description,
    ...cel({
      rule: "type(self) == int ? int(self) > 0 : quantity(string(self)).isGreaterThan(quantity('0'))",
      message: `${name} must be greater than 0`,
    }),
  });
}

/** A quantity as Headstart writes it: always a string, in integer milli. */
export const milliQuantity = (description: string) => Type.String({ description, maxLength: 20 });

/** The name of an object. */
export const objectName = (description: string) =>
  Type.String({ minLength: 1, maxLength: 253, pattern: '^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$', description });

/** An RFC 3339 time. */
export const time = (description: string) => Type.String({ format: 'date-time', description });

/** A duration that CEL understands too: no days. */
export const durationPattern = '([0-9]+(ms|s|m|h))+';

/** A map-like list: server-side apply merges it by key. */
export function listMap<T extends TSchema>(items: T, keys: readonly string[], options: Record<string, unknown>) {
  return Type.Array(items, {
    'x-kubernetes-list-type': 'map',
    'x-kubernetes-list-map-keys': keys,
    ...options,
  });
}

/** Keys of any name; TypeBox's own records become patternProperties, which a CRD may not have. */
export function mapOf<T>(values: Record<string, unknown>, options: Record<string, unknown>) {
  return Type.Unsafe<Readonly<Record<string, T>>>({ type: 'object', additionalProperties: values, ...options });
}

/** Bounds of a duration; what is no duration is left to the pattern, which says it better. */
export function durationBetween(min: string, max: string, message: string): Record<string, unknown> {
  const within = `duration(self) >= duration('${min}') && duration(self) <= duration('${max}')`;
  return cel({ rule: `!self.matches('^${durationPattern}$') || (${within})`, message });
}
