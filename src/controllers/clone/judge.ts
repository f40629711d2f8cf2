// SPDX-License-Identifier: Apache-2.0
import type { ClonePoolConditionDraft } from '../../api/conditions.ts';
import type { CloneTemplateSpec } from '../../api/v1alpha1/clone-template.ts';
import { formatDuration } from '../../base/duration.ts';
import { preflight, splitLabels } from '../../capacity/clones/labels.ts';
import type { Population } from '../../capacity/clones/population.ts';
import { refuseTarget, servingLabels } from '../../capacity/clones/target.ts';
import type { TargetDeployment } from '../../capacity/clones/target.ts';
import { isAlive } from '../../capacity/clones/victims.ts';
import type { CloneView } from '../../capacity/clones/view.ts';
import { draft } from './render.ts';
import type { Snapshot } from './snapshot.ts';

/** What holds of a pool, and whether clones may be made. */
export interface Judgement {
  readonly drafts: readonly ClonePoolConditionDraft[];
  readonly mayCreate: boolean;
  /** For clones. */
  readonly labels: Readonly<Record<string, string>>;
}

/** What was decided before. */
export interface JudgeInput {
  readonly clones: readonly CloneView[];
  readonly wanted: number;
  readonly population: Population;
  readonly revision: string | undefined;
  /** Mode Predictive. */
  readonly hasPlan: boolean;
  readonly now: number;
}

/** Pending for longer than this is a reason to say so. */
const scheduleSeconds = 30;
/** Of the backoff after clones that did not start. */
const startBackoff = { baseSeconds: 10, maxSeconds: 300, from: 3 } as const;

/** The conditions of a pool, and what follows from them. */
export function judge(snapshot: Snapshot, input: JudgeInput): Judgement {
  const target = judgeTarget(snapshot);
  const overlap = judgeOverlap(snapshot);
  const blocked = judgeCreation(snapshot, input);
  const { pool } = snapshot;
  const isOpen = pool.metadata.deletionTimestamp === undefined && !pool.spec.suspend;
  const revision = judgeRevision(snapshot, input);
  return {
    drafts: [
      judgeReady(snapshot, input, { target, overlap: overlap.draft, blocked: blocked.draft }),
      target,
      blocked.draft,
      overlap.draft,
      ...revision,
    ],
    mayCreate: isOpen && target.status === 'True' && overlap.mayCreate && blocked.mayCreate,
    labels: overlap.labels,
  };
}

function judgeTarget(snapshot: Snapshot): ClonePoolConditionDraft<'TargetResolved'> {
  const { pool, target } = snapshot;
  const { kind, name } = pool.spec.targetRef;
  const own = `${kind} ${name}`;
  switch (target.kind) {
    case 'missing':
      return draft('TargetResolved', 'False', 'TargetNotFound', `no ${own} in namespace ${pool.metadata.namespace}`);
    case 'unreadable':
      return draft(
        'TargetResolved',
        'Unknown',
        'TargetUnreadable',
        `${own}: ${target.message}; clones stay as they are`,
      );
    case 'found':
      return judgeDeployment(snapshot, target.value);
  }
}

function judgeDeployment(snapshot: Snapshot, deployment: TargetDeployment): ClonePoolConditionDraft<'TargetResolved'> {
  const own = `Deployment ${deployment.metadata.name}`;
  const { paused, replicas } = deployment.spec;
  const no = (reason: 'TargetNotFound' | 'TargetPaused' | 'TargetScaledToZero', why: string) =>
    draft('TargetResolved', 'False', reason, `${own} ${why}`);
  if (deployment.metadata.deletionTimestamp !== undefined) return no('TargetNotFound', 'is being deleted');
  if (paused === true) return no('TargetPaused', 'is paused; no clones are made until it goes on');
  if (replicas === 0) return no('TargetScaledToZero', 'has spec.replicas 0; nobody wants clones then');
  return judgeTemplate(snapshot, deployment);
}

function judgeTemplate(
  { pool, template }: Snapshot,
  deployment: TargetDeployment,
): ClonePoolConditionDraft<'TargetResolved'> {
  const name = `CloneTemplate ${pool.spec.templateRef?.name ?? ''}`;
  switch (template?.kind) {
    case 'missing': {
      const message = `spec.templateRef: no ${name} in namespace ${pool.metadata.namespace}`;
      return draft('TargetResolved', 'False', 'TemplateNotFound', message);
    }
    case 'unreadable':
      return draft('TargetResolved', 'Unknown', 'TargetUnreadable', `${name}: ${template.message}`);
    case 'found':
    case undefined:
      return judgeContents(deployment, template?.value);
  }
}

function judgeContents(
  deployment: TargetDeployment,
  template: CloneTemplateSpec | undefined,
): ClonePoolConditionDraft<'TargetResolved'> {
  const [refusal, ...more] = refuseTarget(deployment, template);
  if (refusal === undefined) {
    return draft('TargetResolved', 'True', 'TargetFound', `Deployment ${deployment.metadata.name} can be cloned`);
  }
  const rest = more.length === 0 ? '' : `; and ${more.length} more of the kind`;
  return draft('TargetResolved', 'False', refusal.reason, refusal.message + rest);
}

interface Overlap {
  readonly draft: ClonePoolConditionDraft<'HPASelectorOverlap'>;
  readonly labels: Readonly<Record<string, string>>;
  readonly mayCreate: boolean;
}

function judgeOverlap(snapshot: Snapshot): Overlap {
  const { pool, target, hpas } = snapshot;
  if (target.kind !== 'found') return unknownOverlap('the target is not known');
  if (hpas === undefined) return unknownOverlap('the HPAs of the namespace cannot be read');
  const labels = labelsFor(snapshot, target.value);
  if (labels === undefined) {
    return unknownOverlap('the Services, NetworkPolicies and PodDisruptionBudgets of the namespace cannot be read');
  }
  const { metadata, spec } = target.value;
  const { isOk, reason, message } = preflight(pool, { name: metadata.name, selector: spec.selector }, hpas, labels);
  const status = reason === 'HPACountsClones' || reason === 'OverlapAccepted' ? 'True' : 'False';
  return { draft: draft('HPASelectorOverlap', status, reason, message), labels, mayCreate: isOk };
}

/** Undefined where what finds pods by labels is not known. */
function labelsFor(
  { pool, template, finders }: Snapshot,
  target: TargetDeployment,
): Readonly<Record<string, string>> | undefined {
  const spec = template?.kind === 'found' ? template.value : undefined;
  if (pool.spec.serving === 'Hidden') return { ...spec?.labels };
  if (finders === undefined) return undefined;
  return splitLabels({ selector: target.spec.selector, labels: servingLabels(target, spec) }, finders).labels;
}

function unknownOverlap(message: string): Overlap {
  return {
    draft: draft('HPASelectorOverlap', 'Unknown', 'HPAsUnreadable', `${message}; no clones are made`),
    labels: {},
    mayCreate: false,
  };
}

function judgeCreation(
  { memory }: Snapshot,
  { clones, now }: JudgeInput,
): { readonly draft: ClonePoolConditionDraft<'CreationBlocked'>; readonly mayCreate: boolean } {
  const { failure, retryAt, startFailures, startFailedAt } = memory;
  if (failure !== undefined) {
    const { reason, message } = failure;
    return { draft: draft('CreationBlocked', 'True', reason, message), mayCreate: now >= retryAt };
  }
  if (startFailures >= startBackoff.from) {
    const waitSeconds = startBackoffSeconds(startFailures);
    const message = `the last ${startFailures} clones ended before they were Ready; the next try is ${formatDuration(waitSeconds)} after the last one`;
    return {
      draft: draft('CreationBlocked', 'True', 'StartsFail', message),
      mayCreate: now >= startFailedAt + waitSeconds,
    };
  }
  const waiting = clones.filter(({ state, createdAt }) => state === 'Pending' && now - createdAt > scheduleSeconds);
  if (waiting.length > 0) {
    const message = `${waiting.length} clones have no node for more than ${scheduleSeconds} s, such as ${waiting[0]?.name ?? ''}; see its condition PodScheduled`;
    return { draft: draft('CreationBlocked', 'True', 'Unschedulable', message), mayCreate: true };
  }
  return {
    draft: draft('CreationBlocked', 'False', 'NotBlocked', 'nothing keeps clones from being made'),
    mayCreate: true,
  };
}

/** The wait after clones that did not start, doubling. */
function startBackoffSeconds(failures: number): number {
  const { baseSeconds, maxSeconds, from } = startBackoff;
  return Math.min(maxSeconds, baseSeconds * 2 ** Math.min(10, failures - from));
}

/** Nothing where the revision is not known. */
function judgeRevision(
  { pool }: Snapshot,
  { clones, revision, population }: JudgeInput,
): ClonePoolConditionDraft<'RevisionCurrent'>[] {
  if (revision === undefined) return [];
  const { name } = pool.spec.targetRef;
  const others = clones.filter((clone) => isAlive(clone) && clone.revision !== revision).length;
  if (others === 0)
    return [draft('RevisionCurrent', 'True', 'AllCurrent', `all clones are of the pod template of Deployment ${name}`)];
  if (pool.spec.onTargetChange === 'Keep') {
    return [
      draft(
        'RevisionCurrent',
        'False',
        'OutdatedKept',
        `${others} clones are of an earlier pod template, and stay until they end`,
      ),
    ];
  }
  const message = `${population.outdated} clones of an earlier pod template stay until those in their place are Ready`;
  return [draft('RevisionCurrent', 'False', 'Replacing', message)];
}

type Judged = {
  readonly target: ClonePoolConditionDraft<'TargetResolved'>;
  readonly overlap: ClonePoolConditionDraft<'HPASelectorOverlap'>;
  readonly blocked: ClonePoolConditionDraft<'CreationBlocked'>;
};

function judgeReady(
  snapshot: Snapshot,
  input: JudgeInput,
  { target, overlap, blocked }: Judged,
): ClonePoolConditionDraft<'Ready'> {
  const { pool } = snapshot;
  const { clones, wanted, population, hasPlan } = input;
  const ready = clones.filter(({ state }) => state === 'Serving').length;
  const numbers = `${ready} of ${wanted} clones are Ready`;
  if (pool.metadata.deletionTimestamp !== undefined) {
    return draft('Ready', 'False', 'Deleting', 'the ClonePool is being deleted, and its clones with it');
  }
  if (pool.spec.suspend)
    return draft(
      'Ready',
      'False',
      'Suspended',
      `${ready} clones are Ready; no more are made while spec.suspend is true`,
    );
  if (target.status !== 'True') return draft('Ready', 'False', 'TargetNotResolved', target.message);
  const isBlocked = overlap.reason === 'HPACountsClones' || overlap.status === 'Unknown';
  if (isBlocked) return draft('Ready', 'False', 'HPASelectorOverlap', overlap.message);
  if (ready < wanted && blocked.status === 'True')
    return draft('Ready', 'False', 'CreationBlocked', `${numbers}: ${blocked.message}`);
  return judgeNumbers(snapshot, { ready, wanted, late: population.late, hasPlan });
}

function judgeNumbers(
  snapshot: Snapshot,
  given: {
    readonly ready: number;
    readonly wanted: number;
    readonly late: number;
    readonly hasPlan: boolean;
  },
): ClonePoolConditionDraft<'Ready'> {
  const { ready, wanted, late, hasPlan } = given;
  if (wanted === 0) {
    const lack = hasPlan ? lackOfForecast(snapshot) : undefined;
    if (lack !== undefined) return draft('Ready', 'False', 'NoForecast', lack);
    return draft('Ready', 'True', 'NoneWanted', 'no clones are wanted now');
  }
  if (ready >= wanted) return draft('Ready', 'True', 'ClonesReady', `${wanted} clones are wanted, and Ready`);
  const tooLate = late === 0 ? '' : `; ${late} more would end before they are of use`;
  return draft('Ready', 'False', 'ClonesStarting', `${ready} of ${wanted} clones are Ready${tooLate}`);
}

function lackOfForecast({ pool, forecast }: Snapshot): string | undefined {
  const name = pool.spec.forecastRef?.name ?? '';
  if (forecast === undefined) return `no DemandForecast ${name} in namespace ${pool.metadata.namespace}`;
  return forecast.status?.forecast === undefined ? `DemandForecast ${name} has no forecast` : undefined;
}
