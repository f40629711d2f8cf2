// SPDX-License-Identifier: Apache-2.0
import { checkAccess } from './checks/access.ts';
import { checkAggregation, checkMetrics } from './checks/aggregation.ts';
import { checkApiService } from './checks/api-service.ts';
import { checkCloneGuard, checkCloneWebhook } from './checks/clone-admission.ts';
import { checkClonePools } from './checks/clone-pools.ts';
import { checkClocks } from './checks/clocks.ts';
import { checkForecasts } from './checks/forecasts.ts';
import { checkHistories } from './checks/histories.ts';
import { checkHpas } from './checks/hpas.ts';
import { checkInstallation, checkLeader } from './checks/installation.ts';
import { checkMetricsServer } from './checks/metrics-server.ts';
import { checkTolerance } from './checks/tolerance.ts';
import type { Finding } from './finding.ts';
import type { Snapshot } from './snapshot.ts';

/** Everything that the checks say about what was seen; `now` is the apiserver's time in epoch seconds. */
export function diagnose(snapshot: Snapshot, now: number): Finding[] {
  return [
    ...checkApiService(snapshot, now),
    ...checkInstallation(snapshot),
    ...checkLeader(snapshot, now),
    ...checkAccess(snapshot),
    ...checkAggregation(snapshot),
    ...checkClocks(snapshot, now),
    ...checkForecasts(snapshot, now),
    ...checkMetrics(snapshot),
    ...checkHpas(snapshot),
    ...checkCloneWebhook(snapshot, now),
    ...checkCloneGuard(snapshot),
    ...checkClonePools(snapshot, now),
    ...checkTolerance(snapshot),
    ...checkMetricsServer(snapshot),
    ...checkHistories(snapshot, now),
  ];
}
