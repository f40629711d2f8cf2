// SPDX-License-Identifier: Apache-2.0

/** What is known of one pod's start. Times are epoch seconds. */
export interface PodStart {
  readonly uid: string;
  readonly createdSeconds: number;
  /** When it last became Ready; undefined while it is not. */
  readonly readySeconds: number | undefined;
  /** Container restarts so far, of all its containers. */
  readonly restarts: number;
}

/** The start of one pod that counts. */
interface LeadSample {
  readonly uid: string;
  readonly readySeconds: number;
  readonly startupSeconds: number;
}

/** What has been measured so far; begins as {@link noLeads}. */
export interface LeadRecord {
  /** Oldest first, at most 200. */
  readonly samples: readonly LeadSample[];
  /** Pods whose first readiness is in the past, whether it counted or not. */
  readonly seen: ReadonlySet<string>;
}

/** From the decision to scale to ready pods, in seconds. */
export interface Lead {
  readonly p50Seconds: number;
  /** What is planned with. */
  readonly p90Seconds: number;
  /** Pods measured. */
  readonly samples: number;
  readonly source: 'Measured' | 'Default' | 'Spec';
}

/** Nothing measured yet. */
export const noLeads: LeadRecord = { samples: [], seen: new Set() };

const maxSamples = 200;
const minSamples = 5;
/** A pod that is found Ready for longer than this after its creation has most likely been unready in between. */
const maxStartupSeconds = 1800;
const minLeadSeconds = 60;
const maxLeadSeconds = 1800;
const defaultLeadSeconds = 180;
/** Between two looks of the HPA (--horizontal-pod-autoscaler-sync-period). */
const hpaSyncSeconds = 15;
/** From a change of demand to the sample that shows it. */
const scrapeDelaySeconds = 30;

/**
 * Adds the pods whose first readiness has come since. Each pod counts once: a later readiness says how long a probe
 * failed, and one after a restart how long it took to crash and come back.
 */
export function recordPods(record: LeadRecord, pods: readonly PodStart[]): LeadRecord {
  const ready = pods.filter(({ readySeconds }) => readySeconds !== undefined);
  const fresh = ready.filter(({ uid }) => !record.seen.has(uid));
  const samples = [...record.samples, ...fresh.flatMap(measure)]
    .toSorted((a, b) => a.readySeconds - b.readySeconds)
    .slice(-maxSamples);
  const present = new Set(pods.map(({ uid }) => uid));
  // A pod that is gone does not come back under its uid.
  const seen = [...record.seen].filter((uid) => present.has(uid));
  return { samples, seen: new Set([...seen, ...ready.map(({ uid }) => uid)]) };
}

function measure({ uid, createdSeconds, readySeconds = Number.NaN, restarts }: PodStart): LeadSample[] {
  // Both times have whole seconds, and may come from two clocks.
  const startupSeconds = Math.max(0, readySeconds - createdSeconds);
  return restarts === 0 && startupSeconds <= maxStartupSeconds ? [{ uid, readySeconds, startupSeconds }] : [];
}

/**
 * The lead to plan with: what `spec.lead` names, else the 90th percentile of the measured starts plus what passes
 * before a start, from 1 to 30 minutes; 3 minutes until 5 pods have been measured.
 */
export function estimateLead(record: LeadRecord, specSeconds: number | undefined): Lead {
  const samples = record.samples.length;
  if (specSeconds !== undefined) {
    return { p50Seconds: specSeconds, p90Seconds: specSeconds, samples, source: 'Spec' };
  }
  if (samples < minSamples) {
    return { p50Seconds: defaultLeadSeconds, p90Seconds: defaultLeadSeconds, samples, source: 'Default' };
  }
  const startups = record.samples.map(({ startupSeconds }) => startupSeconds).toSorted((a, b) => a - b);
  const leadAt = (share: number): number => {
    const startup = startups[Math.ceil(share * samples) - 1] ?? defaultLeadSeconds;
    return Math.min(maxLeadSeconds, Math.max(minLeadSeconds, startup + hpaSyncSeconds + scrapeDelaySeconds));
  };
  return { p50Seconds: leadAt(0.5), p90Seconds: leadAt(0.9), samples, source: 'Measured' };
}
