// SPDX-License-Identifier: Apache-2.0
import { Type } from '@sinclair/typebox';
import { cel, listMap, objectName, oneOf, time } from './schema.ts';

/** Application signals and resource use that `spec.signals` may name, and the ready-made queries of each. */
export const signalPresets = {
  latency: ['ingress-nginx-p95', 'ingress-nginx-p99', 'istio-p95', 'istio-p99', 'http-p95', 'http-p99'],
  errorRate: ['ingress-nginx', 'istio', 'http'],
  cpu: ['cpu'],
  memory: ['memory'],
  network: ['network'],
  disk: ['disk-io'],
} as const;
export type SignalName = keyof typeof signalPresets;
const signalNames = Object.keys(signalPresets) as SignalName[];

function signal(name: SignalName, description: string) {
  return Type.Optional(
    Type.Object(
      {
        query: Type.Optional(
          Type.String({ minLength: 1, maxLength: 4096, description: 'PromQL that gives one series.' }),
        ),
        preset: Type.Optional(
          oneOf(signalPresets[name], { description: 'A ready-made query for the target, in place of query.' }),
        ),
        service: Type.Optional(
          objectName('Service in front of the target, for presets of ingress-nginx; default its name.'),
        ),
      },
      {
        description,
        ...cel({
          rule: 'has(self.query) != has(self.preset)',
          message: 'exactly one of query and preset must be given',
        }),
      },
    ),
  );
}

/** `spec.signals`. */
export const signals = Type.Object(
  {
    latency: signal('latency', 'How long requests take, in seconds.'),
    errorRate: signal('errorRate', 'Share of requests that fail, from 0 to 1.'),
    cpu: signal('cpu', 'CPU in use, in cores.'),
    memory: signal('memory', 'Memory in use, in bytes.'),
    network: signal('network', 'Bytes received and sent, per second.'),
    disk: signal('disk', 'Bytes read and written, per second.'),
  },
  { description: 'How the workload does; read from where source.prometheus reads, with the same rights.' },
);

/** `status.signals`. */
export const signalStatus = listMap(
  Type.Object({
    name: oneOf(signalNames, { description: 'The signal.' }),
    value: Type.String({ maxLength: 24, description: 'Its last value.' }),
    time: time('When it was observed.'),
    normalLow: Type.Optional(Type.String({ maxLength: 24, description: 'Where it usually is, of the last day.' })),
    normalHigh: Type.Optional(Type.String({ maxLength: 24, description: 'Where it usually is, of the last day.' })),
  }),
  ['name'],
  {
    maxItems: signalNames.length,
    description: 'The signals; written down when they leave their normal range, or return.',
  },
);
