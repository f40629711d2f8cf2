// SPDX-License-Identifier: Apache-2.0
import { createForecastController } from '../controllers/forecast/reconcile.ts';
import { registerForecastMetrics } from '../observability/forecast-metrics.ts';
import { createPrometheusServers } from '../sources/metrics/prometheus-servers.ts';
import { clock, createRecorder, random, runAsLeader, warn } from './shared.ts';
import type { Role, Shared } from './shared.ts';

const lease = 'headstart-forecaster';

/** The forecaster: one replica leads, and writes the status of every DemandForecast. */
export function createForecasterRole(shared: Shared): Role {
  const { forecasts, metrics } = shared;
  const hpas = shared.hpas();
  const controller = createController(shared);
  forecasts.onChange(controller.changed);
  let isLeading = false;
  registerForecastMetrics(metrics.registry, () => (isLeading ? forecasts.store.list() : []));
  metrics.leading(lease, false);
  return {
    checks: [forecasts.check, hpas.check],
    run: async (signal) => {
      await Promise.all([hpas.whenSynced(signal), forecasts.whenSynced(signal)]);
      const work = async (leading: AbortSignal): Promise<void> => {
        isLeading = true;
        await controller.run(leading);
        isLeading = false;
      };
      await runAsLeader(shared, { lease, signal, work });
    },
  };
}

function createController(shared: Shared) {
  const { client, config, forecasts, logger, metrics, prometheus } = shared;
  const servers = createPrometheusServers(prometheus, { clock, random, onRequest: metrics.sourceRequest });
  return createForecastController({
    client,
    clock,
    random,
    forecasts: forecasts.store,
    hpas: shared.hpas().store,
    servers,
    recorder: createRecorder(shared, 'headstart.dev/forecaster'),
    intervalSeconds: config.syncPeriodSeconds,
    onProblem: ({ error, ...forecast }) => warn(logger.child(forecast), 'reading for a forecast', error),
    onDecision: ({ namespace, name, conditions, changes, delaySeconds, refits }) => {
      metrics.decided({ conditions, delaySeconds, refits });
      for (const { type, status, reason, message, isWarning } of changes) {
        logger[isWarning ? 'warn' : 'info']({ namespace, name, type, status, reason }, message);
      }
    },
    onResult: (result) => {
      metrics.reconciled(result);
      if (result.error !== undefined) warn(logger.child({ key: result.key }), 'reconciling', result.error);
    },
  });
}
