// SPDX-License-Identifier: Apache-2.0
import { formatDuration } from '../../base/duration.ts';
import { parseTimestamp } from '../../series/rfc3339.ts';
import { finding, notRead } from '../finding.ts';
import type { Finding, Reading } from '../finding.ts';
import type { Deployment, Lease, Snapshot } from '../snapshot.ts';

const install = 'kubectl apply -k manifests/base';

/** The kinds and the Deployments. */
export function checkInstallation(snapshot: Snapshot): Finding[] {
  const deployments = Object.entries(snapshot.deployments).map(([name, reading]) =>
    judgeDeployment(snapshot.headstartNamespace, name, reading),
  );
  const { forecasts, pools } = snapshot;
  return [judgeKind('DemandForecasts', forecasts), judgeKind('ClonePools', pools), ...deployments];
}

function judgeKind(kinds: 'DemandForecasts' | 'ClonePools', reading: Reading<readonly unknown[] | undefined>): Finding {
  const object = { kind: 'CustomResourceDefinition', name: `${kinds.toLowerCase()}.headstart.dev` };
  if ('failure' in reading) return notRead('installation', reading.failure, object);
  if (reading.value !== undefined) {
    return finding('installation', 'Installed', { message: `the apiserver knows ${kinds}`, object });
  }
  const message = `the apiserver knows no ${kinds} (headstart.dev/v1alpha1)`;
  return finding('installation', 'NotInstalled', { message, fix: 'kubectl apply -k manifests/crds', object });
}

function judgeDeployment(namespace: string, name: string, reading: Reading<Deployment | undefined>): Finding {
  const object = { kind: 'Deployment', namespace, name };
  if ('failure' in reading) return notRead('installation', reading.failure, object);
  if (reading.value === undefined) {
    const message = `there is no Deployment ${name} in namespace ${namespace}`;
    const fix = `${install}, or name the namespace with --headstart-namespace`;
    return finding('installation', 'NotInstalled', { message, fix, object });
  }
  const { spec, status } = reading.value;
  const wanted = spec?.replicas ?? 1;
  const ready = status?.readyReplicas ?? 0;
  const message = `${ready} of ${wanted} replicas of ${name} are ready`;
  if (ready >= wanted && ready > 0) return finding('installation', 'Ready', { message, object });
  const fix = `kubectl -n ${namespace} describe deployment ${name}; kubectl -n ${namespace} logs deployment/${name}`;
  return finding('installation', ready === 0 ? 'NoneReady' : 'NotAllReady', { message, fix, object });
}

/** Client-go's leaders renew every 2 s of 15 s; one that is late by a whole term is gone. */
const lateTerms = 2;

/** Whether somebody forecasts, and whether somebody makes clones and ends them. */
export function checkLeader(snapshot: Snapshot, now: number): Finding[] {
  const { headstartNamespace: namespace, lease, clonesLease } = snapshot;
  const forecaster = { name: 'headstart-forecaster', effect: 'nobody forecasts' };
  const clones = { name: 'headstart-clones', effect: 'nobody makes clones, nor ends them' };
  return [judgeLease(lease, { namespace, ...forecaster }, now), judgeLease(clonesLease, { namespace, ...clones }, now)];
}

function judgeLease(
  lease: Reading<Lease | undefined>,
  { namespace, name, effect }: { readonly namespace: string; readonly name: string; readonly effect: string },
  now: number,
): Finding {
  const object = { kind: 'Lease', namespace, name };
  if ('failure' in lease) return notRead('leader', lease.failure, object);
  const fix = `kubectl -n ${namespace} logs deployment/${name}`;
  if (lease.value === undefined) {
    const message = `there is no Lease ${name} in namespace ${namespace}: no replica can lead, and ${effect}`;
    return finding('leader', 'Missing', { message, fix: install, object });
  }
  const { holderIdentity = '', leaseDurationSeconds = 15, renewTime } = lease.value.spec ?? {};
  if (holderIdentity === '' || renewTime === undefined) {
    const message = `no replica of ${name} leads, so ${effect}`;
    return finding('leader', 'NeverHeld', { message, fix, object });
  }
  // By the apiserver's clock where it wrote the time down: the holder's may be off.
  const age = now - (writtenAt(lease.value) ?? parseTimestamp(renewTime, 'spec.renewTime'));
  const renewed = `${holderIdentity} renewed Lease ${name} ${formatDuration(age)} ago`;
  if (age <= lateTerms * leaseDurationSeconds) {
    return finding('leader', 'Held', { message: `${renewed}, and leads`, object });
  }
  const message = `${renewed}, and it held for ${leaseDurationSeconds}s: ${effect}`;
  return finding('leader', 'Expired', { message, fix, object });
}

/** When the apiserver last took a change of the Lease, by its own clock. */
export function writtenAt({ metadata }: Lease): number | undefined {
  const times = (metadata.managedFields ?? []).flatMap(({ time }) =>
    time === undefined ? [] : [parseTimestamp(time, 'metadata.managedFields.time')],
  );
  return times.length === 0 ? undefined : Math.max(...times);
}
