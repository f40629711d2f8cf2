// SPDX-License-Identifier: Apache-2.0
import { writeFile } from 'node:fs/promises';
import { isDeepStrictEqual } from 'node:util';
import { Client } from 'undici';
import { forecastLabel } from '../../src/api/labels.ts';
import type { DemandForecast } from '../../src/api/v1alpha1/demand-forecast.ts';
import { maxForecastAgeSeconds } from '../../src/api/v1alpha1/freshness.ts';
import { formatMilli, parseQuantity } from '../../src/base/quantity.ts';
import { readMetric } from '../../src/metrics-api/external-metrics.ts';
import type { Target } from './load.ts';

const metric = 'predicted_demand';

/**
 * Writes what Headstart answers about these DemandForecasts from now on, as the reference adapter reads it: an answer
 * changes with each step of a forecast, and when the forecast is too old.
 * @throws Error when one of them has no answer now
 */
export async function writeAnswers(forecasts: readonly DemandForecast[], path: string): Promise<void> {
  const now = Math.floor(Date.now() / 1000);
  const metrics = forecasts.map((forecast) => {
    const { name, namespace } = forecast.metadata;
    const values = changes(forecast, now).flatMap((from) => valueAt(forecast, from) ?? []);
    if (values[0]?.from !== now) throw new Error(`${namespace}/${name} has no ${metric}, the bench needs one`);
    return { namespace, metric, labels: { [forecastLabel]: name }, values };
  });
  await writeFile(path, JSON.stringify(metrics));
}

/** When the answer may be another one than before, the first time being now. Epoch seconds. */
function changes({ status }: DemandForecast, now: number): number[] {
  if (status?.forecast === undefined) return [now];
  const { startTime, issuedAt, stepSeconds, values } = status.forecast;
  const start = Date.parse(startTime) / 1000;
  const steps = Array.from({ length: values.length + 1 }, (_, index) => start + index * stepSeconds);
  // The moment at which it is that old is the last one that the forecast counts in.
  const tooOld = Date.parse(issuedAt) / 1000 + maxForecastAgeSeconds + 0.001;
  return [now, ...[...steps, tooOld].filter((time) => time > now).toSorted((a, b) => a - b)];
}

function valueAt(forecast: DemandForecast, from: number) {
  const reading = readMetric(metric, forecast, from);
  if (reading.kind === 'missing') return undefined;
  const { value, timestamp, windowSeconds } = reading;
  return { from, timestamp: Math.floor(timestamp), windowSeconds, value: formatMilli(value) };
}

/**
 * Asks both servers for the same `count` of `total` metrics, evenly spread, and compares the two lists.
 * @throws Error with both answers when they are not equal
 */
export async function requireEqualAnswers(
  [one, other]: readonly [Target, Target],
  count: number,
  total: number,
): Promise<void> {
  const clients: [Client, Client] = [connect(one), connect(other)];
  try {
    for (let sample = 0; sample < Math.min(count, total); sample += 1) {
      const index = Math.floor((sample * total) / Math.min(count, total));
      const ask = async (): Promise<[unknown, unknown]> => [
        await answer(clients[0], one, index),
        await answer(clients[1], other, index),
      ];
      // A step of the forecast may begin between two requests, though not twice in a row.
      if (isDeepStrictEqual(...(await ask()))) continue;
      const answers = await ask();
      if (isDeepStrictEqual(...answers)) continue;
      throw new Error(
        `${one.path(index)}: the answers differ:\n${answers.map((each) => JSON.stringify(each)).join('\n')}`,
      );
    }
  } finally {
    await Promise.all(clients.map(async (client) => await client.close()));
  }
}

function connect({ origin, tls }: Target): Client {
  return new Client(origin, { connect: tls });
}

interface ValueList {
  readonly items: readonly { readonly value: string }[];
}

/** The list that a server gives, in JSON, with quantities as numbers: 12 and 12000m are the same. */
async function answer(client: Client, { path, headers }: Target, index: number): Promise<unknown> {
  const request = { method: 'GET', path: path(index), headers: { ...headers, accept: 'application/json' } } as const;
  const { statusCode, body } = await client.request(request);
  const text = await body.text();
  if (statusCode !== 200) throw new Error(`${request.path}: got ${statusCode} ${text}, want 200`);
  const list = JSON.parse(text) as ValueList;
  if (list.items.length !== 1) throw new Error(`${request.path}: got ${text}, want one item`);
  return { ...list, items: list.items.map((item) => ({ ...item, value: parseQuantity(item.value, 'value') })) };
}
