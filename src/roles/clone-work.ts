// SPDX-License-Identifier: Apache-2.0
import type { ClonePool } from '../api/v1alpha1/clone-pool.ts';
import type { CloneTemplate } from '../api/v1alpha1/clone-template.ts';
import type { DemandForecast } from '../api/v1alpha1/demand-forecast.ts';
import type { HorizontalPodAutoscaler } from '../capacity/hpa.ts';
import { createCloneController } from '../controllers/clone/reconcile.ts';
import type { CloneController } from '../controllers/clone/reconcile.ts';
import { createIdleWatch } from '../controllers/sweep/idle-watch.ts';
import { createSweepReport } from '../controllers/sweep/report.ts';
import type { SweepReport } from '../controllers/sweep/report.ts';
import { createRetirement } from '../controllers/sweep/retire.ts';
import type { Retirement } from '../controllers/sweep/retire.ts';
import { createSweeper } from '../controllers/sweep/sweeper.ts';
import type { Sweeper } from '../controllers/sweep/sweeper.ts';
import type { SweptClone } from '../controllers/sweep/swept-clone.ts';
import { createUsageReader } from '../controllers/sweep/usage.ts';
import type { KubeClient, KubeObject } from '../kube/client.ts';
import type { EventRecorder } from '../kube/recorder.ts';
import type { ServerTime } from '../kube/server-time.ts';
import { limitWrites } from '../kube/write-limit.ts';
import { createPrometheusServers } from '../sources/metrics/prometheus-servers.ts';
import { clock, createRecorder, random, warn } from './shared.ts';
import type { Followed, Shared } from './shared.ts';

/** manifests/base/priority-class-clones.yaml */
const priorityClassName = 'headstart-clones';

/** What is kept in memory for clones. */
export interface CloneCollections {
  readonly forecasts: Followed<DemandForecast & KubeObject>;
  readonly hpas: Followed<HorizontalPodAutoscaler & KubeObject>;
  readonly pools: Followed<ClonePool & KubeObject>;
  readonly templates: Followed<CloneTemplate & KubeObject>;
  readonly clones: Followed<SweptClone>;
}

/** What the work knows: what is in memory, and the apiserver's time. */
type Known = CloneCollections & { readonly time: ServerTime };

interface Parts {
  /** Whose writes are limited. */
  readonly client: KubeClient;
  readonly retirement: Retirement;
  /** One for all who tell of a pool: what one object may say is limited. */
  readonly recorder: EventRecorder;
}

/** Makes clones and ends them: the work of the replica that leads. */
export function createCloneWork(shared: Shared, known: Known): { run(leading: AbortSignal): Promise<void> } {
  const { config, logger, metrics } = shared;
  // Both controllers write in turn; the Lease does not wait behind them.
  const client = limitWrites(shared.client, { perSecond: config.clonesQps, burst: 2 * config.clonesQps, clock });
  const retirement = createRetirement({
    client,
    clock,
    random,
    clones: known.clones.store,
    onExit: (exit) => {
      const { namespace, pool, name, reason } = exit;
      metrics.cloneEnded(reason);
      report.exited(exit);
      logger.info({ namespace, pool, clone: name, reason }, 'a clone ends');
    },
    onProblem: ({ namespace, name, error }) => warn(logger.child({ namespace, clone: name }), 'ending a clone', error),
  });
  const parts: Parts = { client, retirement, recorder: createRecorder(shared, 'headstart.dev/clones') };
  const sweeper = createSweep(shared, known, parts);
  const report = createReport(shared, known, { ...parts, sweeper });
  const workers = [createController(shared, known, { ...parts, sweeper }), sweeper, report];
  return { run: async (leading) => void (await Promise.all(workers.map(async (worker) => await worker.run(leading)))) };
}

function createController(
  shared: Shared,
  known: Known,
  { client, retirement, recorder, sweeper }: Parts & { readonly sweeper: Sweeper },
): CloneController {
  const { logger, metrics } = shared;
  const { forecasts, hpas, pools, templates, clones, time } = known;
  const controller = createCloneController({
    client,
    clock,
    random,
    now: () => time.now(),
    pools: pools.store,
    clones: clones.store,
    templates: templates.store,
    forecasts: forecasts.store,
    hpas: hpas.store,
    recorder,
    retire: async (pool, victims, signal) => await retirement.retire(pool, victims, signal),
    // The sweeper ends what is too many, at the pool's rate.
    endsSurplus: false,
    sweeperConditions: (pool) => sweeper.conditions(pool),
    priorityClassName,
    onDecision: ({ namespace, name, created, changes }) => {
      metrics.clonesCreated(created);
      for (const change of changes) logChange(shared, { ...change, namespace, name });
    },
    onRefusal: metrics.clonesRefused,
    onScaling: metrics.poolScaled,
    onResult: (result) => {
      metrics.reconciled(result);
      if (result.error !== undefined) warn(logger.child({ key: result.key }), 'reconciling', result.error);
    },
  });
  pools.onChange(controller.poolChanged);
  clones.onChange(controller.cloneChanged);
  templates.onChange(controller.templateChanged);
  forecasts.onChange(controller.forecastChanged);
  hpas.onChange(controller.hpaChanged);
  return controller;
}

function createSweep(shared: Shared, { clones, pools, time }: Known, { client, retirement }: Parts): Sweeper {
  const { logger, metrics, prometheus } = shared;
  const servers = createPrometheusServers(prometheus, { clock, random, onRequest: metrics.sourceRequest });
  return createSweeper({
    clock,
    serverTime: time,
    clones: clones.store,
    pools: pools.store,
    retirement,
    idleWatch: createIdleWatch(createUsageReader({ client, servers })),
    onProblem: ({ key, error }) => warn(key === undefined ? logger : logger.child({ key }), 'sweeping clones', error),
    onScan: metrics.swept,
  });
}

function createReport(
  shared: Shared,
  { pools, time }: Known,
  { client, recorder, sweeper }: Parts & { readonly sweeper: Sweeper },
): SweepReport {
  const { logger } = shared;
  return createSweepReport({
    client,
    clock,
    recorder,
    onChange: (change) => logChange(shared, change),
    now: () => time.now(),
    pools: pools.store,
    conditions: (pool) => sweeper.conditions(pool),
    onProblem: ({ key, error }) => warn(logger.child({ key }), 'writing what the sweeper sees', error),
  });
}

function logChange(
  { logger }: Shared,
  change: {
    readonly namespace: string;
    readonly name: string;
    readonly type: string;
    readonly status: string;
    readonly reason: string;
    readonly message: string;
    readonly isWarning: boolean;
  },
): void {
  const { message, isWarning, ...words } = change;
  logger[isWarning ? 'warn' : 'info'](words, message);
}
