// SPDX-License-Identifier: Apache-2.0
import { Type } from '@sinclair/typebox';
import type { Static } from '@sinclair/typebox';
import { oneOf, time } from './schema.ts';

const samples = Type.Object(
  {
    version: oneOf(['1'], { description: 'How values are written.' }),
    resource: oneOf(['cpu', 'memory'], { description: 'What was measured.' }),
    target: Type.String({ maxLength: 320, description: 'Whose usage it is: Kind/name.' }),
    startTime: time('Where values begin.'),
    stepSeconds: Type.Integer({ minimum: 1, description: 'Seconds between values.' }),
    values: Type.String({
      maxLength: 65_536,
      description: '32-bit floats, little-endian, compressed by zlib, in base64; NaN for a gap.',
    }),
  },
  { description: 'Means of five minutes.' },
);

/** The schema that types and the CRD come from. */
export const demandHistorySchema = Type.Object(
  { samples: Type.Optional(samples) },
  { description: 'What the forecaster keeps of a source that has no history; written and read by Headstart alone.' },
);

/** A DemandHistory as the apiserver gives it; it has the name of its DemandForecast. */
export type DemandHistory = Static<typeof demandHistorySchema>;

/** Everything the CRD needs besides the schema. */
export const demandHistoryCrd = {
  kind: 'DemandHistory',
  plural: 'demandhistories',
  singular: 'demandhistory',
  shortNames: ['dh'],
  columns: [
    { name: 'Resource', type: 'string', jsonPath: '.samples.resource', description: 'What was measured' },
    { name: 'Target', type: 'string', jsonPath: '.samples.target', description: 'Whose usage it is' },
    { name: 'Since', type: 'string', jsonPath: '.samples.startTime', description: 'Where values begin' },
  ],
} as const;
