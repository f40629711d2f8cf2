// SPDX-License-Identifier: Apache-2.0
import type { DemandForecast, DemandForecastSpec } from '../../api/v1alpha1/demand-forecast.ts';

/** Where demand is read, for messages: `server "default"`. */
export function sourceName({ source }: DemandForecastSpec): string {
  const { prometheus } = source;
  if (prometheus === undefined) return 'metrics.k8s.io';
  // The CRD's pattern lets no credentials in; a path is not needed to know which server it is.
  if (prometheus.url !== undefined) return `the server at ${/^\w+:\/\/[^/]*/.exec(prometheus.url)?.[0] ?? 'url'}`;
  return `server ${JSON.stringify(prometheus.serverRef)}`;
}

/** What the demand is: the same text for the same series. Who may read it is no part of it. */
export function demandKey({ spec }: DemandForecast): string {
  const { prometheus, resource } = spec.source;
  const { kind, name } = spec.scaleTargetRef;
  if (prometheus === undefined) return JSON.stringify([resource?.name, kind, name]);
  const { query, preset, service, serverRef, url } = prometheus;
  return JSON.stringify([url ?? serverRef, query ?? [preset, service, kind, name]]);
}
