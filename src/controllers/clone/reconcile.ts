// SPDX-License-Identifier: Apache-2.0
import { isDeepStrictEqual } from 'node:util';
import type { Scaling } from '../../api/clone-labels.ts';
import { changedConditions } from '../../api/conditions.ts';
import type { ClonePoolCondition, ClonePoolConditionDraft } from '../../api/conditions.ts';
import { apiVersion } from '../../api/labels.ts';
import { clonePoolCrd } from '../../api/v1alpha1/clone-pool.ts';
import type { ClonePool } from '../../api/v1alpha1/clone-pool.ts';
import type { CloneTemplate } from '../../api/v1alpha1/clone-template.ts';
import type { DemandForecast } from '../../api/v1alpha1/demand-forecast.ts';
import type { Victim } from '../../capacity/clones/victims.ts';
import type { HorizontalPodAutoscaler } from '../../capacity/hpa.ts';
import { runController } from '../../kube/controller.ts';
import type { ReconcileObservation, ReconcileResult } from '../../kube/controller.ts';
import type { EventRecorder } from '../../kube/recorder.ts';
import { objectKey } from '../../kube/store.ts';
import type { Change } from '../../kube/store.ts';
import { createWorkQueue } from '../../kube/workqueue.ts';
import type { WorkQueue } from '../../kube/workqueue.ts';
import type { CloneObject } from './clone-object.ts';
import { createClones } from './create-clones.ts';
import { decide } from './decide.ts';
import type { Decision, DecideOptions } from './decide.ts';
import { forgetOldFinders, gather } from './gather.ts';
import type { GatherContext } from './gather.ts';
import { createMemories } from './memory.ts';
import type { Memories } from './memory.ts';
import { planWindows } from './plan-windows.ts';
import type { EventDraft } from './render.ts';
import type { CreationFailure, Snapshot } from './snapshot.ts';
import { writeDeadlines, writeSpec, writeStatus } from './write-pool.ts';

/** What was done about a pool, for logs and metrics. */
export interface CloneDecisionObservation {
  readonly namespace: string;
  readonly name: string;
  readonly created: number;
  readonly conditions: readonly ClonePoolCondition[];
  /** The conditions that are new, or whose status or reason is. */
  readonly changes: readonly (ClonePoolCondition & { readonly isWarning: boolean })[];
}

/** What the controller works with. */
export interface CloneControllerOptions extends Omit<GatherContext, 'finders' | 'firstSeenMs'> {
  /** Epoch seconds of the apiserver's clock; undefined while they are not known: then nothing is decided. */
  readonly now: () => number | undefined;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly recorder: Pick<EventRecorder, 'record'>;
  /** Ends clones, by the retire protocol of the sweeper; resolves when each has been tried. */
  readonly retire: (pool: ClonePool, victims: readonly Victim[], signal: AbortSignal) => Promise<unknown>;
  /**
   * Whether surplus and outdated clones are handed to `retire`. False beside a sweeper, which ends them by
   * spec.replicas and status.targetRevision, within maxPerMinute; then only those are handed to it that are to make room
   * for new ones in a rollout.
   */
  readonly endsSurplus: boolean;
  /** What the sweeper has to say in the status of a pool. */
  readonly sweeperConditions?: (pool: ClonePool) => readonly ClonePoolConditionDraft[];
  /** A PriorityClass with preemptionPolicy Never; none when left out. */
  readonly priorityClassName?: string | undefined;
  /** By the forecast and the HPA when left out. */
  readonly planWindows?: DecideOptions['planWindows'];
  /** Pools looked at at a time; 8 when left out. */
  readonly workers?: number;
  readonly onDecision?: (decision: CloneDecisionObservation) => void;
  /** Told why clones were not made, at each try. */
  readonly onRefusal?: (reason: CreationFailure['reason']) => void;
  /** Told when more clones are wanted than before, or fewer. */
  readonly onScaling?: (reason: Scaling) => void;
  readonly onResult?: (observation: ReconcileObservation) => void;
}

/** Makes clones, and hands those that are too many to the sweeper. */
export interface CloneController {
  /** These tell of changes in the stores; also while the controller does not run. */
  poolChanged(change: Change<ClonePool>): void;
  cloneChanged(change: Change<CloneObject>): void;
  templateChanged(change: Change<CloneTemplate>): void;
  forecastChanged(change: Change<DemandForecast>): void;
  hpaChanged(change: Change<HorizontalPodAutoscaler>): void;
  /** Works until the signal aborts; may be run again. Never rejects. */
  run(signal: AbortSignal): Promise<void>;
}

interface Context extends CloneControllerOptions, GatherContext {
  readonly memories: Memories;
  readonly decideOptions: DecideOptions;
}

const { kind } = clonePoolCrd;
/** Clones come and go in crowds, and one look is enough for a crowd. */
const crowdMs = 1_000;
/** Between two looks at a clock that is not known yet. */
const unknownTimeMs = 1_000;
/** In a namespace that is being deleted there is nothing to do. */
const terminatingMs = 60_000;

/** A controller that does nothing until it is run, as the one that is elected. */
export function createCloneController(options: CloneControllerOptions): CloneController {
  const { pools, clock, random, workers = 8, onResult } = options;
  const context: Context = {
    ...options,
    finders: new Map(),
    firstSeenMs: new WeakMap(),
    memories: createMemories(() => options.now() ?? clock.nowMs() / 1000),
    decideOptions: {
      planWindows: options.planWindows ?? planWindows,
      priorityClassName: options.priorityClassName,
    },
  };
  let queue: WorkQueue | undefined;
  const addAll = (namespace: string | undefined, isMeant: (pool: ClonePool) => boolean): void => {
    for (const pool of pools.list(namespace)) if (isMeant(pool)) queue?.add(keyOf(pool));
  };
  return {
    poolChanged: (change) => {
      if (change.type === 'deleted') context.memories.forget(change.object.metadata.uid);
      // Every look ends with a change of status, which is no reason for the next one.
      if (change.type !== 'modified' || !isSameSpec(change.object, change.old)) queue?.add(keyOf(change.object));
    },
    cloneChanged: (change) => {
      context.memories.observe(change);
      const { namespace, pool } = change.object.clone;
      if (pool !== undefined) queue?.addAfter(objectKey(namespace, pool), crowdMs);
    },
    templateChanged: ({ object: { metadata } }) => {
      addAll(metadata.namespace, ({ spec }) => spec.templateRef?.name === metadata.name);
    },
    forecastChanged: ({ object: { metadata } }) => {
      addAll(metadata.namespace, ({ spec }) => spec.forecastRef?.name === metadata.name);
    },
    hpaChanged: ({ object: { metadata } }) => addAll(metadata.namespace, () => true),
    run: async (signal) => {
      queue = createWorkQueue({ clock, random });
      addAll(undefined, () => true);
      await runController(
        {
          name: 'clone',
          queue,
          reconcile: async (key, keySignal) => await reconcile(context, key, keySignal),
          workers,
          clock,
          timeoutMs: 120_000,
          ...(onResult === undefined ? {} : { onResult }),
        },
        signal,
      );
      queue = undefined;
    },
  };
}

/**
 * Looks at one ClonePool: reads, decides, writes windows and replicas, makes and hands over clones, writes status and
 * Events. Whatever it was in the middle of when a process died, the next look goes on with.
 * @throws HeadstartError when something cannot be written, and what no condition has a word for
 */
async function reconcile(context: Context, key: string, signal: AbortSignal): Promise<ReconcileResult> {
  const [namespace = '', name = ''] = key.split('/');
  const { client, memories } = context;
  const pool = context.pools.get(namespace, name);
  if (pool === undefined) return undefined;
  if (context.now() === undefined) return { requeueAfterMs: unknownTimeMs };
  const { uid } = pool.metadata;
  const { snapshot, decision } = await look(context, pool, signal);
  memories.dropped(uid, decision.dropSince);
  const written = await writeSpec(client, snapshot, decision, signal);
  if (written === undefined) return undefined;
  tellScaling(context, pool, decision);
  const made = await make(context, snapshot, { decision, signal });
  if (made.isTerminating) return { requeueAfterMs: terminatingMs };
  await writeDeadlines(client, decision.extensions, signal);
  const victims = context.endsSurplus ? decision.victims : decision.room;
  if (victims.length > 0) await context.retire(written, victims, signal);
  return await conclude(context, snapshot, { decision, created: made.created, signal });
}

interface Look {
  readonly snapshot: Snapshot;
  readonly decision: Decision;
}

/** Reads and decides; a second time when clones are to be made, and their labels would be by what was read a while ago. */
async function look(context: Context, pool: ClonePool, signal: AbortSignal): Promise<Look> {
  const gathered = await gather(context, pool, signal);
  const others = context.sweeperConditions?.(pool) ?? [];
  const snapshot = { ...gathered, memory: context.memories.of(pool.metadata.uid), others };
  const decision = decide(snapshot, timeOf(context), context.decideOptions);
  const isOld = decision.creates.length > 0 && forgetOldFinders(context, pool);
  return isOld ? await look(context, pool, signal) : { snapshot, decision };
}

/** Remembers what is wanted now, and says so where more clones are than before, or fewer. */
function tellScaling({ memories, recorder, onScaling }: Context, pool: ClonePool, { spec, scaling }: Decision): void {
  const { uid } = pool.metadata;
  if (spec !== undefined) {
    const ids = spec.windows.map(({ id }) => id);
    memories.keepWindows(uid, ids);
    memories.wanted(uid, spec.replicas);
  }
  if (scaling === undefined) return;
  recorder.record(eventOf(pool, { type: 'Normal', action: 'Scale', ...scaling }));
  onScaling?.(scaling.reason);
}

/** Makes the clones, and remembers how that went. */
async function make(
  context: Context,
  { pool }: Snapshot,
  { decision, signal }: { readonly decision: Decision; readonly signal: AbortSignal },
): Promise<{ readonly created: number; readonly isTerminating: boolean }> {
  const { client, memories, recorder, onRefusal } = context;
  const { uid } = pool.metadata;
  if (!decision.wantsMore) memories.unblocked(uid);
  if (decision.creates.length === 0) return { created: 0, isTerminating: false };
  const { created, failure } = await createClones(client, decision.creates, { poolUid: uid, signal });
  if (failure !== undefined) onRefusal?.(failure.reason);
  if (failure?.reason === 'NamespaceTerminating') return { created, isTerminating: true };
  if (failure === undefined) memories.unblocked(uid);
  else memories.refused(uid, failure, timeOf(context));
  if (created > 0) {
    const message = `made ${created} of ${decision.creates.length} clones, the first one ${decision.creates[0]?.metadata.name ?? ''}`;
    recorder.record(eventOf(pool, { type: 'Normal', reason: 'ClonesCreated', action: 'Create', message }));
  }
  return { created, isTerminating: false };
}

/** Writes down what is so now, with what has come out of making clones. */
async function conclude(
  context: Context,
  snapshot: Snapshot,
  {
    decision,
    created,
    signal,
  }: { readonly decision: Decision; readonly created: number; readonly signal: AbortSignal },
): Promise<ReconcileResult> {
  const { client, memories, recorder, onDecision, decideOptions } = context;
  const { pool } = snapshot;
  const { namespace, name, uid } = pool.metadata;
  const now = timeOf(context);
  const memory = memories.of(uid);
  const isNews = !isDeepStrictEqual(memory.failure, snapshot.memory.failure);
  const final = isNews ? decide({ ...snapshot, memory }, now, decideOptions) : decision;
  if (!(await writeStatus(client, pool, { status: final.status, now }, signal))) return undefined;
  for (const event of final.events) recorder.record(eventOf(pool, event));
  onDecision?.({ namespace, name, created, ...describe(snapshot, final) });
  return { requeueAfterMs: Math.max(500, (final.nextAt - now) * 1000) };
}

/** The local clock stands in where the apiserver's leaps in the middle of a look. */
function timeOf({ now, clock }: Context): number {
  return now() ?? clock.nowMs() / 1000;
}

function describe(
  { pool: { status }, others = [] }: Snapshot,
  { status: { conditions = [] }, events }: Decision,
): Pick<CloneDecisionObservation, 'conditions' | 'changes'> {
  const warnings = new Set(events.filter(({ type }) => type === 'Warning').map(({ action }) => action));
  const told = new Set<string>(others.map(({ type }) => type));
  const changes = changedConditions(status?.conditions ?? [], conditions).filter(({ type }) => !told.has(type));
  return {
    conditions,
    changes: changes.map((condition) => ({ ...condition, isWarning: warnings.has(condition.type) })),
  };
}

function eventOf({ metadata }: ClonePool, { type, reason, message: note, action }: EventDraft) {
  const { namespace, name, uid } = metadata;
  return { regarding: { apiVersion, kind, namespace, name, uid }, type, reason, note, action };
}

function keyOf({ metadata }: ClonePool): string {
  return objectKey(metadata.namespace, metadata.name);
}

/** Annotations are part of what is wanted, but not of the generation. */
function isSameSpec({ metadata: a }: ClonePool, { metadata: b }: ClonePool): boolean {
  return (
    a.uid === b.uid &&
    a.generation === b.generation &&
    a.deletionTimestamp === b.deletionTimestamp &&
    isDeepStrictEqual(a.annotations, b.annotations)
  );
}
