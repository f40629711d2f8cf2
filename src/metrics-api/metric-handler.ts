// SPDX-License-Identifier: Apache-2.0
import type { FastifyReply, FastifyRequest } from 'fastify';
import { forecastLabel, metricNames } from '../api/labels.ts';
import type { MetricName } from '../api/labels.ts';
import type { DemandForecast } from '../api/v1alpha1/demand-forecast.ts';
import type { Clock } from '../base/clock.ts';
import { errorMessage } from '../base/errors.ts';
import { formatMilli } from '../base/quantity.ts';
import { asksToWatch, requestAttributes } from '../server/request-info.ts';
import { nothingThere, StatusError } from '../server/status.ts';
import type { CarryingReader } from './carrying-index.ts';
import { listKind, version } from './discovery.ts';
import { readMetric, selectForecast } from './external-metrics.ts';
import type { ForecastReader, MetricReading, Rung } from './external-metrics.ts';
import { requireOffer } from './negotiation.ts';
import { parseSelector } from './selector.ts';
import type { Requirement } from './selector.ts';

/** An answered request for a metric; `Nothing` when there was nothing to publish. */
export interface MetricObservation {
  readonly metric: MetricName;
  readonly rung: Rung | 'Nothing';
}

/** What the handler works with. */
export interface MetricHandlerOptions {
  readonly reader: ForecastReader;
  /** What clones carry; nothing when left out. */
  readonly clones?: CarryingReader;
  readonly clock: Clock;
  readonly onMetric?: (observation: MetricObservation) => void;
}

interface MetricRequest {
  readonly group: string;
  readonly metric: MetricName;
  readonly namespace: string;
  readonly selector: string;
}

/** Answers `…/namespaces/<namespace>/<metric>?labelSelector=…` from the cache, with one item or a Status that says why. */
export function createMetricHandler({ reader, clones, clock, onMetric }: MetricHandlerOptions) {
  return async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
    requireOffer(request.headers.accept, [{}]);
    const wanted = parseRequest(request);
    const requirements = parseRequirements(wanted);
    const forecast = find(reader, wanted, requirements);
    const carrying = clones?.carryingFor(forecast) ?? [];
    const reading = readMetric(wanted.metric, forecast, clock.nowMs() / 1000, carrying);
    onMetric?.({ metric: wanted.metric, rung: reading.kind === 'value' ? reading.rung : 'Nothing' });
    if (reading.kind === 'missing') throw new StatusError('NotFound', reading.message);
    return reply
      .header('content-type', 'application/json')
      .header('cache-control', 'no-cache, private')
      .send(Buffer.from(JSON.stringify(describe(wanted, forecast, reading))));
  };
}

/**
 * Reads the path as authorization has read it, so that what is answered is what was allowed. Parameters of a list that
 * change nothing here (limit, fieldSelector, pretty …) are taken and ignored.
 */
function parseRequest(request: FastifyRequest): MetricRequest {
  const attributes = requestAttributes(request.method, request.url);
  const query = request.url.slice((request.url + '?').indexOf('?') + 1);
  if (attributes.kind !== 'resource' || attributes.namespace === undefined || attributes.name !== undefined) {
    throw nothingThere();
  }
  const { group, namespace, resource } = attributes;
  if (asksToWatch(query)) {
    const details = { group, kind: clip(resource) };
    throw new StatusError('MethodNotAllowed', 'watch is not supported here: read the metric again', { details });
  }
  const metric = metricNames.find((name) => name === resource);
  if (metric === undefined) {
    const served = metricNames.join(', ');
    throw new StatusError(
      'NotFound',
      `the server could not find the metric ${clip(resource)} for namespace ${namespace}; metrics are ${served}`,
    );
  }
  const parameters = new URLSearchParams(query);
  for (const name of ['limit', 'timeoutSeconds']) requireInteger(name, parameters.get(name));
  const [selector = '', ...others] = parameters.getAll('labelSelector');
  if (others.length > 0) throw new StatusError('BadRequest', 'labelSelector: got several, want one');
  return { group, metric, namespace, selector };
}

/** What changes nothing here is still to be what it says, as in the conversion of a query into ListOptions. */
function requireInteger(name: string, value: string | null): void {
  if (value === null || value === '' || /^[+-]?[0-9]{1,19}$/.test(value)) return;
  throw new StatusError('BadRequest', `${name}: got ${JSON.stringify(clip(value))}, want an integer`);
}

/** An empty selector is refused even where there is one forecast: a second one must not break the first one's HPA. */
function parseRequirements({ metric, namespace, selector }: MetricRequest): readonly Requirement[] {
  const requirements = attempt(() => parseSelector(selector));
  if (requirements.length > 0) return requirements;
  throw new StatusError(
    'BadRequest',
    `labelSelector: got none for ${metric} in namespace ${namespace}, want ${forecastLabel}=<name of a DemandForecast>`,
  );
}

function attempt<T>(parse: () => T): T {
  try {
    return parse();
  } catch (cause) {
    throw new StatusError('BadRequest', errorMessage(cause), { cause });
  }
}

function find(reader: ForecastReader, wanted: MetricRequest, requirements: readonly Requirement[]): DemandForecast {
  const { metric, namespace, selector } = wanted;
  if (!reader.hasSynced()) {
    throw new StatusError('ServiceUnavailable', 'DemandForecasts have not been read from the apiserver yet');
  }
  const selection = selectForecast(reader, namespace, requirements);
  switch (selection.kind) {
    case 'found':
      return selection.forecast;
    case 'none':
      throw new StatusError(
        'NotFound',
        `${metric}: no DemandForecast in namespace ${namespace} matches ${clip(selector)}`,
      );
    case 'several': {
      const { names, total } = selection;
      const rest = total > names.length ? ` and ${total - names.length} more` : '';
      throw new StatusError(
        'BadRequest',
        `labelSelector: ${clip(selector)} matches ${total} DemandForecasts in namespace ${namespace} (${names.join(', ')}${rest}), want one: ${forecastLabel}=<name>`,
      );
    }
  }
}

/** What a client sent comes back in messages, and they end in Events: not without bound. */
function clip(text: string): string {
  return text.length > 120 ? `${text.slice(0, 117)}…` : text;
}

/** The HPA sums all items, and reads integer milli exactly. */
function describe(
  { group, metric }: MetricRequest,
  { metadata }: DemandForecast,
  { value, timestamp, windowSeconds }: Extract<MetricReading, { kind: 'value' }>,
): unknown {
  return {
    kind: listKind,
    apiVersion: `${group}/${version}`,
    metadata: {},
    items: [
      {
        metricName: metric,
        metricLabels: { [forecastLabel]: metadata.name },
        timestamp: new Date(Math.floor(timestamp) * 1000).toISOString().replace('.000Z', 'Z'),
        ...(windowSeconds === undefined ? {} : { window: windowSeconds }),
        value: formatMilli(value),
      },
    ],
  };
}
