// SPDX-License-Identifier: Apache-2.0
import { apiVersion, fieldManager } from '../../api/labels.ts';
import { demandForecastCrd } from '../../api/v1alpha1/demand-forecast.ts';
import type { DemandForecast } from '../../api/v1alpha1/demand-forecast.ts';
import { demandHistoryCrd } from '../../api/v1alpha1/demand-history.ts';
import type { DemandHistory } from '../../api/v1alpha1/demand-history.ts';
import { errorCode, HeadstartError, invalidInput } from '../../base/errors.ts';
import { apply } from '../../kube/apply.ts';
import type { KubeClient } from '../../kube/client.ts';
import { resourcePath } from '../../kube/paths.ts';
import { formatRfc3339, parseTimestamp } from '../../series/rfc3339.ts';
import { decodeValues, encodeValues } from '../../sources/metrics/usage-samples.ts';
import type { UsageSnapshots } from '../../sources/metrics/usage-samples.ts';

/** Whose usage, and of what. */
export interface UsageOwner {
  readonly forecast: DemandForecast;
  readonly resource: 'cpu' | 'memory';
}

const { kind, plural } = demandHistoryCrd;
const stepSeconds = 300;

/**
 * What was kept in the DemandHistory of a forecast; undefined when there is none, or one of something else.
 * @throws HeadstartError InvalidInput when it cannot be read, others as KubeClient.request
 */
export async function loadUsage(
  client: KubeClient,
  owner: UsageOwner,
  signal: AbortSignal,
): Promise<UsageSnapshots | undefined> {
  const { namespace, name } = owner.forecast.metadata;
  const path = resourcePath({ apiVersion, plural, namespace, name });
  try {
    return readSamples(await client.request<DemandHistory>({ path, signal }), owner);
  } catch (error) {
    if (errorCode(error) === 'NotFound') return undefined;
    throw error;
  }
}

/**
 * Reads an object's samples; undefined when they are of another target or resource.
 * @throws HeadstartError InvalidInput for a version that is not known, and for what is not whole
 */
function readSamples({ samples }: DemandHistory, owner: UsageOwner): UsageSnapshots | undefined {
  if (samples === undefined) return undefined;
  const { version, resource, target, startTime } = samples;
  if (version !== '1') throw invalidInput('samples.version', version, '1');
  if (resource !== owner.resource || target !== targetOf(owner)) return undefined;
  if (samples.stepSeconds !== stepSeconds) throw invalidInput('samples.stepSeconds', samples.stepSeconds, '300');
  const start = parseTimestamp(startTime, 'samples.startTime');
  if (start % stepSeconds !== 0) throw invalidInput('samples.startTime', startTime, 'whole five minutes');
  if (typeof samples.values !== 'string') throw new HeadstartError('InvalidInput', 'samples.values: want text');
  return { startTime: start, stepSeconds, values: decodeValues(samples.values) };
}

/**
 * Keeps snapshots in the DemandHistory of a forecast, which is deleted with it.
 * @throws HeadstartError as KubeClient.request
 */
export async function storeUsage(
  client: KubeClient,
  owner: UsageOwner,
  { snapshots, signal }: { readonly snapshots: UsageSnapshots; readonly signal: AbortSignal },
): Promise<void> {
  const { namespace, name, uid } = owner.forecast.metadata;
  const samples: NonNullable<DemandHistory['samples']> = {
    version: '1',
    resource: owner.resource,
    target: targetOf(owner),
    startTime: formatRfc3339(snapshots.startTime),
    stepSeconds: snapshots.stepSeconds,
    values: encodeValues(snapshots.values),
  };
  const ownerReferences = [{ apiVersion, kind: demandForecastCrd.kind, name, uid, controller: true }];
  const options = { fieldManager, force: true, signal };
  await apply(
    client,
    { apiVersion, plural, namespace, name },
    { kind, metadata: { ownerReferences }, samples },
    options,
  );
}

function targetOf({ forecast }: UsageOwner): string {
  const { kind: targetKind, name } = forecast.spec.scaleTargetRef;
  return `${targetKind}/${name}`;
}
