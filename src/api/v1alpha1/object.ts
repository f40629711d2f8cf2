// SPDX-License-Identifier: Apache-2.0
import { Type } from '@sinclair/typebox';
import { oneOf, time } from './schema.ts';

/** What the apiserver says of each object of ours. */
export interface ObjectMetadata {
  readonly name: string;
  readonly namespace: string;
  readonly uid: string;
  readonly generation: number;
  readonly resourceVersion: string;
  readonly creationTimestamp: string;
  readonly deletionTimestamp?: string;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** metav1.Condition. */
export const conditionSchema = Type.Object({
  type: Type.String({ maxLength: 316 }),
  status: oneOf(['True', 'False', 'Unknown'], {}),
  observedGeneration: Type.Integer({ minimum: 0 }),
  lastTransitionTime: time(''),
  reason: Type.String({ minLength: 1, maxLength: 1024 }),
  message: Type.String({ maxLength: 32_768 }),
});
