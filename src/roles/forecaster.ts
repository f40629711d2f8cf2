// SPDX-License-Identifier: Apache-2.0
import type { KeepOptions } from '../controllers/forecast/keep-states.ts';
import { learntFormat } from '../controllers/forecast/learnt.ts';
import { createForecastController } from '../controllers/forecast/reconcile.ts';
import { createFitPool } from '../forecast-workers/fit-pool.ts';
import type { FitPool } from '../forecast-workers/fit-pool.ts';
import type { StoreProblem } from '../history/database.ts';
import { openStateStore } from '../history/state-store.ts';
import type { StateStore } from '../history/state-store.ts';
import { registerForecastMetrics } from '../observability/forecast-metrics.ts';
import { createPrometheusServers } from '../sources/metrics/prometheus-servers.ts';
import { clock, createRecorder, random, runAsLeader, warn } from './shared.ts';
import type { Role, Shared } from './shared.ts';

const lease = 'headstart-forecaster';
/** For keeping what was learnt before the process ends; Kubernetes gives it 30 s for everything. */
const keepAllMs = 8000;

/** The forecaster: one replica leads, and writes the status of every DemandForecast. */
export function createForecasterRole(shared: Shared): Role {
  const { forecasts, metrics } = shared;
  const hpas = shared.hpas();
  const pool = createFitPool({ onProblem: (error) => warn(shared.logger, 'fitting models', error) });
  const states = openStates(shared);
  const controller = createController(shared, pool, states);
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
        // What waits for a fit must not hold up the end.
        leading.addEventListener('abort', () => void pool.stop(), { once: true });
        await controller.run(leading);
        isLeading = false;
      };
      try {
        await runAsLeader(shared, { lease, signal, work });
        // The Lease is released: nobody waits for this.
        await controller.keepAll(AbortSignal.timeout(keepAllMs));
      } finally {
        states?.close();
      }
    },
  };
}

/** Undefined without --state-dir. */
function openStates({ config, logger, metrics, version }: Shared): (StateStore & KeepOptions) | undefined {
  const { stateDir: folder } = config;
  if (folder === undefined) return undefined;
  const onProblem = ({ outcome, error }: StoreProblem): void => {
    metrics.stateKept(outcome);
    warn(logger, 'what was learnt, for the next start', error);
  };
  const store = openStateStore({ folder, version: `${version}/${learntFormat}`, onProblem });
  return { ...store, store, onState: metrics.stateKept, onProblem };
}

function createController(shared: Shared, pool: FitPool, keep: KeepOptions | undefined) {
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
    fit: pool.fit,
    ...(keep === undefined ? {} : { keep }),
    onFit: ({ namespace, name, outcome, seconds, message }) => {
      metrics.fitted({ outcome, seconds });
      if (message !== undefined) logger.warn({ namespace, name }, `${message}; it is tried again in 10 minutes`);
    },
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
