// SPDX-License-Identifier: Apache-2.0
import { isDeepStrictEqual } from 'node:util';
import { changedConditions } from '../../api/conditions.ts';
import type { Condition } from '../../api/conditions.ts';
import { apiVersion, fieldManager, slowFieldManager } from '../../api/labels.ts';
import { demandForecastCrd } from '../../api/v1alpha1/demand-forecast.ts';
import type { DemandForecast } from '../../api/v1alpha1/demand-forecast.ts';
import { errorCode } from '../../base/errors.ts';
import { applyStatus } from '../../kube/apply.ts';
import { runController } from '../../kube/controller.ts';
import type { ReconcileObservation, ReconcileResult } from '../../kube/controller.ts';
import type { EventRecorder } from '../../kube/recorder.ts';
import { objectKey } from '../../kube/store.ts';
import type { Change } from '../../kube/store.ts';
import { createWorkQueue } from '../../kube/workqueue.ts';
import type { WorkQueue } from '../../kube/workqueue.ts';
import { decide, targetKey } from './decide.ts';
import type { Decision } from './decide.ts';
import { gather } from './gather.ts';
import type { Gathered, GatherContext } from './gather.ts';
import type { FitReason } from '../../forecast/target.ts';
import { createRegistry } from './learnt.ts';
import type { Learnt, Registry } from './learnt.ts';
import { createUsageRegistry } from './resource-source.ts';
import { untilNextLookMs } from './schedule.ts';
import { mustWriteSlow, splitStatus } from './status-parts.ts';
import { createTurns } from './turns.ts';

/** What a reconcile works with. */
interface ReconcileContext extends GatherContext {
  readonly registry: Registry;
  /** For what takes long: fitting a model takes up to a second. */
  readonly inTurn: <T>(work: () => T) => Promise<T>;
  readonly recorder: Pick<EventRecorder, 'record'>;
  /** Between two looks at a forecast. */
  readonly intervalSeconds: number;
  /** When each is to be looked at next, by key; ms since the epoch. */
  readonly planned: Map<string, number>;
  readonly onDecision?: (decision: DecisionObservation) => void;
}

/** A look at a DemandForecast whose outcome stands in its status now; for logs and metrics. */
interface DecisionObservation {
  readonly namespace: string;
  readonly name: string;
  readonly conditions: readonly Condition[];
  /** The conditions that are new, or whose status or reason is. */
  readonly changes: readonly (Condition & { readonly isWarning: boolean })[];
  /** How much later than planned it was; undefined when it was not planned, but came of a change. */
  readonly delaySeconds: number | undefined;
  /** What made the fits of models due that were made since the last look. */
  readonly refits: readonly FitReason[];
}

const { kind, plural } = demandForecastCrd;

/** What the controller works with; see ReconcileContext for the rest. */
interface ForecastControllerOptions extends Omit<ReconcileContext, 'registry' | 'inTurn' | 'planned' | 'usage'> {
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** DemandForecasts looked at at a time; most of it is waiting. 32 when left out. */
  readonly workers?: number;
  readonly onResult?: (observation: ReconcileObservation) => void;
}

/** Looks at every DemandForecast, once an interval and when it changes. */
export interface ForecastController {
  /** Tells of a change in the store of DemandForecasts; also while the controller does not run. */
  changed(change: Change<DemandForecast>): void;
  /** Works until the signal aborts; may be run again, and goes on with what was learnt. Never rejects. */
  run(signal: AbortSignal): Promise<void>;
}

/** A controller that does nothing until it is run, as the one that is elected. */
export function createForecastController(options: ForecastControllerOptions): ForecastController {
  const { client, forecasts, clock, random, workers = 32, onResult, onProblem = () => undefined } = options;
  const registry = createRegistry();
  const planned = new Map<string, number>();
  const usage = createUsageRegistry({ client, onProblem });
  const forget = ({ metadata }: DemandForecast): void => {
    registry.forget(metadata.namespace, metadata.name);
    usage.forget(metadata.namespace, metadata.name);
  };
  const context: ReconcileContext = { ...options, registry, planned, inTurn: createTurns(), usage };
  let queue: WorkQueue | undefined;
  /** A change of one may give, or take, the target of another. */
  const addWithRivals = (forecast: DemandForecast): void => {
    const key = targetKey(forecast);
    queue?.add(keyOf(forecast));
    for (const other of forecasts.list(forecast.metadata.namespace)) {
      if (targetKey(other) === key) queue?.add(keyOf(other));
    }
  };
  return {
    changed: (change) => {
      const { object } = change;
      if (change.type === 'deleted') forget(object);
      // Every look ends with a change of status, which is no reason for the next one.
      else if (change.type === 'modified' && isSameSpec(change.object, change.old)) return;
      if (change.type === 'modified') addWithRivals(change.old);
      addWithRivals(object);
    },
    run: async (signal) => {
      queue = createWorkQueue({ clock, random });
      // What was planned before another led is nobody's delay.
      planned.clear();
      for (const forecast of forecasts.list()) queue.add(keyOf(forecast));
      await runController(
        {
          name: 'forecast',
          queue,
          reconcile: async (key, keySignal) => await reconcile(context, key, keySignal),
          workers,
          clock,
          ...(onResult === undefined ? {} : { onResult }),
        },
        signal,
      );
      queue = undefined;
    },
  };
}

/**
 * Looks at one DemandForecast: reads, learns, decides, writes status and Events.
 * @throws HeadstartError when the status cannot be written, and what no condition has a word for
 */
async function reconcile(context: ReconcileContext, key: string, signal: AbortSignal): Promise<ReconcileResult> {
  const [namespace = '', name = ''] = key.split('/');
  const forecast = context.forecasts.get(namespace, name);
  const delaySeconds = takeDelay(context, key);
  if (forecast === undefined) {
    context.registry.forget(namespace, name);
    context.usage.forget(namespace, name);
    return undefined;
  }
  const learnt = context.registry.get(forecast);
  const decision = await look(context, forecast, { learnt, signal });
  const isWritten = await write(context, forecast, { decision, learnt, signal });
  if (!isWritten) return undefined;
  learnt.wrote(forecast);
  for (const event of decision.events) context.recorder.record(regarding(forecast, event));
  context.onDecision?.(describe(forecast, decision, { delaySeconds, refits: learnt.takeRefits() }));
  const nowMs = context.clock.nowMs();
  const requeueAfterMs = untilNextLookMs(nowMs, context.intervalSeconds, forecast.metadata.uid);
  context.planned.set(key, nowMs + requeueAfterMs);
  return { requeueAfterMs };
}

/** A look that came before its time came of a change. */
function takeDelay({ planned, clock }: ReconcileContext, key: string): number | undefined {
  const plannedMs = planned.get(key);
  planned.delete(key);
  const delayMs = plannedMs === undefined ? -1 : clock.nowMs() - plannedMs;
  return delayMs < 0 ? undefined : delayMs / 1000;
}

function describe(
  { metadata, status }: DemandForecast,
  decision: Decision,
  seen: Pick<DecisionObservation, 'delaySeconds' | 'refits'>,
): DecisionObservation {
  const { namespace, name } = metadata;
  const conditions = decision.status.conditions ?? [];
  const warnings = new Set(decision.events.filter(({ type }) => type === 'Warning').map(({ action }) => action));
  const changes = changedConditions(status?.conditions ?? [], conditions).map((condition) => ({
    ...condition,
    isWarning: warnings.has(condition.type),
  }));
  return { namespace, name, conditions, changes, ...seen };
}

async function look(
  context: ReconcileContext,
  forecast: DemandForecast,
  { learnt, signal }: { readonly learnt: Learnt; readonly signal: AbortSignal },
): Promise<Decision> {
  const { clock, inTurn } = context;
  const gathered = await readAndLearn(context, forecast, { learnt, signal });
  const { now, outlook } = await inTurn(() => {
    const at = clock.nowMs() / 1000;
    return { now: at, outlook: learnt.outlook(forecast, at) };
  });
  const snapshot = {
    ...gathered,
    forecast,
    lead: learnt.lead(forecast),
    outlook,
    history: learnt.history(now),
    perPod: learnt.perPod(),
    isStatusCurrent: learnt.isStatusCurrent(forecast),
  };
  return decide(snapshot, now);
}

/** What was read but its samples: there are megabytes of them in a whole history, and the turn may come much later. */
async function readAndLearn(
  context: ReconcileContext,
  forecast: DemandForecast,
  { learnt, signal }: { readonly learnt: Learnt; readonly signal: AbortSignal },
): Promise<Omit<Gathered, 'samples'>> {
  const { clock } = context;
  const plan = learnt.plan(forecast, clock.nowMs() / 1000);
  const { samples, ...gathered } = await gather(context, forecast, { plan, signal });
  learnt.absorb(forecast, { ...gathered, samples }, clock.nowMs() / 1000);
  return gathered;
}

/**
 * Applies what changes with every loop, and before it, when it says something new, the rest. False when the forecast is
 * gone.
 */
async function write(
  { client, clock }: ReconcileContext,
  { metadata, status: given = {} }: DemandForecast,
  { decision, learnt, signal }: { readonly decision: Decision; readonly learnt: Learnt; readonly signal: AbortSignal },
): Promise<boolean> {
  const target = { apiVersion, plural, namespace: metadata.namespace, name: metadata.name };
  const applyPart = async (status: object, manager: string): Promise<void> => {
    await applyStatus(client, target, { kind, status }, { fieldManager: manager, force: true, signal });
  };
  const { fast, slow } = splitStatus(decision.status);
  const standing = splitStatus(given);
  const now = clock.nowMs() / 1000;
  try {
    if (mustWriteSlow({ slow, standing: standing.slow }, learnt.explainedAt(), now)) {
      await applyPart(slow, slowFieldManager);
      learnt.explained(now);
    }
    if (!isDeepStrictEqual(fast, standing.fast)) await applyPart(fast, fieldManager);
    return true;
  } catch (error) {
    // It comes as a change of its own.
    if (errorCode(error) === 'NotFound') return false;
    throw error;
  }
}

function regarding({ metadata }: DemandForecast, event: Decision['events'][number]) {
  const { namespace, name, uid } = metadata;
  const { type, reason, message: note, action } = event;
  return { regarding: { apiVersion, kind, namespace, name, uid }, type, reason, note, action };
}

function keyOf({ metadata }: DemandForecast): string {
  return objectKey(metadata.namespace, metadata.name);
}

function isSameSpec({ metadata: a }: DemandForecast, { metadata: b }: DemandForecast): boolean {
  return a.uid === b.uid && a.generation === b.generation;
}
