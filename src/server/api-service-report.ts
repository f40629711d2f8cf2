// SPDX-License-Identifier: Apache-2.0
import type { Clock } from '../base/clock.ts';
import type { EventRecorder } from '../kube/recorder.ts';
import type { ApiServiceFinding, ServiceName } from './api-service.ts';

/** Whom to tell, and of whose APIService. */
export interface ApiServiceReportOptions {
  readonly recorder: Pick<EventRecorder, 'record'>;
  readonly clock: Clock;
  readonly service: ServiceName;
  /** Told each time, for a metric. */
  readonly onState: (state: ApiServiceFinding['state']) => void;
}

/** Events are kept for an hour by default: what goes on must be seen by whoever looks. */
const repeatMs = 30 * 60_000;

/**
 * Tells of each finding about the APIService by an Event on our Service, which is in our own namespace: at once when it
 * is news, then every half hour. That all is well is news only after it was not.
 */
export function createApiServiceReport(options: ApiServiceReportOptions): (finding: ApiServiceFinding) => void {
  const { recorder, clock, service, onState } = options;
  let last: ApiServiceFinding | undefined;
  let toldMs = Number.NEGATIVE_INFINITY;
  return (finding) => {
    onState(finding.state);
    const before = last;
    last = finding;
    const nowMs = clock.nowMs();
    const isNews = finding.message !== before?.message;
    const isWell = finding.state === 'Owned';
    if (isWell ? before === undefined || !isNews : !isNews && nowMs - toldMs < repeatMs) return;
    toldMs = nowMs;
    recorder.record({
      regarding: { apiVersion: 'v1', kind: 'Service', ...service },
      type: finding.state === 'Foreign' || finding.state === 'Missing' ? 'Warning' : 'Normal',
      reason: finding.state,
      action: 'APIService',
      note: finding.message,
    });
  };
}
