// SPDX-License-Identifier: Apache-2.0
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import { catalogue } from './catalogue.ts';
import type { MetricDefinition } from './catalogue.ts';

/** What a network call came to; the word is an error code of base/errors.ts, or Success. */
interface CallOutcome {
  readonly outcome: string;
  readonly seconds: number;
}

/** Headstart's own metrics, all in one place; what each means is in catalogue.ts. */
export interface Metrics {
  /** Answers for Prometheus, and their content type. */
  readonly registry: Registry;
  kubeRequest(call: CallOutcome & { readonly verb: string }): void;
  sourceRequest(call: CallOutcome & { readonly server: string }): void;
  /** Requests to the external metrics API by route, which is a pattern, and status code. */
  metricRequest(call: { readonly route: string; readonly code: number; readonly seconds: number }): void;
  /** What a metric said, by the rung of the ladder that the value came from. */
  metricAnswered(answer: { readonly metric: string; readonly rung: string }): void;
  /** The one state of all that holds. */
  apiService(state: string, all: readonly string[]): void;
  /** Requests to the webhook and to the scheduler extender, as metricRequest. */
  clonesRequest(call: { readonly route: string; readonly code: number; readonly seconds: number }): void;
  clonesCreated(count: number): void;
  cloneEnded(reason: string): void;
  /** A try to make clones that was refused. */
  clonesRefused(reason: string): void;
  /** More clones are wanted of a ClonePool, or fewer. */
  poolScaled(reason: string): void;
  /** A scan of the sweeper. */
  swept(scan: { readonly clones: number; readonly seconds: number }): void;
  /** How many nodes were scored for a pod. */
  prioritized(nodes: number): void;
  /** A pod that the webhook was asked about. */
  reviewed(outcome: string): void;
  /** The one state of all that holds. */
  webhook(state: string, all: readonly string[]): void;
  /** When the certificate that a server serves runs out, epoch seconds. */
  certificateExpires(server: 'metrics' | 'clones', atSeconds: number): void;
  reconciled(call: CallOutcome & { readonly controller: string }): void;
  /** A look at a DemandForecast: what its conditions say, and how much later than planned it came. */
  decided(look: {
    readonly conditions: readonly { readonly type: string; readonly reason: string }[];
    readonly delaySeconds: number | undefined;
    readonly refits: readonly string[];
  }): void;
  /** Whether this replica holds a Lease. */
  leading(lease: string, isLeader: boolean): void;
  /** Asked at each scrape for when the apiserver last said something about a resource, ms since the epoch. */
  followContact(resource: string, lastContactMs: () => number): void;
}

/** A registry of its own for each process, so that tests do not share counters. */
export function createMetrics(version: string): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  gauge(registry, catalogue.buildInfo).set({ version, node: process.versions.node }, 1);
  const kube = histogram(registry, catalogue.kubeRequest);
  const source = histogram(registry, catalogue.sourceRequest);
  const metric = histogram(registry, catalogue.metricRequest);
  const clones = histogram(registry, catalogue.clonesRequest);
  const reconcile = histogram(registry, catalogue.reconcile);
  const lookDelay = histogram(registry, catalogue.lookDelay);
  const answers = counter(registry, catalogue.answers);
  const decisions = counter(registry, catalogue.decisions);
  const refit = counter(registry, catalogue.refits);
  const created = counter(registry, catalogue.clonesCreated);
  const ended = counter(registry, catalogue.clonesEnded);
  const refused = counter(registry, catalogue.clonesRefused);
  const scalings = counter(registry, catalogue.poolScalings);
  const sweep = histogram(registry, catalogue.sweep);
  const alive = gauge(registry, catalogue.clonesAlive);
  const prioritized = counter(registry, catalogue.prioritized);
  const reviews = counter(registry, catalogue.reviews);
  const apiService = gauge(registry, catalogue.apiServiceState);
  const webhook = gauge(registry, catalogue.webhookState);
  const certificate = gauge(registry, catalogue.certificateExpiry);
  const leader = gauge(registry, catalogue.leader);
  const contacts = new Map<string, () => number>();
  gauge(registry, catalogue.cacheContact, (set) => {
    for (const [resource, lastContactMs] of contacts) set({ resource }, lastContactMs() / 1000);
  });
  return {
    registry,
    kubeRequest: ({ verb, outcome, seconds }) => kube.observe({ verb, outcome }, seconds),
    sourceRequest: ({ server, outcome, seconds }) => source.observe({ server, outcome }, seconds),
    metricRequest: ({ route, code, seconds }) => metric.observe({ route, code }, seconds),
    metricAnswered: ({ metric: name, rung }) => answers.inc({ metric: name, rung }),
    apiService: (state, all) => setOne(apiService, state, all),
    webhook: (state, all) => setOne(webhook, state, all),
    clonesCreated: (count) => created.inc(count),
    cloneEnded: (reason) => ended.inc({ reason }),
    clonesRefused: (reason) => refused.inc({ reason }),
    poolScaled: (reason) => scalings.inc({ reason }),
    swept: ({ clones: count, seconds }) => {
      sweep.observe(seconds);
      alive.set(count);
    },
    prioritized: (nodes) => prioritized.inc(nodes),
    reviewed: (outcome) => reviews.inc({ outcome }),
    clonesRequest: ({ route, code, seconds }) => clones.observe({ route, code }, seconds),
    certificateExpires: (server, atSeconds) => certificate.set({ server }, atSeconds),
    reconciled: ({ controller, outcome, seconds }) => reconcile.observe({ controller, outcome }, seconds),
    decided: ({ conditions, delaySeconds, refits }) => {
      for (const reason of refits) refit.inc({ reason });
      for (const { type, reason } of conditions) decisions.inc({ condition: type, reason });
      if (delaySeconds !== undefined) lookDelay.observe(delaySeconds);
    },
    leading: (lease, isLeader) => leader.set({ lease }, isLeader ? 1 : 0),
    followContact: (resource, lastContactMs) => void contacts.set(resource, lastContactMs),
  };
}

function setOne(of: Gauge, state: string, all: readonly string[]): void {
  for (const one of all) of.set({ state: one }, one === state ? 1 : 0);
}

/** Sets one series of a gauge. */
export type SetSeries = (labels: Readonly<Record<string, string>>, value: number) => void;

/** A gauge; with `collect` it has at each scrape the series that are set then, and no others. */
export function gauge(registry: Registry, definition: MetricDefinition, collect?: (set: SetSeries) => void): Gauge {
  return new Gauge({
    ...options(registry, definition),
    ...(collect === undefined
      ? {}
      : {
          collect(this: Gauge): void {
            this.reset();
            collect((labels, value) => this.set(labels, value));
          },
        }),
  });
}

function counter(registry: Registry, definition: MetricDefinition): Counter {
  return new Counter(options(registry, definition));
}

function histogram(registry: Registry, definition: MetricDefinition): Histogram {
  const { buckets = [] } = definition;
  return new Histogram({ ...options(registry, definition), buckets: [...buckets] });
}

function options(registry: Registry, { name, help, labels }: MetricDefinition) {
  return { name, help, labelNames: Object.keys(labels), registers: [registry] };
}
