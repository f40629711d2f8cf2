// SPDX-License-Identifier: Apache-2.0
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';

/** What a network call came to; the word is an error code of base/errors.ts, or Success. */
interface CallOutcome {
  readonly outcome: string;
  readonly seconds: number;
}

/** Headstart's own metrics, all in one place; the prefix is `headstart_`. */
export interface Metrics {
  /** Answers for Prometheus, and their content type. */
  readonly registry: Registry;
  kubeRequest(call: CallOutcome & { readonly verb: string }): void;
  sourceRequest(call: CallOutcome & { readonly server: string }): void;
  /** Requests to the external metrics API by route, which is a pattern, and status code. */
  metricRequest(call: { readonly route: string; readonly code: number; readonly seconds: number }): void;
  /** What a metric said, by the rung of the ladder that the value came from. */
  metricAnswered(answer: { readonly metric: string; readonly rung: string }): void;
  reconciled(call: CallOutcome & { readonly controller: string }): void;
  leading(isLeader: boolean): void;
}

const seconds = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/** A registry of its own for each process, so that tests do not share counters. */
export function createMetrics(): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const histogram = <const L extends readonly string[]>(name: string, help: string, labelNames: L) =>
    new Histogram<L[number]>({ name, help, labelNames, buckets: seconds, registers: [registry] });
  const kube = histogram('headstart_kube_request_duration_seconds', 'Requests to the apiserver, by verb and outcome.', [
    'verb',
    'outcome',
  ]);
  const source = histogram(
    'headstart_source_request_duration_seconds',
    'Requests to metric sources, by configured server and outcome.',
    ['server', 'outcome'],
  );
  const metric = histogram(
    'headstart_metrics_api_request_duration_seconds',
    'Requests to the external metrics API, by route and status code.',
    ['route', 'code'],
  );
  const reconcile = histogram('headstart_reconcile_duration_seconds', 'Reconciliations, by controller and outcome.', [
    'controller',
    'outcome',
  ]);
  const answers = new Counter({
    name: 'headstart_metrics_api_answers_total',
    help: 'Answers of the external metrics API, by metric and rung of the ladder; Nothing means an error.',
    labelNames: ['metric', 'rung'],
    registers: [registry],
  });
  const leader = new Gauge({
    name: 'headstart_leader',
    help: '1 while this replica holds the Lease of the forecaster.',
    registers: [registry],
  });
  return {
    registry,
    kubeRequest: ({ verb, outcome, seconds: took }) => kube.observe({ verb, outcome }, took),
    sourceRequest: ({ server, outcome, seconds: took }) => source.observe({ server, outcome }, took),
    metricRequest: ({ route, code, seconds: took }) => metric.observe({ route, code }, took),
    metricAnswered: ({ metric: name, rung }) => answers.inc({ metric: name, rung }),
    reconciled: ({ controller, outcome, seconds: took }) => reconcile.observe({ controller, outcome }, took),
    leading: (isLeader) => leader.set(isLeader ? 1 : 0),
  };
}
